"""ResNet for CIFAR-10: 6n + 2 layers in three stages."""

import keras
from keras import layers

from scnnb.inputs import network_input
from scnnb.norms import batch_norm

STAGE_FILTERS = (16, 32, 64)


def build_resnet20(image_shape, num_classes, statistics=None):
    """ResNet-20: three blocks per stage, `conv1` ... `conv19`; see `_build`."""
    return _build(3, image_shape, num_classes, statistics)


def build_resnet56(image_shape, num_classes, statistics=None):
    """ResNet-56: nine blocks per stage, `conv1` ... `conv55`; see `_build`."""
    return _build(9, image_shape, num_classes, statistics)


def build_resnet110(image_shape, num_classes, statistics=None):
    """ResNet-110: 18 blocks per stage, `conv1` ... `conv109`; see `_build`."""
    return _build(18, image_shape, num_classes, statistics)


def _build(blocks, image_shape, num_classes, statistics):
    """A residual network whose shortcuts have no weights.

    Convolutions are numbered as in Li et al.: the stem is `conv1`, so the first convolution of each
    block has an even number. Convolutions have no bias and are followed by BatchNormalization. At
    the start of a stage, the shortcut takes every second pixel and adds channels of zeros.

    Args:
        blocks: residual blocks per stage, n.
        image_shape: `(height, width, channels)` of one image.
        num_classes: number of classes, the units of the last layer.
        statistics: of the channels, as `inputs.network_input` takes them.

    Returns:
        Functional model, `(batch, height, width, channels)` in 0..1 to class probabilities
        `(batch, num_classes)`, with new weights, not compiled.

    Source: He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2, option A.
    """
    images, x = network_input(image_shape, statistics)
    x = _convolution(x, 1, STAGE_FILTERS[0], stride=1)
    x = layers.ReLU(name="relu1")(x)
    number = 2
    for stage, filters in enumerate(STAGE_FILTERS):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            shortcut = x if stride == 1 else _narrowed(x, number, filters)
            x = _convolution(x, number, filters, stride)
            x = layers.ReLU(name=f"relu{number}")(x)
            x = _convolution(x, number + 1, filters, stride=1)
            x = layers.Add(name=f"add{number + 1}")([x, shortcut])
            x = layers.ReLU(name=f"relu{number + 1}")(x)
            number += 2
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    probabilities = layers.Dense(num_classes, activation="softmax", name="fc1")(x)
    return keras.Model(images, probabilities, name=f"resnet{6 * blocks + 2}")


def _convolution(x, number, filters, stride):
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"conv{number}")(x)
    return batch_norm(f"norm{number}")(x)


def _narrowed(x, number, filters):
    """Every second pixel, with channels of zeros after the others."""
    x = layers.MaxPooling2D(1, 2, name=f"shortcut{number}")(x)
    missing = filters - x.shape[-1]
    return keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, missing]])
