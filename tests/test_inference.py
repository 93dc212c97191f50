"""pruning/exports/inference.py: the network that is exported."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import graph
from pruning.exports.inference import TRAINING_ONLY, for_inference
from tests.versions import from_keras

IMAGES = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
NO_FACTOR = (
    "ActivityRegularization AugMix CutMix MixUp RandAugment RandomColorJitter "
    "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale "
    "RandomInvert RandomPerspective"
).split()
ARGUMENTS = {"RandomTranslation": (0.2, 0.2), "RandomPosterization": (4,)}
ARGUMENTS |= dict.fromkeys(NO_FACTOR, ())


@pytest.mark.parametrize("layer_type", TRAINING_ONLY, ids=lambda each: each.__name__)
def test_a_layer_that_is_left_out_returns_its_input_at_inference(layer_type):
    name = layer_type.__name__
    layer = layer_type(*ARGUMENTS.get(name, (0.2,)))
    images = IMAGES[0] if name == "SpatialDropout1D" else IMAGES
    images = IMAGES[None] if name == "SpatialDropout3D" else images
    np.testing.assert_array_equal(layer(images, training=False), images)


def network(policy, augmented):
    """A network of this dtype policy with a nested model that is called twice."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    inner = [layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()]
    inner += [layers.SpatialDropout2D(0.3)] if augmented else []
    inner = keras.Sequential([keras.Input((8, 8, 3)), *inner], name="inner")
    images = keras.Input((8, 8, 3), dtype=policy.removeprefix("mixed_"))
    x = layers.Lambda(lambda x: 2 * x)(images)
    x = layers.RandomRotation(0.2)(layers.RandomFlip()(x)) if augmented else x
    x = inner(keras.ops.relu(inner(x)) + x)
    x = layers.TimeDistributed(layers.Dense(4, "relu"))(x)
    steps = [keras.Input((8, 4)), layers.Dense(4), *[layers.Dropout(0.3)][:augmented]]
    x = layers.TimeDistributed(keras.Sequential(steps))(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x)) if augmented else layers.Flatten()(x)
    model = keras.Model(images, layers.Dense(5, "softmax")(x))
    keras.config.set_dtype_policy(before)
    return model


@pytest.mark.parametrize("policy", ["float32", "bfloat16", "float64", "mixed_bfloat16"])
def test_the_network_is_the_same_without_training_only_layers_in_float32(policy):
    model = network(policy, augmented=True)
    result, plain = for_inference(model), network("float32", augmented=False)
    assert {type(layer) for layer in graph.layers(result)}.isdisjoint(TRAINING_ONLY)
    assert {weight.dtype for weight in result.weights} == {"float32"}
    assert (result.inputs[0].dtype, result.outputs[0].dtype) == ("float32", "float32")
    plain.set_weights([np.asarray(weight, np.float32) for weight in model.weights])
    np.testing.assert_array_equal(result(IMAGES), plain(IMAGES))
    assert model.layers[-1].dtype_policy.name == policy  # the model is not changed
    assert sum(type(layer) in TRAINING_ONLY for layer in graph.layers(model)) == 5


def test_a_network_that_needs_no_change_is_not_copied():
    model = network("float32", augmented=False)
    assert for_inference(model).layers == model.layers


def test_integers_become_float_if_an_augmentation_layer_that_converted_them_is_left_out():
    images = keras.Input((8, 8, 3), dtype="uint8")
    model = keras.Model(images, layers.Conv2D(2, 3)(layers.RandomFlip()(images)))
    integers = (255 * IMAGES).astype(np.uint8)
    result = for_inference(model)
    assert result.inputs[0].dtype == "uint8"
    np.testing.assert_allclose(result(integers), model(integers, training=False), rtol=1e-6)


@from_keras((3, 15), "a model of dicts is not cloned on other inputs")
def test_inputs_and_outputs_of_a_dict_are_in_the_order_of_the_model():
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    doubled, dropped = 2 * second, layers.Dropout(0.5)(first)
    model = keras.Model({"b": first, "a": second}, {"y": doubled, "x": dropped})
    result = for_inference(model)
    one, two = np.ones((1, 2), np.float32), np.full((1, 2), 2, np.float32)
    arrays = {"b": one, "a": two}
    order = [symbol.name for symbol in model.inputs]
    x, y = result([arrays[name] for name in order])
    np.testing.assert_array_equal(x, one)
    np.testing.assert_array_equal(y, 2 * two)


def test_a_layer_that_cannot_be_copied_is_an_error():
    class Odd(layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, images):
            return self.factor * images

    images = keras.Input((8, 8, 3))
    model = keras.Model(images, layers.Dropout(0.2)(Odd(2)(images)))
    with pytest.raises(ValueError, match=r"odd \(Odd\): it cannot be copied: .*factor"):
        for_inference(model)
