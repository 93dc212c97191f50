"""`round_to`: every layer keeps a multiple of filters, or all that it has."""

import keras
import pytest
from keras import layers, ops

from pruning import groups, plan, prune, request, selection, stages
from pruning.criteria import l1_norm
from tests.test_selection import block, conv, kept, network


@pytest.mark.parametrize(
    ("filters", "per_unit", "asked", "removed"),
    [
        (32, [1], 10, 8),  # 22 stay, rounded up to 24
        (32, [1], 8, 8),
        (32, [1], 7, 0),  # 25, rounded up to all
        (20, [1], 11, 4),  # 9, rounded up to 16
        (20, [1], 3, 0),  # 17, rounded up to 24: more than it has
        (6, [1], 5, 0),
        (12, [2], 5, 4),  # 7 units of 2 filters stay, rounded up to 8 units
        (12, [2, 1], 5, 4),  # the second layer keeps 8
        (12, [2, 2], 9, 8),  # 3, rounded up to 4 units: 8 filters of each
        (7, [16], 3, 3),
        (7, [3], 3, 0),
    ],
)
def test_the_number_that_stays_is_rounded_up_to_a_multiple_or_all(
    filters, per_unit, asked, removed
):
    group = plan.Group([], range(filters), "", False, per_unit)
    assert plan.round_removed(group, asked, 8) == removed


def filters_of(build, ratio, **options):
    pruned = prune(network(build), ratio, **options)
    layers_with_kernels = [layer for layer in pruned.layers if hasattr(layer, "kernel")]
    return {layer.name: layer.kernel.shape[-2:] for layer in layers_with_kernels}


def test_a_layer_after_a_concatenation_reads_a_multiple_if_all_groups_have_multiples():
    def build(x):
        joined = layers.Concatenate()([conv(8, x, "left"), conv(12, x, "right"), conv(6, x, "odd")])
        return conv(8, joined, "reader")

    # 5, 8 and 4 stay, and 5 of reader, before they are rounded
    assert filters_of(build, 0.3, round_to=4)["reader"] == (8 + 8 + 4, 8)
    # of odd 5 stay, rounded up to 8: more than it has, so all 6
    few = {"odd": 0.1}
    assert filters_of(build, 0.3, round_to=4, layer_ratios=few)["reader"] == (8 + 8 + 6, 8)


def test_a_depthwise_convolution_with_a_multiplier_keeps_a_multiple_of_its_own_filters():
    def build(x):
        deep = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="deep")
        return conv(4, deep(conv(6, x, "before")), "after")

    assert filters_of(build, 0.5, round_to=2)["after"] == (8, 2)  # before keeps 4, deep 8


def test_a_grouped_convolution_keeps_a_multiple_of_filters_not_of_units():
    def build(x):
        grouped = layers.Conv2D(12, 1, groups=2, name="grouped")
        return conv(4, grouped(conv(12, x, "before")), "after")

    shapes = filters_of(build, 0.5, round_to=4)  # 3 of 6 units, rounded up to 4 units of 2 filters
    assert shapes == {"before": (2, 8), "grouped": (4, 8), "after": (8, 4), "last": (4, 2)}


def test_each_part_of_a_layer_that_is_coupled_to_another_keeps_a_multiple():
    def build(x):  # the channels of narrow meet the first four of wide
        narrow = ops.pad(conv(4, x, "narrow"), [[0, 0], [0, 0], [0, 0], [0, 8]])
        return narrow + conv(12, x, "wide")

    assert filters_of(build, 0.5, round_to=4)["wide"] == (2, 4 + 4)


def test_a_network_without_rounding_loses_as_many_filters_as_before():
    assert filters_of(block, 0.5) == filters_of(block, 0.5, round_to=1)
    assert {name: len(stay) for name, stay in kept(block, 0.5).items()}["first"] == 1


def test_mobilenet_keeps_multiples_of_8_in_every_layer():
    model = keras.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), classes=3, alpha=0.35
    )
    structure = groups.find(model)
    kept = selection.kept(structure, request.request(0.5, round_to=8), l1_norm)
    assert len(kept) > 40 and all(len(stay) % 8 == 0 for stay in kept.values())
    narrow = {path for path, m in structure.members.items() if len(m.flow.channels) <= 8}
    assert structure.members.keys() - kept == narrow | {"predictions"}


def test_rounding_that_keeps_all_filters_is_an_error_that_says_so():
    message = "round_to: expected a number that lets a layer lose filters, got 8: .* keep all"
    with pytest.raises(ValueError, match=message):
        prune(network(block), 0.5, round_to=8)
    with pytest.raises(ValueError, match=message):
        prune(network(block), 0, layer_ratios={"first": 0.5}, round_to=8)
    assert prune(network(block), 0, round_to=8).count_params() == network(block).count_params()


@pytest.mark.parametrize("number", [0, -8, 1.5, "8"])
def test_a_wrong_number_is_an_error(number):
    with pytest.raises(ValueError, match="round_to: expected a whole number from 1, got "):
        prune(network(block), 0.5, round_to=number)


def test_layers_that_lose_nothing_after_rounding_are_no_stage():
    # of 3 filters 1 stays, rounded up to 3 (all); of 4 filters 2 stay, rounded up to 3
    together = ["projection", "second", "fourth"]
    assert stages(network(block), 0.5, round_to=3) == [together]


def test_steps_keep_the_multiples_that_one_cut_keeps():
    model = network(lambda x: conv(10, conv(16, x, "conv1"), "conv2"))
    smaller = model
    for ratio, expected in [(0.3, (12, 8)), (0.5, (8, 8)), (0.7, (4, 4))]:
        smaller = prune(smaller, ratio, round_to=4, full=model)
        at_once = prune(model, ratio, round_to=4)
        for each in (smaller, at_once):
            assert tuple(each.get_layer(name).filters for name in ("conv1", "conv2")) == expected
    same = prune(smaller, 0.7, round_to=4, full=model)
    assert same.count_params() == smaller.count_params()
