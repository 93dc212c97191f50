"""pruning/copies.py: a copied layer computes the same, or is an error."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from pruning import groups, prune, surgery
from tests.silenced import predict
from tests.versions import from_keras

FACTOR = 3.0
FACTORS = [FACTOR]


def around(make, images=None):
    """The layer that `make` returns, between the convolutions `before` and `pruned`.

    The tests prune `pruned` only, so that no removed channels reach the layer.
    """
    images = keras.Input((4, 4, 3)) if images is None else images
    x = make()(layers.Conv2D(3, 1, name="before")(images))
    return keras.Model(images, layers.Dense(2)(layers.Conv2D(4, 1, name="pruned")(x)))


def same(model, copy):
    images = np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_array_equal(predict(model, images), predict(copy, images))


def own_function(x):
    return x * FACTOR


LIVE = {
    "lambda with globals": lambda: layers.Lambda(lambda x: x * FACTOR),
    "lambda with a closure": lambda: layers.Lambda(lambda x, factors=FACTORS: x * factors[0]),
    "function": lambda: layers.Lambda(own_function),
    "arguments": lambda: layers.Lambda(lambda x, k: x * k, arguments={"k": np.float32(2)}),
    "output shape": lambda: layers.Lambda(lambda x: x * FACTOR, output_shape=(4, 4, 3)),
    "function of the shape": lambda: layers.Lambda(own_function, output_shape=lambda shape: shape),
    "activation": lambda: layers.Dense(3, activation=lambda x: x * FACTOR),
    "Activation": lambda: layers.Activation(own_function),
    "regularizer": lambda: layers.Dense(3, kernel_regularizer=lambda w: FACTOR * ops.sum(w)),
    "nested": lambda: keras.Sequential([keras.Input((4, 4, 3)), layers.Lambda(own_function)]),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=from_keras((3, 15), "a regularizer must not be a plain function"))
        if name == "regularizer"
        else name
        for name in LIVE
    ],
)
def test_functions_of_the_user_work_in_the_copy(name):
    model = around(LIVE[name])
    copy = prune(model, 0)
    same(model, copy)
    pruned = prune(model, 0, layer_ratios={"pruned": 0.5})
    assert pruned.get_layer("pruned").filters == 2
    made, other = model.layers[2], copy.layers[2]
    assert made is not other and (made.name, made.dtype) == (other.name, other.dtype)
    assert made.output is not None  # an error if the layer was called again


def test_a_copied_lambda_can_be_stored_and_loaded(tmp_path):
    copy = prune(around(LIVE["output shape"]), 0)
    copy.save(tmp_path / "copy.keras")
    loaded = keras.models.load_model(tmp_path / "copy.keras", safe_mode=False)
    assert loaded.layers[2].output.shape == (None, 4, 4, 3)


class _Scale(layers.Layer):  # its config lacks the factor
    factor = 1.0

    def call(self, x):
        return x * self.factor

    def compute_output_shape(self, shape):
        return shape


class _Units(layers.Layer):  # its config lacks `units`
    units = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return x @ self.kernel


class _Words(layers.Layer):  # reads integers
    shift = 0

    def call(self, x):
        return ops.one_hot(x + self.shift, 3)


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def in_a_model(layer):
    return keras.Sequential([keras.Input((4, 4, 3)), layer], name="inner")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: changed(_Scale(name="own"), factor=2.0), r"^own \(_Scale\): .*something else"),
        (
            lambda: in_a_model(changed(_Scale(name="own"), factor=2.0)),
            r"^inner/own \(_Scale\): .*something else",
        ),
        (
            lambda: layers.TimeDistributed(changed(_Scale(), factor=2.0), name="steps"),
            r"^steps \(TimeDistributed\): .*something else",
        ),
        (lambda: changed(_Units(name="own"), units=5), r"^own \(_Units\): it cannot be copied"),
    ],
)
def test_a_layer_whose_config_lacks_an_attribute_is_an_error_with_its_name(make, message):
    with pytest.raises(ValueError, match=message):
        prune(around(make), 0)


def test_a_layer_that_reads_integers_is_compared_to_its_copy():
    for shift in (0, 1):
        words = keras.Input((6,), dtype="int32")
        x = changed(_Words(name="own"), shift=shift)(words)
        model = keras.Model(words, layers.Dense(2)(layers.Conv1D(4, 1)(x)))
        if shift:
            with pytest.raises(ValueError, match=r"own \(_Words\): .*something else"):
                prune(model, 0.5)
        else:
            assert prune(model, 0.5).layers[2].filters == 2


class _Noise(layers.Layer):  # it adds noise at inference, too
    def __init__(self, seed, **settings):
        super().__init__(**settings)
        self.generator = keras.random.SeedGenerator(seed)
        self.counter = self.add_weight(trainable=False, name="counter", initializer="zeros")

    def call(self, x):
        self.counter.assign_add(1)
        return x + keras.random.normal(ops.shape(x), seed=self.generator)


class _Applied(layers.Layer):  # its config lacks the function, and its __init__ takes no name
    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-1:], name="bias", initializer="normal")

    def call(self, x):
        return self.function(x) + self.bias


class _Held(_Applied):  # it holds another layer
    def __init__(self, function):
        super().__init__(function)
        self.inner = layers.Dense(3)


def test_a_layer_without_a_usable_config_is_copied_by_its_attributes():
    model = around(lambda: _Applied(own_function))
    copy = prune(prune(model, 0), 0)
    same(model, copy)
    made, other = model.layers[2], copy.layers[2]
    assert made.bias is not other.bias and made.name == other.name
    assert made.output is not None  # an error if the layer was called again
    with pytest.raises(ValueError, match=r"held \(_Held\): it cannot be copied: Object _Held was"):
        prune(around(lambda: _Held(own_function)), 0)


class _Plain(layers.Layer):  # Keras' guide has such a layer; it is stored, but not loaded
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_a_layer_without_get_config_is_copied_with_its_arguments_and_can_be_stored(tmp_path):
    model = around(lambda: _Plain(3.0))
    model.layers[2].dtype_policy = keras.DTypePolicy("float16")
    copy = prune(model, 0, layer_ratios={"pruned": 0.5})
    same(model, prune(model, 0))
    made, other = model.layers[2], copy.layers[2]
    assert made is not other and other.factor == 3.0 and made.get_config() == other.get_config()
    assert (made.name, made.dtype) == (other.name, other.dtype)
    copy.save(tmp_path / "copy.keras")


def test_a_layer_that_draws_random_numbers_is_copied_and_keeps_its_state():
    model = around(lambda: _Noise(7, name="noise"))
    before = [variable.numpy() for variable in model.get_layer("noise").variables]
    copy = prune(model, 0)
    after = [variable.numpy() for variable in model.get_layer("noise").variables]
    for value, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(value, other)
    assert copy.get_layer("noise").counter.numpy() == before[0]


def test_training_the_copy_does_not_change_the_network():
    model = around(_Units)
    model.compile("sgd", "mse")
    before = model.get_weights()
    copy = surgery.cut(groups.find(model), {})
    copy.compile("sgd", "mse")
    copy.fit(np.ones((2, 4, 4, 3)), np.ones((2, 4, 4, 2)), verbose=0)
    for value, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, other)
    assert not np.array_equal(copy.layers[2].kernel, model.layers[2].kernel)
