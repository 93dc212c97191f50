"""scnnb/teacher.py: what a teacher answers, beside the labels of each batch."""

import keras
import numpy as np
import pytest
from keras import layers

from scnnb.teacher import Teacher, answering


def built(*head):
    keras.utils.set_random_seed(0)
    stack = [layers.Conv2D(3, 3), layers.BatchNormalization(momentum=0.5), layers.Flatten()]
    model = keras.Sequential([keras.Input((4, 4, 1)), *stack, layers.Dropout(0.5), *head])
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).uniform(0.1, 0.5, weight.shape))
    return model


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("head", ["softmax", "sigmoid", None])
def test_beside_each_label_are_the_logits_of_the_teacher_in_inference(head, precision):
    outputs = 1 if head == "sigmoid" else 3
    model = built(layers.Dense(outputs, head))
    logits = built(layers.Dense(outputs))
    logits.set_weights(model.get_weights())
    before = [weight.tobytes() for weight in model.get_weights()]
    images = np.random.default_rng(2).uniform(0, 1, (5, 4, 4, 1)).astype("float32")
    batches = [(images[:3], np.array([2, 0, 1], "int32")), (images[3:], np.array([1, 2], "int32"))]
    given = answering(Teacher(model, 0.5, 2.0), precision, lambda: iter(batches), (4, 4, 1))
    with given as source:
        (first, targets), (second, others) = source()
    assert first is batches[0][0] and second is batches[1][0]
    targets = np.concatenate([targets, others])
    assert (targets.dtype, targets[:, 0].tolist()) == (np.float32, [2, 0, 1, 1, 2])
    expected = keras.ops.convert_to_numpy(logits(images, training=False))
    exact = precision == "float32"
    np.testing.assert_allclose(targets[:, 1:], expected, rtol=1e-5 if exact else 1e-2)
    assert np.allclose(targets[:, 1:], expected, rtol=1e-5) == exact
    assert [weight.tobytes() for weight in model.get_weights()] == before
    outputs = keras.ops.convert_to_numpy(model(images))
    assert np.allclose(outputs, expected, rtol=1e-5) == (head is None)  # as before


def test_without_a_teacher_the_batches_are_those_of_the_generator():
    def generator():
        yield from ()

    with answering(None, "float32", generator, (4, 4, 1)) as source:
        assert source is generator
