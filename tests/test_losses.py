"""scnnb/losses.py: losses and their gradients, worked out by hand, on the backend in use."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from scnnb import losses, training
from scnnb.endings import Ending
from scnnb.teacher import Teacher
from tests.test_endings import ENDS, network

LEAST = {"epochs": 1, "optimizer": "sgd", "learning_rate": 1.0, "augment": ""}
LN4, LN43 = math.log(4), math.log(4 / 3)
CASES = {  # labels 0, 0, 0, 1 at the probability 3/4 of class 1: loss, gradient of the logit
    "plain": ({}, (3 * LN4 + LN43) / 4, (3 * 0.75 - 0.25) / 4),
    "smoothed": (  # the label of class 1 is 0.1 or 0.9
        {"label_smoothing": 0.2},
        (3 * (0.9 * LN4 + 0.1 * LN43) + 0.1 * LN4 + 0.9 * LN43) / 4,
        (3 * 0.65 - 0.15) / 4,
    ),
    "weighted": (  # by 4 / (2 * 3) and 4 / (2 * 1)
        {"class_weights": "balanced"},
        (2 * LN4 + 2 * LN43) / 4,
        (2 * 0.75 - 2 * 0.25) / 4,
    ),
    "both": (
        {"label_smoothing": 0.2, "class_weights": "balanced"},
        (2 * (0.9 * LN4 + 0.1 * LN43) + 2 * (0.1 * LN4 + 0.9 * LN43)) / 4,
        (2 * 0.65 - 2 * 0.15) / 4,
    ),
}


def step(name, logit, labels, **options):
    """`(logs, gradient of the logit)` of a training of one step, with all images in one batch.

    The images are ones. The logit of class 1 is that of the last weight alone.
    """
    model = silent(name)
    model.weights[-1].assign([0, logit] if ENDS[name][0].outputs == 2 else [logit])
    return changed_by_a_step(model, model.weights[-1], labels, **options)


def silent(name):
    """The network of `ENDS` with all weights 0."""
    model = network(name)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    return model


def changed_by_a_step(model, weight, labels, **options):
    """`(logs, gradient of the last value of the weight)`; the rest as for `step`."""
    images, before = np.ones((len(labels), 1, 1, 3), "float32"), numbers(weight)
    dataset = SimpleNamespace(train_images=images, train_labels=np.array(labels, "int32"))
    logs = {}
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, of_epoch: logs.update(of_epoch))
    how = LEAST | options | {"batch_size": len(labels), "callbacks": [watch]}
    training.train(model, dataset, **how)
    return logs, (before - numbers(weight))[-1]


def numbers(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ending", [Ending(2, False), Ending(2, True), Ending(1, True)])
def test_the_loss_of_every_ending_is_that_worked_out_by_hand(ending, case):
    options, expected, _ = CASES[case]
    labels = np.array([0, 0, 0, 1])
    weights = losses.balanced(labels) if "class_weights" in options else None
    outputs = [0.25, 0.75] if not ending.logits else [0, math.log(3)][-ending.outputs :]
    outputs = np.array([outputs] * 4, "float32")
    result = losses.loss(ending, options.get("label_smoothing", 0.0), weights)(labels, outputs)
    assert np.mean(numbers(result)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["softmax", "logits", "sigmoid", "logit"])
def test_loss_gradient_and_accuracy_of_a_training_are_those_worked_out_by_hand(name):
    options, loss, gradient = CASES["both"]
    logs, changed = step(name, math.log(3), [0, 0, 0, 1], **options)
    assert logs["loss"] == pytest.approx(loss, abs=1e-5)
    assert changed == pytest.approx(gradient, abs=1e-4)
    assert logs["accuracy"] == 0.25  # without weights: all are taken for class 1


# logits ln 9 of the network and 0 of the teacher; the probabilities of class 1 are 3/4 and 1/2 at
# temperature 2, where the divergence is ln(4/3) / 2, and 0.9 without
LN9, LN10, LN109 = math.log(9), math.log(10), math.log(10 / 9)
DISTILLED = 0.75 * (3 * LN10 + LN109) / 4 + 0.25 * 4 * LN43 / 2
OF_DISTILLED = 0.75 * (3 * 0.9 - 0.1) / 4 + 0.25 * 2 * (3 / 4 - 1 / 2)


@pytest.mark.parametrize("ending", [Ending(2, False), Ending(2, True), Ending(1, True)])
def test_the_loss_of_a_taught_network_is_that_worked_out_by_hand(ending):
    outputs = np.array([[0, LN9][-ending.outputs :] if ending.logits else [0.1, 0.9]] * 4)
    outputs = outputs.astype("float32")
    targets = np.zeros((4, 1 + ending.outputs), "float32")
    targets[3, 0] = 1
    result = losses.loss(ending, teacher=Teacher(None, 0.25, 2.0))(targets, outputs)
    assert np.mean(numbers(result)) == pytest.approx(DISTILLED, abs=1e-6)


@pytest.mark.parametrize("name", ["softmax", "logits", "sigmoid", "logit"])
@pytest.mark.usefixtures("eager")
def test_a_training_learns_from_labels_and_from_its_teacher(name):
    teacher = silent(name)
    logs, changed = step(name, LN9, [0, 0, 0, 1], teacher=Teacher(teacher, 0.25, 2.0))
    assert logs["loss"] == pytest.approx(DISTILLED, abs=1e-5)
    assert changed == pytest.approx(OF_DISTILLED, abs=1e-4)
    assert logs["accuracy"] == 0.25
    assert all((weight == 0).all() for weight in teacher.get_weights())


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
@pytest.mark.usefixtures("eager")
def test_a_network_that_answers_as_its_teacher_learns_nothing_without_labels(name):
    teacher = silent(name)
    teacher.weights[-1].assign([0, 1.5][-ENDS[name][0].outputs :])
    logs, changed = step(name, 1.5, [0, 0, 1], teacher=Teacher(teacher, 1.0, 3.0))
    assert (logs["loss"], changed) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("name", ["activation softmax", "activation sigmoid"])
@pytest.mark.usefixtures("eager")
def test_the_gradient_is_not_0_if_the_probability_of_the_label_is_almost_0(name):
    logs, changed = step(name, 60.0, [0], label_smoothing=0.2)
    assert logs["loss"] == pytest.approx(54, rel=1e-5)
    assert changed == pytest.approx(0.9, abs=1e-3)


@pytest.mark.usefixtures("eager")
def test_the_gradient_of_probabilities_of_unknown_origin_is_not_0_either():
    """Keras' own loss replaces probabilities below 1e-7, and has no gradient there."""
    images = keras.Input((1, 1, 3))
    heads = [layers.Dense(2, "softmax", kernel_initializer="zeros") for _ in range(2)]
    model = keras.Model(
        images, layers.Average()([head(layers.Flatten()(images)) for head in heads])
    )
    for head in heads:
        head.bias.assign([0, 60])
    assert changed_by_a_step(model, heads[0].bias, [0])[1] == pytest.approx(0.5, abs=1e-3)


