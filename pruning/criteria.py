"""Filter importance from the weights, and the names of all criteria.

The filters of lowest score are removed. This module does not import Keras, because the command line
takes the names of the criteria from it.
"""

import zlib

import numpy as np


def l1_norm(kernel):
    """Sum of the absolute weights of each filter, over all its input channels.

    Bias and BatchNormalization are not included.

    Args:
        kernel: float array (..., in_channels, filters), as Conv2D holds it.

    Returns:
        float64 array (filters,), each at least 0.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1.
    """
    return np.abs(kernel).sum(axis=tuple(range(kernel.ndim - 1)), dtype=np.float64)


def l2_norm(kernel):
    """Square root of the sum of the squared weights of each filter; shapes as in `l1_norm`.

    Source: Li et al. 2017, section 3.1, who found no noticeable difference to the L1 norm.
    """
    squares = np.square(kernel, dtype=np.float64)
    return np.sqrt(squares.sum(axis=tuple(range(kernel.ndim - 1))))


def largest(kernel):
    """The negative L1 norm: the largest filters are removed first. A negative control.

    Source: Li et al. 2017, section 4.4.
    """
    return -l1_norm(kernel)


def random(kernel, seed=0):
    """A random score from 0 to 1 for each filter. A control.

    The same kernel and seed give the same scores. So a higher ratio removes the filters that a
    lower ratio removes, and more. Another kernel gives other scores.

    Args:
        kernel: float array (..., in_channels, filters).
        seed: whole number from 0.

    Returns:
        float64 array (filters,).

    Source: Li et al. 2017, section 4.4.
    """
    content = zlib.crc32(np.ascontiguousarray(kernel).tobytes())
    return np.random.default_rng([seed, content]).uniform(size=kernel.shape[-1])


def fpgm(kernel):
    """Sum of the Euclidean distances of each filter to all other filters of the layer.

    The filter with the lowest sum is the nearest to the geometric median of the filters: the others
    can replace it best.

    Args:
        kernel: float array (..., in_channels, filters).

    Returns:
        float64 array (filters,), each at least 0.

    Source: He et al. 2019, Filter Pruning via Geometric Median (arXiv 1811.00250), section 3.3.
    """
    filters = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)  # a copy
    # no distance changes, but smaller numbers round less
    filters -= filters.mean(axis=1, keepdims=True)
    products = filters.T @ filters  # one small matrix; all differences would need gigabytes
    squares = products.diagonal()
    distances = np.sqrt(np.maximum(squares + squares[:, np.newaxis] - 2 * products, 0))
    return distances.sum(axis=0)


OF_KERNELS = {  # function of a kernel: one score per filter
    "l1": l1_norm,
    "l2": l2_norm,
    "largest": largest,
    "random": random,
    "fpgm": fpgm,
}
OF_FEATURE_MAPS = {  # statistic over the images, statistic of one map; see `feature_maps.scores`
    "mean-mean": ("mean", "mean"),
    "mean-std": ("mean", "std"),
    "mean-l1": ("mean", "l1"),
    "mean-l2": ("mean", "l2"),
    "var-l2": ("variance", "l2"),
}
OF_NETWORKS: dict[str, tuple] = {  # the arguments of `prune` that it needs
    "bn-scale": (),  # see `scales.scores`
    "taylor": ("images", "labels"),  # see `taylor.scores`
}
