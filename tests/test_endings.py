"""scnnb/endings.py: what a network ends in is read from its structure."""

import keras
import numpy as np
import pytest
from keras import layers

from scnnb import endings, training
from scnnb.endings import Ending


def inner(*stack):
    return keras.Sequential([keras.Input((3,)), *stack])


def functional(*stack):
    x = images = keras.Input((3,))
    for layer in stack:
        x = layer(x)
    return keras.Model(images, x)


ENDS = {  # name: Ending, function that returns the last layers, called one after the other
    "softmax": (Ending(2, False), lambda: [layers.Dense(2, "softmax")]),
    "layer of softmax": (Ending(2, False), lambda: [layers.Dense(2), layers.Softmax()]),
    "activation softmax": (
        Ending(2, False),
        lambda: [layers.Dense(2), layers.Activation("softmax"), layers.Reshape((2,))],
    ),
    "operation softmax": (Ending(2, False), lambda: [layers.Dense(2), keras.ops.softmax]),
    "logits": (Ending(2, True), lambda: [layers.Dense(2)]),
    "logits, nested": (Ending(2, True), lambda: [layers.ReLU(), inner(layers.Dense(2))]),
    "logits, linear": (
        Ending(2, True),
        lambda: [layers.EinsumDense("ab,bc->ac", 2), layers.Activation("linear", dtype="float32")],
    ),
    "sigmoid": (Ending(1, False), lambda: [layers.Dense(1, "sigmoid")]),
    "activation sigmoid": (
        Ending(1, False),
        lambda: [layers.Dense(1), layers.Activation(keras.ops.sigmoid), layers.Flatten()],
    ),
    "operation sigmoid": (Ending(1, False), lambda: [layers.Dense(1), keras.ops.sigmoid]),
    "sigmoid, nested twice": (
        Ending(1, False),
        lambda: [functional(inner(layers.Dense(1), layers.Activation("sigmoid")))],
    ),
    "sigmoid inside, logit": (
        Ending(1, True),
        lambda: [layers.Dense(3, "sigmoid"), layers.Dense(1)],
    ),
    "logit": (Ending(1, True), lambda: [layers.Dense(1)]),
}


def network(name):
    """The network of `ENDS`, for images (1, 1, 3)."""
    x = images = keras.Input((1, 1, 3))
    for layer in [layers.Flatten(), *ENDS[name][1]()]:
        x = layer(x)
    return keras.Model(images, x)


@pytest.mark.parametrize("name", ENDS)
def test_what_a_network_ends_in_is_read_from_its_last_operation(name, tmp_path):
    model, expected = network(name), ENDS[name][0]
    assert endings.of(model) == expected
    model.save(tmp_path / "any.keras")
    assert endings.of(keras.models.load_model(tmp_path / "any.keras")) == expected


@pytest.mark.parametrize("name", ENDS)
def test_inside_in_logits_outputs_are_logits_of_the_same_classes_and_after_it_as_before(name):
    keras.utils.set_random_seed(0)
    model, images = network(name), np.array([[[[1, 2, 3]]], [[[-3, -2, 5]]]], "float32")
    before, (ending, _) = keras.ops.convert_to_numpy(model(images)), ENDS[name]
    with endings.in_logits(model):
        logits = keras.ops.convert_to_numpy(model(images))
        assert endings.of(model) == Ending(ending.outputs, True)
        assert training.accuracy(model, images, ending.classes(before)) == 1
    if ending.logits:
        probabilities = logits
    elif ending.outputs == 1:
        probabilities = 1 / (1 + np.exp(-logits))
    else:
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(probabilities, before, rtol=1e-5)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(images)), before)
    assert endings.of(model) == ending


def test_a_mean_of_maps_without_activation_is_a_logit_and_a_mean_of_sigmoids_is_neither():
    def pooled(activation):
        stack = [layers.Conv2D(1, 1, activation=activation), layers.GlobalAveragePooling2D()]
        return keras.Sequential([keras.Input((4, 4, 1)), *stack])

    assert endings.of(pooled(None)) == Ending(1, True)
    with pytest.raises(ValueError, match="one output by sigmoid .* got 1 output of .*sigmoid"):
        endings.of(pooled("sigmoid"))


@pytest.mark.parametrize(
    ("stack", "got"),
    [
        ([layers.Dense(1, "relu", name="end")], r"1 output of end \(Dense, activation relu\)"),
        ([layers.Dense(1, "softmax", name="end")], r"1 output of end \(Dense, activation softmax"),
        ([layers.Dense(2, "sigmoid", name="end")], r"2 outputs of end \(Dense, activation sigmoid"),
        ([layers.Dense(1), layers.BatchNormalization(name="end")], r"1 output of end \(BatchN"),
    ],
)
def test_other_ends_are_errors(stack, got):
    with pytest.raises(ValueError, match=f"expected class probabilities by softmax.* got {got}"):
        endings.of(inner(*stack))


def test_outputs_of_an_operation_that_is_not_known_are_accepted_if_they_are_probabilities():
    heads = [layers.Dense(2, "softmax") for _ in range(2)]
    images = keras.Input((3,))
    model = keras.Model(images, layers.Average(name="end")([head(images) for head in heads]))
    endings.check(model, np.array([[0.25, 0.75]]))
    for wrong in ([0.2, 0.9], [-0.1, 1.1], [np.nan, np.nan]):
        with pytest.raises(ValueError, match=r"got 2 outputs of end \(Average\), from "):
            endings.check(model, np.array([wrong]))


@pytest.mark.parametrize(
    ("ending", "outputs"),
    [
        (Ending(2, True), [[np.inf, 0]]),
        (Ending(1, True), [[np.nan]]),
        (Ending(1, False), [[-0.1]]),
        (Ending(1, False), [[1.1]]),
        (Ending(1, False), [[np.nan]]),
    ],
)
def test_outputs_that_an_ending_cannot_have_are_not_possible(ending, outputs):
    assert not ending.possible(np.array(outputs))
    assert ending.possible(np.full((1, ending.outputs), 1 / ending.outputs))


def test_classes_are_the_largest_output_or_more_than_half_a_probability():
    two = np.array([[0.1, 0.9], [5.0, -7.0]])
    assert Ending(2, True).classes(two).tolist() == [1, 0]
    one = np.array([[0.1], [0.4], [0.6], [-0.1]])
    assert Ending(1, False).classes(one).tolist() == [0, 0, 1, 0]
    assert Ending(1, True).classes(one).tolist() == [1, 1, 1, 0]