def test_smoothing_spreads_a_part_of_a_label_over_all_classes():
    """Three classes, probabilities 1/2, 1/4 and 1/4; labels of 0.3: 0.1, 0.1 and 0.8."""
    ending = Ending(3, True)
    logits = np.log([[0.5, 0.25, 0.25]]).astype("float32")
    (result,) = losses.loss(ending, 0.3)(np.array([2]), logits)
    assert float(result) == pytest.approx(0.1 * math.log(2) + 0.9 * math.log(4), abs=1e-6)


def test_balanced_weights_give_every_class_that_has_images_the_same_sum():
    weights = losses.balanced(np.array([0, 0, 0, 3, 1, 1]))
    np.testing.assert_allclose(weights, [6 / 9, 6 / 6, 0, 6 / 3], rtol=1e-6)


@pytest.mark.parametrize(("class_weights", "probability"), [("", 0.1), ("balanced", 0.5)])
def test_with_balanced_weights_a_class_of_one_image_in_ten_is_as_probable_as_the_other(
    class_weights, probability
):
    """All images are the same, so that the network learns how often a class is."""
    images, labels = np.ones((20, 1, 1, 3), "float32"), np.repeat([0, 1], [18, 2]).astype("int32")
    dataset, model = SimpleNamespace(train_images=images, train_labels=labels), network("softmax")
    how = LEAST | {"epochs": 40, "batch_size": 20, "class_weights": class_weights}
    how["learning_rate"] = 0.5
    training.train(model, dataset, **how)
    assert numbers(model(images[:1]))[0, 1] == pytest.approx(probability, abs=0.01)
