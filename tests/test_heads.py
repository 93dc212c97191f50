"""pruning/heads.py: what leads only to the outputs stays, without a warning."""

import keras
import pytest
from keras import layers, ops

from pruning import layer_groups, prune
from pruning.channels import TO_OUTPUT


@keras.saving.register_keras_serializable("tests")
class Unknown(layers.Layer):
    """A layer without a rule, with or without a weight."""

    def __init__(self, weighted=False, **kwargs):  # noqa: D107
        super().__init__(**kwargs)
        self.weighted = weighted

    def build(self, shape):  # noqa: D102
        if self.weighted:
            self.add_weight(shape=(shape[-1],))

    def call(self, x):  # noqa: D102
        return ops.flip(x, axis=-1)

    def get_config(self):  # noqa: D102
        return super().get_config() | {"weighted": self.weighted}


def inside(x):
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, layers.Activation("sigmoid")(layers.Reshape((-1, 2))(inputs)))(x)


HEADS = {
    "boxes": lambda x: layers.Concatenate(axis=1)([layers.Reshape((-1, 2))(y) for y in (x, x)]),
    "a softmax after a reshape": lambda x: layers.Softmax()(layers.Reshape((-1, 2))(x)),
    "two parts": lambda x: (layers.Reshape((-1, 4))(x)[..., :1], layers.Reshape((-1, 4))(x) * 2.0),
    "depth to space": lambda x: ops.clip(ops.depth_to_space(x, 2), 0.0, 1.0),
    "a layer of one's own": lambda x: layers.ReLU()(Unknown()(x)),
    "a normalisation after it": lambda x: layers.BatchNormalization()(ops.depth_to_space(x, 2)),
    "in a nested model": inside,
}
IN_THE_BODY = {
    "a convolution after it": lambda x: layers.Conv2D(1, 3)(Unknown()(x)),
    "a convolution on one of two ways": lambda x: (y := Unknown()(x), layers.Conv2D(1, 1)(y)),
    "weights of its own": lambda x: Unknown(weighted=True)(x),
}


def why(build):
    """The reason of the convolution `head`, before what `build` makes; `cut` comes before it."""
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="head")(layers.Conv2D(8, 1, name="cut")(images))
    model = keras.Model(images, build(x))
    rows = {row["layers"]: row["not_pruned_because"] for row in layer_groups(model).rows}
    assert rows["cut"] == "" and prune(model, 0.5).get_layer("cut").filters == 4
    return rows["head"]


@pytest.mark.parametrize("name", HEADS)
def test_filters_from_which_only_outputs_are_computed_are_those_of_the_output(name, caplog):
    assert why(HEADS[name]) == TO_OUTPUT
    assert caplog.messages == []


@pytest.mark.parametrize("name", IN_THE_BODY)
def test_filters_that_a_layer_with_weights_reads_are_not(name, caplog):
    reason = why(IN_THE_BODY[name])
    (message,) = caplog.messages
    assert "there is no rule for this type" in reason and reason in message
