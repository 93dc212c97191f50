"""pruning/sizes.py: planned sizes equal those of networks that are really pruned."""

import fractions
import math

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

import pruning
from pruning import cost, planned_sizes, prune
from pruning.request import COUPLED
from scnnb.model import build_scnnb, build_scnnb_a, build_scnnb_b
from scnnb.zoo import alexnet, resnet, vgg16
from tests.test_random_networks import random_network
from tests.test_rules import network


def real_sizes(model, ratio, schedule="one-shot", **options):
    """The sizes of really pruned networks, which `planned_sizes` must return, too."""
    if schedule == "stepwise":
        return stepwise_sizes(model, ratio, **options)
    if schedule == "one-shot":
        stages = [None]
    elif not (stages := pruning.stages(model, ratio, **options)):
        raise ValueError(f"{model.name}: it has no convolution that could lose a filter")
    found = []
    for only in stages:
        model = prune(model, ratio, only=only, **options)
        found.append((only, model.count_params(), _macs(model)))
    return found


def stepwise_sizes(full, ratio, steps=4, layer_ratios=None, **options):
    model, found = full, []
    for part in [number / steps for number in range(1, steps + 1)]:
        ratios = {pattern: each * part for pattern, each in (layer_ratios or {}).items()}
        model = prune(model, ratio * part, layer_ratios=ratios, full=full, **options)
        found.append((None, model.count_params(), _macs(model)))
    return found


def _macs(model):
    try:
        return cost.macs(model)
    except ValueError:
        return None


def outcome(function, *args, **options):
    """What the function returns, or the message of its error."""
    try:
        return function(*args, **options)
    except ValueError as error:
        return str(error)


def plan(model, ratio, **options):
    return [tuple(cut) for cut in planned_sizes(model, [ratio], **options)[ratio]]


def check(model, ratio, **options):
    expected = outcome(real_sizes, model, ratio, **options)
    assert outcome(plan, model, ratio, **options) == expected, (ratio, options)
    return expected


def conv(filters, x, name=None, size=1, **settings):
    return layers.Conv2D(filters, size, padding="same", name=name, **settings)(x)


def add_zeros(x, before, after):
    return keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [before, after]])


def test_parameters_and_macs_after_each_cut_are_those_worked_out_by_hand():
    images = keras.Input((5, 5, 2))
    x = layers.BatchNormalization()(conv(4, images, "conv1", 3))
    x = layers.Flatten()(conv(6, x, "conv2", use_bias=False))
    model = keras.Model(images, layers.Dense(3)(x))
    # kernels 9 * 2 * c1, c1 * c2 and 25 * c2 * 3, biases c1 and 3, norm 4 * c1
    both = [(n, m, 9 * 2 * n + n + 4 * n + n * m + 25 * m * 3 + 3) for n, m in ((2, 6), (2, 3))]
    expected = [(held, 25 * (9 * 2 * n + n * m) + 25 * m * 3) for n, m, held in both]
    assert planned_sizes(model, [0, 0.5], schedule="iterative")[0.5] == [
        (["conv1"], *expected[0]),
        (["conv2"], *expected[1]),
    ]
    assert planned_sizes(model, [0.5]) == {0.5: [(None, *expected[1])]}


SCNNB = {
    "scnnb": build_scnnb,
    "scnnb-a": build_scnnb_a,
    "scnnb-b": build_scnnb_b,
}


@pytest.mark.parametrize("name", SCNNB)
def test_planned_sizes_are_those_of_a_pruned_scnnb(name):
    model = SCNNB[name]((4, 4, 1), 3)
    check(model, 0.4, layer_ratios={"conv1": 0.9}, schedule="iterative")
    check(model, 0.0, schedule="iterative")


