"""Targets: the first cut that is small enough, worked out by hand and by walking all cuts."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import (
    groups,
    macs,
    planned_sizes,
    prune,
    request,
    selection,
    sensitivity,
    stages,
    target,
    target_ratio,
)
from pruning.criteria import l1_norm
from pruning.ranking import costs
from tests.test_selection import block, conv, inverted, network


def two(x):
    """4 and 2 filters on 4x4 images of 2 channels: 16 * (2 a + a b + 2 b) MACs, without biases."""
    return conv(2, conv(4, x, "conv1"), "conv2")


def filters(model):
    return {layer.name: layer.filters for layer in model.layers if isinstance(layer, layers.Conv2D)}


# a, b: parameters 2 a + a b + (2 b + 2), MACs 16 (2 a + a b + 2 b)
# 0 4 2: 22, 320; 1/4 3 1: 13, 176; 1/2 2 1: 10, 128; 3/4 1 1: 7, 80
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"macs": 1}, (4, 2)),
        ({"macs": 319 / 320}, (3, 1)),
        ({"macs": 176 / 320}, (3, 1)),
        ({"macs": 175 / 320}, (2, 1)),
        ({"macs": 0.25}, (1, 1)),
        ({"parameters": 13 / 22}, (3, 1)),
        ({"parameters": 0.59}, (2, 1)),  # 12.98
        ({"bytes": 40}, (2, 1)),
        ({"bytes": 39}, (1, 1)),
        ({"bytes": 10_000}, (4, 2)),
        ({"macs": 0.5, "layer_ratios": {"conv1": 0.25}}, None),
        ({"macs": 240 / 320, "layer_ratios": {"conv1": 0.25}}, (3, 1)),
        ({"macs": 0.5, "round_to": 2}, (2, 2)),  # 3 1 is rounded up to 4 2; 192 MACs are too many
    ],
)
def test_the_smallest_ratio_that_reaches_the_target_is_used(wanted, expected):
    model = network(two)
    if expected is None or wanted.get("round_to"):
        with pytest.raises(ValueError, match="macs: expected an amount that can be reached"):
            prune(model, **wanted)
        return
    assert tuple(filters(prune(model, **wanted)).values()) == expected


def size(structure, wanted):
    gone = selection.removed(structure, wanted, l1_norm)
    return target.footprint.after_removal(structure)(gone), int(gone.sum())


@pytest.mark.parametrize("build", [block, inverted])
@pytest.mark.parametrize("what", ["macs", "parameters"])
@pytest.mark.parametrize("options", [{}, {"round_to": 2}, {"combine": "mean", "dense": True}])
def test_no_smaller_removal_of_all_ratios_reaches_the_target(build, what, options):
    structure = groups.find(network(build))
    walked = [size(structure, request.request(step / 12, **options)) for step in range(12)]
    place = ["parameters", "macs"].index(what)
    full, least = walked[0][0][place], walked[-1][0][place]
    for part in np.linspace(least / full, 1, 12):
        found = size(structure, request.request(**{what: float(part)}, **options))
        reached = [each for each in walked if each[0][place] <= round(part * full, 6)]
        assert found == min(reached, key=lambda each: each[1])


@pytest.mark.parametrize("ranking", ["uniform", "global"])
def test_the_error_says_the_least_that_is_possible_and_that_can_be_reached(ranking):
    model = network(two)
    # with keep 0.5: 2 of 4 and 1 of 2 filters
    least = {"uniform": (80, "0.25"), "global": (128, "0.4")}[ranking]
    message = rf"macs: .* got 0.1: the least that is possible is {least[0]} of 320, a part of "
    with pytest.raises(ValueError, match=message + least[1]):
        prune(model, macs=0.1, ranking=ranking, keep=0.5)
    smaller = prune(model, macs=float(least[1]), ranking=ranking, keep=0.5)
    assert macs(smaller) == least[0]
    with pytest.raises(ValueError, match="bytes: .* the least that is possible is 28 of 88; give"):
        prune(model, bytes=27)


def in_scores(**scores):
    """`two` whose filters have these L1 norms, as they are or as the criterion."""
    return {"conv1": [8, 1, 4, 3], "conv2": [1, 3]} | scores


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [  # normalised: conv1 2, .25, 1, .75; conv2 .5, 1.5
        ({"ratio": 0.0}, ([0, 1, 2, 3], [0, 1])),
        ({"ratio": 0.1}, ([0, 2, 3], [0, 1])),  # 0.6 of 6 units, rounded up
        ({"ratio": 0.3}, ([0, 2, 3], [1])),
        ({"ratio": 0.5}, ([0, 2], [1])),
        ({"ratio": 0.6}, ([0], [1])),
        ({"macs": 0.9}, ([0, 2, 3], [0, 1])),  # 256 of 320
        ({"macs": 0.79}, ([0, 2, 3], [1])),  # 176
        ({"macs": 0.4}, ([0, 2], [1])),  # 128
        ({"ratio": 0.4, "keep": 0.7}, None),  # 3 of 4 and both of 2 stay
        ({"macs": 0.79, "keep": 0.5, "layer_ratios": {"conv2": 0}}, ([0, 2], [0, 1])),  # 192
        ({"ratio": 0.5, "layer_ratios": {"conv2": 0.5}}, ([0, 2], [1])),
        ({"ratio": 0.5, "round_to": 2}, ([0, 2], [0, 1])),
    ],
)
def test_in_global_ranking_the_units_of_lowest_normalised_score_go_first(wanted, expected):
    structure = groups.find(network(two))
    asked = request.request(**wanted, ranking="global")
    if expected is None:
        with pytest.raises(ValueError, match=r"ratio: .* 0.1666, got 0.4: .* only 1 of 6 units"):
            selection.kept(structure, asked, in_scores())
        return
    kept = selection.kept(structure, asked, in_scores())
    everything = {"conv1": [0, 1, 2, 3], "conv2": [0, 1]}
    found = everything | {name: indices.tolist() for name, indices in kept.items()}
    assert tuple(found.values()) == expected


@pytest.mark.parametrize("what", ["macs", "parameters"])
def test_in_global_ranking_one_unit_less_does_not_reach_the_target(what):
    model = network(block)
    structure = groups.find(model)
    units = sum(len(each.units) for each in structure.groups if not each.not_prunable)
    walked = [
        size(structure, request.request(number / units, ranking="global", keep=0))
        for number in range(units - len(structure.groups) + 2)
    ]
    assert [number for _, number in walked] == list(range(len(walked)))
    place = ["parameters", "macs"].index(what)
    for one, (cost, number) in zip(walked, walked[1:], strict=False):
        part = cost[place] / walked[0][0][place]
        assert one[0][place] > cost[place]
        wanted = request.request(**{what: part}, ranking="global", keep=0)
        assert size(structure, wanted) == (cost, number)


def sensitivities(**accuracies):
    """As `sensitivity.analyse` returns them; accuracy is 1 if nothing goes."""
    return 1.0, [
        {"layers": [layer], "pruning_ratio": ratio, "accuracy": accuracy}
        for layer, of_layer in accuracies.items()
        for ratio, accuracy in of_layer.items()
    ]


# conv1 costs 0.05, 0.1, 0.5 for 1, 2, 3 filters, and conv2 0.3 for one: 3 2, 2 2, 2 1, 1 1 stay
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"macs": 256 / 320}, (3, 2)),
        ({"macs": 0.6}, (2, 2)),
        ({"macs": 0.5}, (2, 1)),
        ({"macs": 0.25}, (1, 1)),
        ({"ratio": 0.5}, (2, 1)),
        ({"macs": 0.6, "layer_ratios": {"conv2": 0.5}}, (3, 1)),
    ],
)
def test_with_sensitivities_units_go_where_they_cost_least(wanted, expected):
    ranking = sensitivities(conv1={0.5: 0.9, 0.75: 0.5}, conv2={0.5: 0.7})
    smaller = prune(network(two), ranking=ranking, keep=0, **wanted)
    assert tuple(filters(smaller).values()) == expected


def test_a_unit_costs_at_least_as_much_as_those_before_it_and_none_goes_beyond_the_measured():
    group = groups.find(network(two)).groups[0]
    of_layer = sensitivities(conv1={0.25: 0.8, 0.5: 0.9})
    np.testing.assert_allclose(costs(*of_layer, group), [0.2, 0.2], rtol=1e-12)


def test_sensitivities_of_other_layers_are_an_error():
    with pytest.raises(ValueError, match="ranking: expected sensitivities of conv2, got none"):
        prune(network(two), macs=0.5, ranking=sensitivities(conv1={0.5: 0.9}))


def test_measured_sensitivities_rank_the_layers():
    model = network(lambda x: layers.Dense(2)(layers.Flatten()(two(x))))
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 2))
    accuracy, rows = sensitivity.analyse(model, images, np.arange(8) % 2, criterion=l1_norm)
    smaller = prune(model, parameters=0.5, ranking=(np.float32(accuracy), rows))  # any number
    assert smaller.count_params() <= 0.5 * model.count_params()


def test_scores_of_any_scale_and_sign_are_comparable_in_global_ranking():
    structure, asked = groups.find(network(two)), request.request(0.5, ranking="global")
    kept = [
        selection.kept(structure, asked, in_scores(conv2=[sign * 1000, sign * 3000]))
        for sign in (1, -1)
    ]
    assert kept[0]["conv2"].tolist() == [1]
    assert kept[1]["conv2"].tolist() == [0]


def test_every_group_keeps_one_tenth_rounded_up_by_default():
    model = network(lambda x: conv(11, conv(20, x, "conv1"), "conv2"))
    scores = {"conv1": np.ones(20), "conv2": np.arange(11.0)}
    smaller = prune(model, 27 / 31, criterion=scores, ranking="global")
    assert filters(smaller) == {"conv1": 2, "conv2": 2}
    with pytest.raises(ValueError, match="with keep=0.1 only 27 of 31 units can go"):
        prune(model, 28 / 31, criterion=scores, ranking="global")


def test_a_target_is_planned_staged_and_reached_in_an_iterative_schedule():
    model = network(block)
    ratio = target_ratio(model, macs=0.5)
    order = stages(model, macs=0.5)
    assert order == stages(model, ratio)
    cuts = planned_sizes(model, macs=[0.9, 0.5], schedule="iterative")
    assert [cut.layers for cut in cuts[0.5]] == order
    smaller = model
    for only in order:
        smaller = prune(smaller, ratio, only=only)
    assert cuts[0.5][-1].macs == macs(smaller) == macs(prune(model, macs=0.5))
    assert macs(smaller) <= 0.5 * macs(model)


@pytest.mark.parametrize("ranking", ["uniform", "global"])
def test_planned_sizes_of_a_target_are_those_of_the_pruned_network(ranking):
    model = network(block)
    for what, amounts in {"macs": [0.8, 0.5], "parameters": [0.6], "bytes": [400]}.items():
        for amount, (cut,) in planned_sizes(model, **{what: amounts}, ranking=ranking).items():
            smaller = prune(model, **{what: amount}, ranking=ranking)
            assert cut == (None, smaller.count_params(), macs(smaller))


WRONG = {
    "ratio: expected exactly one of ratio, macs, parameters, bytes, got none": {},
    "ratio: expected exactly one of .*, got ratio and macs": {"ratio": 0.1, "macs": 0.5},
    "macs: expected a number above 0, at most 1, got 0": {"macs": 0},
    "parameters: expected a number above 0, at most 1, got 1.1": {"parameters": 1.1},
    "bytes: expected a number above 0, got 'few'": {"bytes": "few"},
    "ranking: expected uniform, global or the result of sensitivity.analyse, got 'all'": {
        "ratio": 0.1,
        "ranking": "all",
    },
    "keep: expected a number from 0 to 1, got 2": {"ratio": 0.1, "ranking": "global", "keep": 2},
    "strategy: expected 'independent' with ranking='global'": {
        "macs": 0.5,
        "ranking": "global",
        "strategy": "greedy",
    },
    "only: expected a ratio for all of these layers": {"macs": 0.5, "only": ["conv1"]},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_target_is_an_error(message):
    with pytest.raises(ValueError, match=message):
        prune(network(two), **WRONG[message])


def test_what_cannot_be_planned_is_an_error():
    with pytest.raises(ValueError, match="ranking: expected 'uniform' for a schedule of several"):
        stages(network(two), macs=0.5, ranking="global")
    with pytest.raises(ValueError, match="ranking: expected 'uniform' for a schedule of several"):
        planned_sizes(network(two), macs=[0.5], ranking="global", schedule="stepwise")
    with pytest.raises(ValueError, match="ratios: expected exactly one list .*, got 2"):
        planned_sizes(network(two), [0.5], macs=[0.5])


def test_macs_that_cannot_be_counted_are_no_target():
    images = keras.Input((None, None, 2))
    x = layers.GlobalAveragePooling2D()(conv(4, images, "conv1"))
    model = keras.Model(images, layers.Dense(3)(x))
    with pytest.raises(ValueError, match="MACs cannot be counted, because its input size"):
        prune(model, macs=0.5)
    assert filters(prune(model, parameters=0.5)) == {"conv1": 1}


def test_greedy_reaches_a_target_with_the_filters_that_it_ranks():
    model = network(two)
    ratio = target_ratio(model, macs=0.5)
    found, expected = (
        prune(model, strategy="greedy", **each) for each in ({"macs": 0.5}, {"ratio": ratio})
    )
    for one, other in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_target_is_planned_in_equal_steps_of_its_ratio():
    model = network(block)
    ratio = target_ratio(model, macs=0.5)
    (cuts,) = planned_sizes(model, macs=[0.5], schedule="stepwise", steps=2).values()
    half = prune(model, ratio / 2, full=model)
    smaller = prune(half, ratio, full=model)
    assert [cut.macs for cut in cuts] == [macs(half), macs(smaller)]
    assert filters(smaller) == filters(prune(model, macs=0.5))


@pytest.mark.parametrize("options", [{"macs": 0.5}, {"ratio": 0.5, "ranking": "global"}])
def test_only_a_ratio_of_each_group_counts_the_filters_of_the_full_network(options):
    model = network(two)
    with pytest.raises(ValueError, match="full: expected a ratio and ranking='uniform' with it"):
        prune(model, full=model, **options)


@pytest.mark.parametrize("ranking", ["uniform", "global"])
def test_layers_without_scores_do_not_count_on_the_way_to_a_target(ranking):
    model = network(block)
    structure = groups.find(model)
    scores = {path: np.arange(len(m.flow.channels)) for path, m in structure.members.items()}
    coupled = next(each for each in structure.groups if len(each.members) > 1)
    path = coupled.members[0].call.path
    known = selection.kept(structure, request.request(macs=0.5, ranking=ranking), scores)
    scores[path] = "it has none"
    found = selection.kept(structure, request.request(macs=0.5, ranking=ranking), scores)
    assert {name: stay.tolist() for name, stay in found.items()} == {
        name: stay.tolist() for name, stay in known.items()
    }
