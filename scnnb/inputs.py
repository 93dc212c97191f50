"""The input of a network."""

import keras
from keras import layers


def network_input(image_shape, statistics=None):
    """The input of a network, and what its first layer reads.

    Args:
        image_shape: `(height, width, channels)` of one image.
        statistics: None, or `(means, variances)` of the channels of the training images, lists of
            numbers. With them, the first layer normalises each channel to mean 0 and variance 1.

    Returns:
        `(images, x)`, two symbolic tensors; the same one twice without statistics.
    """
    images = x = keras.Input(image_shape, name="images")
    if statistics:
        means, variances = statistics
        x = layers.Normalization(mean=means, variance=variances, name="normalize")(images)
    return images, x