SLOW = {
    "AlexNet": lambda: alexnet.build_alexnet((64, 64, 3), 3),
    "VGG16": lambda: vgg16.build_vgg16((32, 32, 3), 3),
    "ResNet-20": lambda: resnet.build_resnet20((8, 8, 3), 3),
    "ResNet-56": lambda: resnet.build_resnet56((8, 8, 3), 3),
    **{
        name: lambda name=name: getattr(keras.applications, name)(
            weights=None, input_shape=(32, 32, 3), classes=3
        )
        for name in ("MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50", "ConvNeXtTiny")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("coupled", COUPLED)
@pytest.mark.parametrize("name", SLOW)
def test_planned_sizes_are_those_of_a_pruned_network_of_many_layers(name, coupled):
    model = SLOW[name]()
    for ratio in (0.3, 0.9):
        check(model, ratio, coupled=coupled)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AlexNet", "VGG16", "ResNet-20"])
def test_planned_sizes_are_those_of_an_iterative_schedule(name):
    check(SLOW[name](), 0.5, schedule="iterative")


def check_random(draw):
    model = random_network(draw)
    members = [layer.name for layer in model.layers if isinstance(layer, layers.Conv2D)]
    ratios = st.sampled_from([0.0, 0.3, 0.5, 0.9])
    named = st.dictionaries(st.sampled_from(members), ratios, max_size=2)
    check(
        model,
        draw(ratios),
        layer_ratios=draw(named),
        coupled=draw(st.sampled_from(COUPLED)),
        dense=draw(st.booleans()),
        round_to=draw(st.sampled_from([1, 2])),
        schedule=draw(st.sampled_from(["one-shot", "iterative", "stepwise"])),
    )


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(st.data())
def test_planning_a_random_network_gives_the_sizes_or_the_error_of_pruning_it(data):
    check_random(data.draw)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=CHECKS)
@given(st.data())
def test_planning_many_random_networks_gives_the_sizes_or_the_errors_of_pruning_them(data):
    check_random(data.draw)


def test_if_zeros_are_added_twice_the_filters_of_lowest_norm_decide_which_channels_are_removed():
    """Of filters 1 to 3 of `wide` only the first is coupled to a zero that `inner` reads."""

    def build(x):
        once = add_zeros(conv(1, x, "narrow"), 0, 1)
        inner = conv(3, once, "inner")
        return layers.Concatenate()([add_zeros(once, 0, 2) + conv(4, x, "wide"), inner])

    sizes_of = []
    for lowest in (1, 3):
        model = network(build)
        kernel = np.ones(model.get_layer("wide").kernel.shape, "float32")
        kernel[..., lowest] = 0.1
        model.get_layer("wide").kernel.assign(kernel)
        sizes_of.append(check(model, 0.3, layer_ratios={"inner": 0}))
    assert sizes_of[0] != sizes_of[1]


def test_the_norms_of_a_later_cut_leave_out_the_channels_of_an_earlier_one():
    """After `first` loses filters, the third filter of `wide` has a lower norm than the second."""

    def build(x):
        x = conv(2, x, "first")
        once = add_zeros(conv(1, x, "narrow"), 0, 1)
        inner = conv(3, once, "inner")
        return layers.Concatenate()([add_zeros(once, 0, 2) + conv(4, x, "wide"), inner])

    model = network(build)
    first, wide = (np.ones_like(model.get_layer(n).get_weights()[0]) for n in ("first", "wide"))
    first[..., 0] = 0.1
    wide[0, 0] = [[9, 0, 9, 9], [9, 5, 1, 9]]
    model.get_layer("first").set_weights([first, np.zeros(2)])
    model.get_layer("wide").set_weights([wide, np.zeros(4)])
    check(model, 0.3, layer_ratios={"inner": 0}, schedule="iterative")


def groups_of_two(x):  # after a cut its groups have one channel each, as a depthwise convolution
    return conv(4, conv(4, x, "before"), "grouped", groups=2)


def two_groups(x):  # after a cut a single group is left: a plain convolution
    x = conv(2, x, "before")
    return conv(3, conv(4, x, "left", groups=2) + conv(4, x, "right", groups=2), "after")


def single_map(x):  # after a cut both have one channel and are coupled
    return conv(4, conv(2, x, "wide") * conv(1, x, "single"), "after")


def shortcut(x):  # after a cut of its single group, a plain convolution
    x = conv(2, x, "before")
    return conv(4, conv(3, x, "inside"), "main", 3) + conv(
        4, conv(2, x, "alone", groups=2), "projection"
    )


def channels_first(x):  # with one channel, the last axis fits, too
    parts = [layers.Permute((3, 1, 2))(conv(2, x, name)) for name in ("one", "other")]
    return layers.Concatenate(axis=1)([layers.Reshape((2, 64))(part) for part in parts])


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (groups_of_two, {}, "only: expected layers whose filters can be removed"),
        (
            two_groups,
            {"layer_ratios": {"left": 0.5}, "coupled": "skip"},
            "no filter of left can be rem",
        ),
        (
            single_map,
            {"layer_ratios": {"single": 0.5}, "coupled": "skip"},
            "no filter of single can be",
        ),
        (shortcut, {"coupled": "shortcut"}, "nothing would be pruned: no convolution has a filter"),
        (channels_first, {}, "its inputs have their channels on different axes"),
    ],
)
def test_an_error_that_only_the_network_after_a_cut_has_is_raised_before_any_cut(
    build, options, message
):
    model = network(build)
    assert isinstance(check(model, 0.5, **options), list)
    assert message in check(model, 0.5, schedule="iterative", **options)


@pytest.mark.parametrize("filters", [1, 2, 3, 5, 7, 10])
@pytest.mark.parametrize("ratio", [0.0, 0.07, 0.3, 0.5, 0.95])
def test_after_each_step_the_same_part_of_the_full_networks_filters_is_gone(filters, ratio):
    """The last step has the shape of a single cut, also if counts are odd or a step is empty."""
    full = network(lambda x: conv(5, conv(filters, x, "one"), "other"))
    smaller, steps = full, 3
    for number in range(1, steps + 1):
        part = fractions.Fraction(str(ratio)) * number / steps
        gone = [min(math.ceil(part * n), n - 1) for n in (filters, 5)]
        smaller = prune(smaller, ratio * (number / steps), full=full)
        left = [smaller.get_layer(name).filters for name in ("one", "other")]
        assert left == [filters - gone[0], 5 - gone[1]]
    assert smaller.count_params() == prune(full, ratio).count_params()
    check(full, ratio, schedule="stepwise", layer_ratios={"other": 0.5}, steps=steps)


