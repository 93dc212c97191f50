"""Images and network of the study of BatchNormalization's statistics, for `--custom`."""

import keras
import numpy as np

import data
import scnnb

COUNT = 20_000  # training images


def fashion20000():
    """The first 20,000 training images of Fashion-MNIST, and all its test images."""
    dataset = data.load("fashion")
    bytes_of = [
        np.rint(images * 255).astype("uint8")
        for images in (dataset.train_images[:COUNT], dataset.test_images[:])
    ]
    return bytes_of[0], dataset.train_labels[:COUNT], bytes_of[1], dataset.test_labels


def scnnb_99(image_shape, num_classes):
    """SCNNB with Keras' default momentum of BatchNormalization, 0.99."""
    model = scnnb.NETWORKS["scnnb"](image_shape, num_classes)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
    return model
