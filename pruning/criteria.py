"""What a filter is worth, by the names of the criteria; the filters of the lowest scores go.

It needs no Keras: the command line takes the names from here.
"""

import zlib

import numpy as np


def l1_norm(kernel):
    """Sum of the absolute weights of each filter, over all its input channels.

    Bias and BatchNormalization are not part of it.

    Args:
        kernel: float array (..., in_channels, filters), as Conv2D holds it.

    Returns:
        float64 array (filters,), each at least 0.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1.
    """
    return np.abs(kernel).sum(axis=tuple(range(kernel.ndim - 1)), dtype=np.float64)


def l2_norm(kernel):
    """Square root of the sum of the squared weights of each filter; shapes as in `l1_norm`.

    Source: Li et al. 2017, section 3.1, which saw no noticeable difference to the L1 norm.
    """
    squares = np.square(kernel, dtype=np.float64)
    return np.sqrt(squares.sum(axis=tuple(range(kernel.ndim - 1))))


def largest(kernel):
    """The L1 norm with a minus sign: the largest filters go first; a negative control.

    Source: Li et al. 2017, section 4.4.
    """
    return -l1_norm(kernel)


def random(kernel, seed=0):
    """A score drawn from 0..1 for each filter: filters go by chance, as a control.

    The same kernel and seed give the same scores, other kernels others, so that every ratio
    removes what a lower one does and some more.

    Args:
        kernel: float array (..., in_channels, filters).
        seed: whole number from 0.

    Returns:
        float64 array (filters,).

    Source: Li et al. 2017, section 4.4.
    """
    content = zlib.crc32(np.ascontiguousarray(kernel).tobytes())
    return np.random.default_rng([seed, content]).uniform(size=kernel.shape[-1])


OF_KERNELS = {  # function of a kernel: one score per filter
    "l1": l1_norm,
    "l2": l2_norm,
    "largest": largest,
    "random": random,
}
OF_FEATURE_MAPS = {  # over the images, of one map; `feature_maps.scores` computes them
    "mean-mean": ("mean", "mean"),
    "mean-std": ("mean", "std"),
    "mean-l1": ("mean", "l1"),
    "mean-l2": ("mean", "l2"),
    "var-l2": ("variance", "l2"),
}
