"""What a filter is worth: a kernel in, one score per filter out; the lowest go."""

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