def test_each_step_ranks_the_weights_that_the_network_has_by_then():
    full = network(lambda x: conv(4, x, "one"))
    kernel = np.ones(full.get_layer("one").kernel.shape, "float32")
    full.get_layer("one").set_weights([kernel * [1, 2, 3, 4], np.arange(1, 5)])
    half = prune(full, 0.25, full=full)
    assert half.get_layer("one").bias.numpy().tolist() == [2, 3, 4]
    half.get_layer("one").set_weights([kernel[..., 1:] * [5, 1, 5], np.arange(2, 5)])
    assert prune(half, 0.5, full=full).get_layer("one").bias.numpy().tolist() == [2, 4]


def test_steps_whose_groups_change_on_the_way_are_an_error_before_any_cut():
    model = network(single_map)
    found = check(model, 0.5, schedule="stepwise")  # both have one channel after the first step
    assert "prune in one step" in found


def test_after_a_cut_that_changes_groups_the_next_cut_is_planned_with_the_new_groups():
    found = check(network(two_groups), 0.5, schedule="iterative")
    assert [only for only, *_ in found] == [["before"], ["after"]]


@pytest.mark.parametrize("schedule", ["iterative", "stepwise"])
def test_a_group_norm_is_planned_until_one_group_is_left(schedule):
    images = keras.Input((5, 5, 2))
    x = layers.GroupNormalization(3)(conv(6, images, "conv1"))
    x = layers.Flatten()(layers.GroupNormalization(-1)(conv(6, x, "conv2")))
    model = keras.Model(images, layers.Dense(3)(x))
    cuts = check(model, 0.9, schedule=schedule)
    # kernels 2 * 2, 2 * 1 and 25 * 3; biases 2, 1 and 3; norms 2 * 2 and 2 * 1
    assert cuts[-1][1] == 4 + 2 + 75 + 6 + 6


def test_a_layer_that_cannot_be_built_smaller_is_an_error_at_any_ratio_above_0():
    first = keras.initializers.Constant(np.ones((1, 1, 6, 4)))
    model = network(lambda x: conv(4, x, "fixed", kernel_initializer=first))
    with pytest.raises(ValueError, match=r"fixed \(Conv2D\): it cannot be built smaller"):
        planned_sizes(model, [0, 0.5])
    assert list(planned_sizes(model, [0])) == [0]


def test_wrong_arguments_give_the_errors_of_prune():
    model = network(lambda x: conv(4, x, "conv1"))
    with pytest.raises(
        ValueError, match="schedule: expected one-shot, iterative, stepwise, got 'often'"
    ):
        planned_sizes(model, [0.5], schedule="often")
    with pytest.raises(ValueError, match="steps: expected a whole number from 1, got 0"):
        planned_sizes(model, [0.5], schedule="stepwise", steps=0)
    check(model, 1.5)
    check(model, 0.5, coupled="never")
    check(model, 0.5, layer_ratios={"conv2": 0.1})
    check(model, 0.5, layer_ratios={"last": 0.1})
    check(model, 0.5, layer_ratios={"conv1": 0.1, "last": 0.1})
    check(network(lambda x: layers.Softmax()(conv(4, x))), 0.5)
    check(network(lambda x: conv(1, x)), 0.5, schedule="iterative")
    check(network(lambda x: layers.ReLU()(x)), 0.5)
    check(network(lambda x: layers.ReLU()(x)), 0.5, schedule="iterative")
    check(network(lambda x: layers.ReLU()(x)), 0.0)


def test_macs_that_cannot_be_counted_are_none():
    images = keras.Input((None, None, 2))
    x = layers.GlobalAveragePooling2D()(conv(4, images, "conv1"))
    ((_, parameters, macs),) = check(keras.Model(images, layers.Dense(3)(x)), 0.5)
    assert (parameters, macs) == (2 * 2 + 2 + 2 * 3 + 3, None)


def test_a_layer_called_twice_counts_once_and_weights_that_are_not_trained_count():
    def build(x):
        x = layers.Normalization(name="norm")(conv(4, x, "conv1"))
        shared = layers.Conv2D(4, 1, name="shared")
        return shared(shared(x))

    # of 2 filters: conv1 6 * 2 + 2, norm 2 * 2 + 1, shared 2 * 2 + 2, last 64 * 2 * 3 + 3
    cuts = [(None, 14 + 5 + 6 + 387, 64 * (12 + 4 + 4) + 384)]
    assert check(network(build), 0.5) == cuts
