"""pruning/scales.py: scores from BatchNormalization, worked out by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import groups, prune, request, scales, selection

IMAGES = (4, 4, 2)


def conv(filters, name, **options):
    return layers.Conv2D(filters, 1, name=name, **options)


def norm(*gamma):
    return layers.BatchNormalization(gamma_initializer=lambda shape, dtype: np.resize(gamma, shape))


def network(build):
    images = keras.Input(IMAGES)
    x = layers.GlobalAveragePooling2D()(build(images))
    return keras.Model(images, layers.Dense(2, name="last")(x))


def scored(build):
    """`{layer name: list of scores}` of the layers that have some."""
    found = scales.scores(network(build))
    return {path: s.tolist() for path, s in found.items() if not isinstance(s, str)}


def test_the_score_is_the_absolute_scale_after_the_layer_before_its_own_activation_or_not():
    for options in ({}, {"activation": "relu"}, {"use_bias": False}):
        found = scored(lambda x, o=options: norm(-3, 0.5, 2)(conv(3, "conv1", **o)(x)))
        assert found == {"conv1": [3, 0.5, 2]}
    found = scored(lambda x: norm(1, -2)(layers.DepthwiseConv2D(1, name="deep")(x)))
    assert found == {"deep": [1, 2]}


@pytest.mark.parametrize(
    "build",
    [
        lambda x: conv(2, "conv1")(x),
        lambda x: norm(1, 2)(layers.ReLU()(conv(2, "conv1")(x))),
        lambda x: layers.BatchNormalization(scale=False)(conv(2, "conv1")(x)),
        lambda x: norm(1, 2)(y := conv(2, "conv1")(x)) + y,
        lambda x: norm(1, 2, 3, 4)(layers.Concatenate()([conv(2, "conv1")(x), x])),
        lambda x: layers.Add()(
            [norm(1, 2)(y := conv(2, "conv1")(x)), layers.BatchNormalization(scale=False)(y)]
        ),
    ],
)
def test_a_layer_whose_output_something_else_reads_has_no_scores(build):
    model = network(build)
    assert scales.scores(model)["conv1"] == scales.NO_SCALE
    with pytest.raises(
        ValueError, match=r"^criterion: expected scores for conv1 \(Conv2D\), got none: .*ratio 0"
    ):
        prune(model, 0.5, criterion="bn-scale")


def test_scales_of_several_branches_and_of_the_calls_of_a_shared_layer_are_added():
    def branches(x):
        y = conv(2, "conv1")(x)
        return layers.Concatenate()([norm(1, -2)(y), norm(10, 20)(y)])

    def shared(x):
        layer, both = conv(2, "conv1"), norm(1, 2)
        return both(layer(both(layer(x)))) + norm(10, -20)(layer(x))

    assert scored(branches) == scored(shared) == {"conv1": [11, 22]}


def test_layers_at_the_edge_of_nested_models_are_followed():
    def build(x):
        inner = keras.Sequential([keras.Input(IMAGES), norm(1, 2), conv(2, "conv2")], name="in")
        outer = keras.Sequential([keras.Input(IMAGES), inner], name="out")
        return norm(3, 4)(outer(conv(2, "conv1")(x)))

    assert scored(build) == {"conv1": [1, 2], "out/in/conv2": [3, 4]}


def test_the_filters_of_lowest_scale_are_removed_and_layers_without_one_do_not_count():
    def build(x):  # squeeze and excitation: conv2 has no BatchNormalization
        x = norm(-3, 0.5, 2, -1)(conv(4, "conv1")(x))
        return x * conv(4, "conv2", activation="sigmoid")(layers.AveragePooling2D(4)(x))

    model = network(build)
    model.get_layer("conv2").kernel.assign(np.full((1, 1, 4, 4), [1, 100, 1, 100]))
    kept = {"conv1": [0, 2], "conv2": [0, 2]}
    structure, wanted = groups.find(model), request.request(0.5, {}, "joint")
    found = selection.kept(structure, wanted, scales.scores(model))
    assert {name: indices.tolist() for name, indices in found.items()} == kept
    smaller = prune(model, 0.5, criterion="bn-scale")
    np.testing.assert_array_equal(smaller.layers[2].get_weights()[0], [-3, 2])


def test_if_only_the_shortcut_decides_it_must_have_a_scale():
    def build(x):
        return layers.Add()(
            [
                norm(1, 2)(layers.Conv2D(2, 3, padding="same", name="main")(x)),
                conv(2, "projection")(x),
            ]
        )

    assert prune(network(build), 0.5, criterion="bn-scale").get_layer("main").filters == 1
    with pytest.raises(ValueError, match="expected scores for projection .*, got none: its output"):
        prune(network(build), 0.5, criterion="bn-scale", coupled="shortcut")


def test_a_layer_without_a_scale_that_is_not_pruned_needs_none():
    def build(x):
        return conv(4, "conv2")(norm(1, 3, 2)(conv(3, "conv1")(x)))

    smaller = prune(network(build), 0.3, criterion="bn-scale", layer_ratios={"conv2": 0})
    assert smaller.get_layer("conv1").filters == 2
