"""AlexNet for images of 28 to 32 pixels."""

import keras
from keras import layers

from scnnb.inputs import network_input


def build_alexnet(image_shape, num_classes, statistics=None):
    """AlexNet for one GPU, adapted to small images, with new weights, not compiled.

    The numbers of filters, the hidden layers, dropout and all kernels but the first are those of
    the paper. Its first convolution (11x11, stride 4) and its 3x3 pools are too large for small
    images. Here the first convolution is 3x3 with stride 2, and the pools are 2x2. There is no
    normalisation.

    Args:
        image_shape: `(height, width, channels)` of one image, at least 15x15.
        num_classes: number of classes, the units of the last layer.
        statistics: of the channels, as `inputs.network_input` takes them.

    Returns:
        Functional model, `(batch, height, width, channels)` in 0..1 to class probabilities
        `(batch, num_classes)`.

    Raises:
        ValueError: the images are smaller than 15x15.

    Source: Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks
    (arXiv 1404.5997): the network of Krizhevsky et al. 2012 on one GPU.
    """
    if min(image_shape[:2]) < 15:
        raise ValueError(f"alexnet: expected images of at least 15x15 pixels, got {image_shape}")
    images, x = network_input(image_shape, statistics)
    x = layers.Conv2D(64, 3, 2, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # 32x32 -> 16x16 -> 8x8
    x = layers.Conv2D(192, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # 8x8 -> 4x4
    x = layers.Conv2D(384, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.Conv2D(256, 3, padding="same", activation="relu", name="conv5")(x)
    x = layers.MaxPooling2D(2, name="pool5")(x)  # 4x4 -> 2x2
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="dropout1")(x)
    x = layers.Dense(4096, activation="relu", name="fc1")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    x = layers.Dense(4096, activation="relu", name="fc2")(x)
    probabilities = layers.Dense(num_classes, activation="softmax", name="fc3")(x)
    return keras.Model(images, probabilities, name="alexnet")
