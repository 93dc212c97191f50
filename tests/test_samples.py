"""experiment/samples.py: random training images and their labels."""

import numpy as np

import data
from experiment import samples


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
