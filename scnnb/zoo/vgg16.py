"""VGG-16 for images of CIFAR-10's size."""

import keras
from keras import layers

from scnnb.inputs import network_input
from scnnb.norms import batch_norm

STAGES = [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3]  # filters; each ends in a pool


def build_vgg16(image_shape, num_classes, statistics=None):
    """VGG-16 as in Li et al.: 13 convolutions, one hidden Dense layer, no dropout.

    BatchNormalization follows every convolution and the hidden layer. The padding of the pools is
    "same". This changes nothing for 32x32 images, and makes the network work for 28x28 images.

    Args:
        image_shape: `(height, width, channels)` of one image.
        num_classes: number of classes, the units of the last layer.
        statistics: of the channels, as `inputs.network_input` takes them.

    Returns:
        Functional model, `(batch, height, width, channels)` in 0..1 to class probabilities
        `(batch, num_classes)`, with new weights, not compiled.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 4.1, after Simonyan and
    Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition.
    """
    images, x = network_input(image_shape, statistics)
    number = 0
    for stage, widths in enumerate(STAGES, 1):
        for filters in widths:
            number += 1
            x = layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")(x)
            x = batch_norm(f"norm{number}")(x)
            x = layers.ReLU(name=f"relu{number}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)  # 32x32 -> 1x1, 512 features
    x = layers.Dense(512, name="fc1")(x)
    x = batch_norm("norm14")(x)
    x = layers.ReLU(name="relu14")(x)
    probabilities = layers.Dense(num_classes, activation="softmax", name="fc2")(x)
    return keras.Model(images, probabilities, name="vgg16")
