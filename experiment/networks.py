"""The network of a call, built or read from a file, and its checksum."""

import hashlib
import json
from pathlib import Path

import keras

import scnnb
from data.dataset import PIXELS
from experiment import samples
from experiment.custom import Custom
from experiment.errors import as_the_users
from scnnb import reading, training

PIXEL_IMAGES = 500  # training images on which ranges of pixel values are compared
CLEARLY = 0.1  # accuracy, 0..1, by which another range must be better to be reported


def build(network, dataset, normalize=""):
    """The network for images and classes of the dataset, not compiled.

    Args:
        network: a key of `scnnb.NETWORKS`, with new weights (or those that a function of
            `--custom` gives it); or the path of a `.keras` or `.h5` file, with those it holds.
        dataset: Dataset.
        normalize: as `BaselineSettings` has it; "" for a network in a file.

    Raises:
        UserError: the file cannot be read, or the network does not fit the dataset.
    """
    with as_the_users(ValueError):
        if network not in scnnb.NETWORKS:
            images = dataset.test_images[:1]
            return reading.read_network(Path(network), images, dataset.num_classes)
        keras.utils.clear_session()  # the names Keras gives count from 0 for every network
        statistics = dataset.channel_statistics() if normalize else None
        return scnnb.NETWORKS[network](dataset.image_shape, dataset.num_classes, statistics)


def content(dataset, model, network, custom: Custom | None = None):
    """The start of a checksum of the names and contents of dataset and network.

    Args:
        dataset: Dataset.
        model: Keras model as `build` returns it.
        network: name or path of the network, as `build` takes it.
        custom: the file of `--custom`; its content is a part of the checksum.
    """
    named = [dataset.name, dataset.fingerprint, Path(network).name, model.to_json()]
    checksum = hashlib.sha256(json.dumps(named).encode())
    if network not in scnnb.NETWORKS:
        checksum.update(Path(network).read_bytes())
    if custom:
        checksum.update(custom.source)
    return checksum.hexdigest()[:12]


def warn_of_pixels(model, dataset, given):
    """Print a line if a trained network is clearly more accurate with another range of pixels.

    Args:
        model: Keras model as `build` returns it.
        dataset: Dataset.
        given: dict of the parsed arguments; `model` is the path of the network, `pixels` the range.
    """
    pixels = given["pixels"]
    images, labels = samples.training_images(dataset, given["seed"][0], PIXEL_IMAGES)
    accuracies = {
        values: training.accuracy(model, images.between(values), labels) for values in PIXELS
    }
    best = max(accuracies, key=accuracies.__getitem__)
    if accuracies[best] > accuracies[pixels] + CLEARLY:
        print(
            f"ATTENTION: {given['model']} is right on {accuracies[best]:.1%} of {len(labels):,} "
            f"training images with pixels {best}, on {accuracies[pixels]:.1%} with "
            f"{pixels}; give --pixels {best}"
        )
