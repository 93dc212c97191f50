"""How many filters go, and which."""

import math

import numpy as np


def independent(scores, ratio):
    """The filters that stay when every layer is ranked by itself.

    Args:
        scores: `{layer name: float array (filters,)}`, the lowest mark the filters to remove.
        ratio: part of each layer's filters to remove, 0 <= ratio < 1.

    Returns:
        `{layer name: ascending int array of the filters that stay}`. Of equal scores the filter
        with the lower index goes first.

    Raises:
        ValueError: the ratio is out of range.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    return {
        name: np.sort(np.argsort(values, kind="stable")[count_removed(len(values), ratio) :])
        for name, values in scores.items()
    }


def count_removed(filters, ratio):
    """How many of a layer's filters go: `ceil(ratio * filters)`, but at least one stays.

    Only rounding up reproduces the numbers of Li et al. 2017, table 1.

    Raises:
        ValueError: the ratio is out of range.
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio}; give a number from 0 up to, but not including, 1")
    # rounded before, since 0.07 * 100 is 7.000000000000001 in binary
    return min(math.ceil(round(ratio * filters, 6)), filters - 1)
