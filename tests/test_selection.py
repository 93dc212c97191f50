"""pruning/selection.py."""

from fractions import Fraction

import numpy as np
import pytest

from pruning import selection


def test_the_number_of_removed_filters_is_the_exact_ceiling_for_every_width_and_percent():
    for filters in range(1, 513):
        for percent in range(100):
            exact = -(-percent * filters // 100)  # whole numbers only
            expected = min(exact, filters - 1)
            assert selection.count_removed(filters, percent / 100) == expected, (filters, percent)


def test_ratios_from_float_arithmetic_count_like_the_decimal_they_mean():
    assert 0.1 * 3 != 0.3
    assert selection.count_removed(10, 0.1 * 3) == 3
    assert selection.count_removed(100, 0.07) == 7
    assert selection.count_removed(100, np.float32(0.07)) == 7
    assert selection.count_removed(100, float(np.float32(0.07))) == 7


def test_rounding_up_reproduces_the_papers_resnet_stages():
    # 10 % of 16, 32 and 64 filters: Li et al. 2017, ResNet-56-pruned-A
    assert [selection.count_removed(filters, 0.1) for filters in (16, 32, 64)] == [2, 4, 7]


@pytest.mark.parametrize("ratio", [0.999999, 0.5, Fraction(1, 3)])
def test_at_least_one_filter_stays(ratio):
    assert selection.count_removed(1, ratio) == 0


@pytest.mark.parametrize("ratio", [1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ValueError, match=r"ratio is .*; give a number from 0 up to"):
        selection.count_removed(10, ratio)


def test_each_layer_loses_its_own_lowest_scores_and_keeps_the_order():
    scores = {"conv1": np.array([3.0, 1.0, 2.0, 5.0]), "conv2": np.array([9.0, 8.0])}
    kept = selection.independent(scores, 0.5)
    assert {name: list(indices) for name, indices in kept.items()} == {
        "conv1": [0, 3],
        "conv2": [0],
    }


def test_of_equal_scores_the_lower_index_goes_first():
    scores = np.random.default_rng(0).integers(0, 3, 400).astype(float)
    kept = selection.independent({"conv1": scores}, 0.5)
    ranked = sorted(range(400), key=lambda index: (scores[index], index))
    assert list(kept["conv1"]) == sorted(ranked[200:])
