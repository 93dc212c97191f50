"""experiment/samples.py: random training images and their labels."""

import keras
import numpy as np
import pytest
from keras import layers

import data
from experiment import samples

OF_LOGITS = np.log(2 * np.exp(0.25) + np.exp(1))  # the logits 1/4, 1/4, 1


def test_images_have_their_labels_and_depend_on_the_seed(few):
    dataset = data.load(few)
    label_of = {
        image.tobytes(): label
        for image, label in zip(dataset.train_images[:], dataset.train_labels, strict=True)
    }
    images, labels = samples.training_images(dataset, 3, 7)
    assert [label_of[image.tobytes()] for image in images[:]] == labels.tolist()
    assert len(label_of) == 40 and len({image.tobytes() for image in images[:]}) == 7
    again, _ = samples.training_images(dataset, 3, 7)
    np.testing.assert_array_equal(again[:], images[:])
    other, _ = samples.training_images(dataset, 4, 7)
    assert (other[:] != images[:]).any()


def test_if_there_are_fewer_images_each_is_returned_once(few):
    dataset = data.load(few)
    images, labels = samples.training_images(dataset, 0, 1000)
    assert len(labels) == len({image.tobytes() for image in images[:]}) == 40


@pytest.mark.parametrize(
    ("outputs", "activation", "expected"),
    [
        (3, "softmax", [np.log(4), np.log(2)]),
        (3, None, [OF_LOGITS - 0.25, OF_LOGITS - 1]),
        (1, "sigmoid", [np.log(4 / 3), np.log(4)]),
        (1, None, [np.log(1 + np.exp(0.25)), np.log(1 + np.exp(0.25)) - 0.25]),
    ],
)
def test_a_criterion_that_needs_labels_gets_some_images_with_theirs_and_a_loss(
    few, outputs, activation, expected
):
    dataset, images = data.load(few), keras.Input((1,))
    model = keras.Model(images, layers.Dense(outputs, activation=activation)(images))
    given = samples.for_criterion("taylor", model, dataset, 3, 7)
    chosen, labels = samples.training_images(dataset, 3, 7)
    np.testing.assert_array_equal(given["images"][:], chosen[:])
    np.testing.assert_array_equal(given["labels"], labels)
    answers = np.array([[0.25, 0.25, 0.5 if activation else 1.0][:outputs]] * 2, "float32")
    losses = given["loss"](np.array([0, 2 if outputs > 1 else 1]), answers)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(losses), expected, rtol=1e-5)


@pytest.mark.parametrize("criterion", ["l1", "mean-l1", "bn-scale", "my_score"])
def test_any_other_criterion_gets_all_images(few, criterion):
    dataset = data.load(few)
    given = samples.for_criterion(criterion, None, dataset, 0)
    assert given == {"images": dataset.train_images}
