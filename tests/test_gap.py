"""experiment/gap.py: training and test accuracy that are far apart."""

import keras
import numpy as np
import pytest
from keras import layers

from data.dataset import Dataset, Images
from experiment import gap

# a bright pixel is class 1, a dark one class 0
TRAIN = np.repeat(np.array([0, 255], "uint8"), 20)[:, None, None, None]
LABELS = np.repeat(np.array([0, 1], "int32"), 20)


@pytest.fixture
def dataset():
    """40 training images of one pixel."""
    return Dataset("d", Images(TRAIN), LABELS, Images(TRAIN), 1 - LABELS, 2, "")


def network(mean, normalization=True):
    """Answers class 1 if the pixel is above the mean of the moving statistics."""
    images = keras.Input((1, 1, 1))
    x = layers.BatchNormalization()(images) if normalization else images
    model = keras.Model(images, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))
    if normalization:
        model.layers[1].moving_mean.assign([mean])
    bias = [0.0, 0.0 if normalization else 99.0]  # without, it always answers class 1
    model.layers[-1].set_weights([np.array([[-9.0, 9.0]]), np.array(bias)])
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (network(mean=0.5), "may be overfitting"),  # right on all training images
        (network(mean=5.0), "moving statistics of BatchNormalization lag behind"),  # on half
        (network(mean=0.0, normalization=False), "may be overfitting"),  # on half, without any
    ],
)
def test_the_cause_is_batch_normalization_if_training_images_are_answered_worse_too(
    model, words, dataset, capsys
):
    gap.warn(model, dataset, 0, in_training=1.0, in_test=0.5, remedy="take more epochs")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ATTENTION: training accuracy 100.00 %, test accuracy 50.00 %: ")
    assert words in line
    assert line.endswith("; take more epochs") == ("lag" in words)


@pytest.mark.parametrize("in_training", [0.0, 0.6, 0.69])
def test_accuracies_that_are_not_far_apart_are_not_mentioned(in_training, dataset, capsys):
    gap.warn(network(0.5), dataset, 0, in_training=in_training, in_test=0.6, remedy="")
    assert capsys.readouterr().out == ""
