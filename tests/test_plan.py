"""pruning/plan.py: numbers of removed units and stages, worked out by hand."""

from fractions import Fraction

import numpy as np
import pytest
from keras import ops

from pruning import groups, plan, request
from tests.test_selection import block, conv, inverted, network


def test_the_number_of_removed_filters_is_the_exact_ceiling_for_every_width_and_percent():
    for filters in range(1, 513):
        for percent in range(100):
            exact = -(-percent * filters // 100)  # whole numbers only
            expected = min(exact, filters - 1)
            assert request.count_removed(filters, percent / 100) == expected, (filters, percent)


def test_a_ratio_with_a_rounding_error_removes_as_many_filters_as_the_exact_ratio():
    assert 0.1 * 3 != 0.3
    assert request.count_removed(10, 0.1 * 3) == 3
    assert request.count_removed(100, 0.07) == 7
    assert request.count_removed(100, np.float32(0.07)) == 7
    assert request.count_removed(100, float(np.float32(0.07))) == 7


def test_rounding_up_reproduces_the_papers_resnet_stages():
    # 10 % of 16, 32 and 64 filters: Li et al. 2017, ResNet-56-pruned-A
    assert [request.count_removed(filters, 0.1) for filters in (16, 32, 64)] == [2, 4, 7]


@pytest.mark.parametrize("ratio", [0.999999, 0.5, Fraction(1, 3)])
def test_at_least_one_filter_stays(ratio):
    assert request.count_removed(1, ratio) == 0


@pytest.mark.parametrize("ratio", [1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_ratio_out_of_range_is_an_error(ratio):
    with pytest.raises(
        ValueError, match="ratio: expected a number from 0 up to, but not including, 1, got "
    ):
        request.count_removed(10, ratio)


def test_stages_are_the_layers_that_lose_filters_together_in_order():
    def stages(build, ratio, coupled="joint", **layer_ratios):
        wanted = request.request(ratio, layer_ratios, coupled)
        return plan.stages(groups.find(network(build)), wanted)

    together = ["projection", "second", "fourth"]
    assert stages(block, 0.5) == [["first"], together, ["third"]]
    assert stages(block, 0.5, "skip") == [["first"], ["third"]]
    assert stages(block, 0, third=0.5) == [["third"]]
    assert stages(block, 0) == [["first"], together, ["third"]]  # a control trains as many stages
    assert stages(inverted, 0.5) == [["project1", "project2"], ["expand2"]]


def test_layers_that_share_a_group_are_in_one_stage():
    def build(x):  # the channels of narrow meet the first two of wide
        narrow = ops.pad(conv(2, x, "narrow"), [[0, 0], [0, 0], [0, 0], [0, 2]])
        return conv(3, narrow + conv(4, x, "wide"), "after")

    found = groups.find(network(build))
    assert len([group for group in found.groups if not group.not_prunable]) == 3
    stages = plan.stages(found, request.request(0.5, {}, "joint"))
    assert stages == [["narrow", "wide"], ["after"]]
