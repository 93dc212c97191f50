"""pruning/selection.py: which filters stay, worked out by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import criteria, groups, prune, ranking, request, selection
from tests.silenced import randomise


def conv(filters, x, name, size=1):
    return layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)


def network(build, shape=(4, 4, 2)):
    images = keras.Input(shape, name="images")
    return keras.Model(images, layers.Dense(2, name="last")(build(images)))


def kept(build, ratio, scores=None, layer_ratios=None, coupled="joint"):
    """`{layer name: indices of the filters that stay}` of a network that ends in a Dense layer."""
    model = network(build)
    for name, values in (scores or {}).items():
        layer = model.get_layer(name)
        kernel = np.zeros(layer.kernel.shape)
        kernel[..., :1, :] = np.array(values) / np.prod(kernel.shape[:-2])
        layer.kernel.assign(kernel)
    wanted = request.request(ratio, layer_ratios, coupled)
    found = selection.kept(groups.find(model), wanted, criteria.l1_norm)
    return {name: indices.tolist() for name, indices in found.items()}


def chain(x):
    return conv(2, conv(4, x, "conv1"), "conv2")


def test_each_layer_loses_its_filters_of_lowest_score_and_the_others_keep_their_order():
    scores = {"conv1": [3, 1, 2, 5], "conv2": [9, 8]}
    assert kept(chain, 0.5, scores) == {"conv1": [0, 3], "conv2": [0]}


def test_of_equal_scores_the_lower_index_is_removed_first():
    scores = np.random.default_rng(0).integers(0, 3, 400).astype(float)
    found = kept(lambda x: conv(400, x, "conv1"), 0.5, {"conv1": scores})
    ranked = sorted(range(400), key=lambda index: (scores[index], index))
    assert found == {"conv1": sorted(ranked[200:])}


def block(x):
    """A block with a 1x1 projection on its shortcut, then one with the identity."""
    shortcut = conv(4, x, "projection")
    y = conv(3, x, "first", 3)
    x = shortcut + conv(4, y, "second", 3)
    return x + conv(4, conv(3, x, "third", 3), "fourth", 3)


BLOCK = {"projection": [1, 2, 3, 4], "second": [9, 1, 1, 1], "fourth": [9, 9, 1, 1]}
BLOCK |= {"first": [1, 2, 3], "third": [3, 2, 1]}


def test_joint_ranks_a_group_by_the_sum_of_its_members():
    assert kept(block, 0.5, BLOCK) == {  # sums 19, 12, 5, 6
        **dict.fromkeys(["projection", "second", "fourth"], [0, 1]),
        "first": [2],
        "third": [0],
    }


def test_shortcut_ranks_a_group_by_its_projection_alone():
    assert kept(block, 0.5, BLOCK, coupled="shortcut") == {
        **dict.fromkeys(["projection", "second", "fourth"], [2, 3]),
        "first": [2],
        "third": [0],
    }


def test_skip_does_not_prune_a_group_of_several_convolutions():
    assert kept(block, 0.5, BLOCK, coupled="skip") == {"first": [2], "third": [0]}


def bottleneck(x):
    """A block whose main path ends in a 1x1 convolution, too, as in ResNet-50."""
    y = conv(2, conv(2, x, "reduce"), "middle", 3)
    return layers.Add()([conv(4, y, "expand"), conv(4, x, "projection")])


def test_a_1x1_convolution_on_the_main_path_is_not_a_projection():
    scores = {"expand": [4, 3, 2, 1], "projection": [1, 2, 3, 4]}
    found = kept(bottleneck, 0.5, scores, coupled="shortcut")
    assert found["expand"] == found["projection"] == [2, 3]


def pooled_shortcut(x):
    """A block whose projection reads a pooled input of the block, as in ResNet-D."""
    x = conv(3, x, "stem")
    y = layers.Conv2D(4, 3, 2, padding="same", name="main")(conv(2, x, "first"))
    return y + conv(4, layers.AveragePooling2D(2)(x), "projection")


def test_a_projection_may_read_the_pooled_input_of_its_block():
    scores = {"main": [4, 3, 2, 1], "projection": [1, 2, 3, 4]}
    assert kept(pooled_shortcut, 0.5, scores, coupled="shortcut")["main"] == [2, 3]


def inverted(x):
    """Identity shortcuts between 1x1 convolutions, as in MobileNetV2: no projection."""
    x = conv(4, x, "project1")
    y = layers.DepthwiseConv2D(3, padding="same", name="deep")(conv(6, x, "expand2"))
    return x + conv(4, y, "project2")


def test_shortcut_does_not_prune_a_group_without_a_projection():
    assert set(kept(inverted, 0.5, coupled="shortcut")) == {"expand2", "deep"}


@pytest.mark.parametrize("coupled", ["shortcut", "skip"])
def test_a_depthwise_convolution_does_not_count_as_a_second_convolution(coupled):
    found = kept(inverted, 0.5, {"expand2": [6, 5, 4, 3, 2, 1]}, coupled=coupled)
    assert set(found) == {"expand2", "deep"}
    assert found["expand2"] == found["deep"]


def test_the_scores_of_a_depthwise_convolution_count_in_its_group():
    def build(x):
        return layers.DepthwiseConv2D(1, use_bias=False, name="deep")(conv(3, x, "conv1"))

    model = network(build)
    model.get_layer("conv1").kernel.assign(np.ones((1, 1, 2, 3)) * [3, 1, 2])
    model.get_layer("deep").kernel.assign(np.reshape([1.0, 9, 1], (1, 1, 3, 1)))
    wanted = request.request(0.3, {}, "joint")
    found = selection.kept(groups.find(model), wanted, criteria.l1_norm)  # sums 7, 11, 5
    assert found["conv1"].tolist() == found["deep"].tolist() == [0, 1]


COMBINED = {  # conv1 3, 1, 0, 0 is normalised 3, 1, 0, 0; deep 0, 10, 18, 12 is 0, 1, 1.8, 1.2
    "sum": [2, 3],  # 3, 11, 18, 12: deep outvotes conv1
    "mean": [0, 1],  # 1.5, 1, .9, .6
    "max": [0, 2],  # 3, 1, 1.8, 1.2
}


@pytest.mark.parametrize("combine", COMBINED)
def test_the_scores_of_a_unit_are_combined_as_asked(combine):
    def build(x):
        return layers.DepthwiseConv2D(1, use_bias=False, name="deep")(conv(4, x, "conv1"))

    model, scores = network(build), {"conv1": [3, 1, 0, 0], "deep": [0, 10, 18, 12]}
    wanted = request.request(0.5, combine=combine)
    found = selection.kept(groups.find(model), wanted, scores)
    assert found["conv1"].tolist() == found["deep"].tolist() == COMBINED[combine]
    kernel = np.reshape(np.arange(4.0), (1, 1, 4, 1))
    model.get_layer("deep").kernel.assign(kernel)
    smaller = prune(model, 0.5, criterion=scores, combine=combine).get_layer("deep")
    assert np.ravel(keras.ops.convert_to_numpy(smaller.kernel)).tolist() == found["deep"].tolist()


def test_in_a_mean_a_layer_of_several_filters_in_a_unit_has_one_vote():
    def build(x):
        deep = layers.DepthwiseConv2D(1, depth_multiplier=3, use_bias=False, name="deep")
        return deep(conv(2, x, "conv1"))

    # normalised: conv1 .5, 1.5; deep (1, 1, 1.6), (.8, .8, .8): means 1.2 and .8
    scores = {"conv1": [1, 3], "deep": [5, 5, 8, 4, 4, 4]}
    structure = groups.find(network(build))
    group = structure.groups[0]
    found = [
        ranking.unit_scores(structure, group.members, scores, combine=each)[group.units]
        for each in ("sum", "mean", "max")
    ]
    np.testing.assert_allclose(found, [[19, 15], [0.85, 1.15], [1.6, 1.5]])


def test_negative_scores_keep_their_order_when_they_are_normalised():
    assert ranking.normalised(np.array([-1.0, -3, -2])).tolist() == [-0.5, -1.5, -1]
    assert ranking.normalised(np.zeros(3)).tolist() == [0, 0, 0]


def test_a_grouped_convolution_loses_the_same_filters_of_every_group():
    def build(x):
        x = conv(4, x, "before")
        return layers.Conv2D(4, 1, groups=2, use_bias=False, name="grouped")(x)

    scores = {"before": [9, 1, 1, 5], "grouped": [1, 2, 8, 1]}
    assert kept(build, 0.5, scores) == {"before": [0, 2], "grouped": [0, 2]}  # sums 10, 6; 9, 3


def test_the_inputs_of_a_concatenation_are_ranked_separately():
    def build(x):
        joined = layers.Concatenate()([conv(2, x, "left"), conv(4, x, "right")])
        return joined + conv(6, x, "both")

    scores = {"left": [1, 2], "right": [1, 2, 3, 4], "both": [0] * 6}
    assert kept(build, 0.5, scores) == {"left": [1], "right": [2, 3], "both": [1, 4, 5]}


def test_channels_of_the_input_and_the_output_are_not_pruned():
    def build(x):
        x = x + conv(2, x, "with_the_images")
        return conv(3, x, "free")

    assert set(kept(build, 0.5)) == {"free"}


def test_the_ratio_of_one_layer_holds_for_all_layers_of_its_group():
    found = kept(block, 0, BLOCK, layer_ratios={"second": 0.25})
    assert found == dict.fromkeys(["projection", "second", "fourth"], [0, 1, 3])
    with pytest.raises(ValueError, match="expected one ratio .*, got projection 0.5, second 0.25"):
        kept(block, 0, BLOCK, layer_ratios={"second": 0.25, "proj*": 0.5})


def test_a_ratio_for_a_group_that_is_not_pruned_is_an_error():
    with pytest.raises(
        ValueError, match="for 'second', got 0.25: .* because it is coupled to other"
    ):
        kept(block, 0.5, layer_ratios={"second": 0.25}, coupled="skip")


def two_by_two(strategy, only=None):
    """conv1 loses its first filter; the second filter of conv2 mainly reads that one."""
    model = network(lambda x: conv(2, conv(2, x, "conv1"), "conv2"))
    model.get_layer("conv1").kernel.assign(np.reshape([[1.0, 2], [0, 0]], (1, 1, 2, 2)))
    model.get_layer("conv2").kernel.assign(np.reshape([[0.0, 5], [3, 1]], (1, 1, 2, 2)))
    wanted, options = request.request(0.5, {}, "joint"), {"strategy": strategy, "only": only}
    found = selection.kept(groups.find(model), wanted, criteria.l1_norm, **options)
    return {name: indices.tolist() for name, indices in found.items()}


def test_greedy_scores_kernels_without_the_removed_input_channels():
    # conv2 with all input channels: 0 + 3 and 5 + 1; without its first input channel: 3 and 1
    assert two_by_two("independent") == {"conv1": [1], "conv2": [1]}
    assert two_by_two("greedy") == {"conv1": [1], "conv2": [0]}


def test_a_function_that_needs_two_arguments_gets_the_layer_too():
    model = network(chain)
    seen = []

    def own(kernel, layer):
        seen.append((layer, kernel.shape))
        return np.arange(kernel.shape[-1])

    for criterion in (own, lambda kernel, scale=1: own(kernel, "none")):
        found = selection.kept(groups.find(model), request.request(0.5, {}, "joint"), criterion)
        assert found["conv1"].tolist() == [2, 3]
    names = [getattr(layer, "name", layer) for layer, _ in seen]
    assert names == ["conv1", "conv2", "none", "none"]
    with pytest.raises(ValueError, match="scores of shape"):  # np.abs has no signature
        selection.kept(groups.find(model), request.request(0.5, {}, "joint"), np.abs)


def test_greedy_scores_kernels_with_input_channels_that_are_removed_later():
    assert two_by_two("greedy", only=["conv2"]) == {"conv2": [1]}


@pytest.mark.parametrize(
    "middle",
    [
        lambda x: layers.Conv2D(2, 1, use_bias=False, name="reader")(x),
        lambda x: layers.Conv2DTranspose(2, 1, use_bias=False, name="reader")(x),
        lambda x: layers.SeparableConv2D(2, 1, depth_multiplier=2, use_bias=False, name="reader")(
            x
        ),
        lambda x: layers.Conv2D(8, 1, groups=2, use_bias=False, name="reader")(x),
        lambda x: layers.Dense(2, use_bias=False, name="reader")(x),
        lambda x: layers.Conv2D(2, 1, use_bias=False, name="reader")(
            layers.Concatenate()([layers.BatchNormalization()(x), conv(1, x, "beside")])
        ),
    ],
)
def test_greedy_selects_the_same_filters_as_cutting_layer_after_layer(middle):
    model = randomise(network(lambda x: middle(conv(8, x, "conv1"))))
    found = prune(model, 0.5, strategy="greedy", only=["conv1", "reader"])
    steps = prune(prune(model, 0.5, only=["conv1"]), 0.5, only=["reader"])
    for one, other in zip(found.get_weights(), steps.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
