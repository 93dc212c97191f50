"""SCNNB, a shallow convolutional network, and its two variants."""

import keras
from keras import layers

from scnnb.inputs import network_input
from scnnb.norms import batch_norm


def build_scnnb(image_shape, num_classes, statistics=None):
    """SCNNB as described in its paper, with new weights, not compiled.

    The paper does not give the initialiser, the bias of convolutions and the constants of
    BatchNormalization. They are Keras' defaults, except its momentum, see `norms`. The padding is
    "same", so `fc1` has 7 * 7 * 64 = 3136 inputs for 28x28 images.

    Args:
        image_shape: `(height, width, channels)` of one image, at least 4x4.
        num_classes: number of classes, the units of the last layer.
        statistics: of the channels, as `inputs.network_input` takes them.

    Returns:
        Functional model, `(batch, height, width, channels)` in 0..1 to class probabilities
        `(batch, num_classes)`.

    Raises:
        ValueError: the images are too small to be pooled twice.

    Source: Lei et al. 2020, Shallow convolutional neural network for image classification.
    """
    return _build("scnnb", image_shape, num_classes, statistics, normalized=(1, 2))


def build_scnnb_a(image_shape, num_classes, statistics=None):
    """SCNNB-a: SCNNB without BatchNormalization after the first convolution."""
    return _build("scnnb-a", image_shape, num_classes, statistics, normalized=(2,))


def build_scnnb_b(image_shape, num_classes, statistics=None):
    """SCNNB-b: SCNNB without BatchNormalization."""
    return _build("scnnb-b", image_shape, num_classes, statistics, normalized=())


def _build(name, image_shape, num_classes, statistics, normalized):
    if min(image_shape[:2]) < 4:
        raise ValueError(f"{name}: expected images of at least 4x4 pixels, got {image_shape}")
    images, x = network_input(image_shape, statistics)
    x = layers.Conv2D(32, 3, padding="same", name="conv1")(x)
    if 1 in normalized:
        x = batch_norm("norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # 28x28 -> 14x14
    x = layers.Conv2D(64, 3, padding="same", name="conv2")(x)
    if 2 in normalized:
        x = batch_norm("norm2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # 14x14 -> 7x7
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1280, activation="relu", name="fc1")(x)
    x = layers.Dropout(0.5, name="dropout1")(x)
    probabilities = layers.Dense(num_classes, activation="softmax", name="fc2")(x)
    return keras.Model(images, probabilities, name=name)
