"""What a network costs: parameters and multiply-accumulates (MACs)."""

import math

from keras import layers


def parameters(model):
    """Number of weights of the network, those of BatchNormalization included."""
    return model.count_params()


def macs(model):
    """Multiply-accumulates for one image, as Li et al. 2017 count FLOP.

    Convolutions and Dense layers, each multiply-add once; biases and BatchNormalization are not
    counted.

    Args:
        model: built Functional or Sequential Keras model, channels last, of fixed image size.

    Raises:
        ValueError: a layer has weights of a kind that is not counted yet; the message names it.
    """
    return sum(_layer_macs(layer) for layer in model.layers if layer.weights)


def _layer_macs(layer):
    if isinstance(layer, layers.BatchNormalization):
        return 0
    if not isinstance(layer, (layers.Conv2D, layers.Dense)):
        raise ValueError(f"{layer.name} ({type(layer).__name__}): its MACs cannot be counted")
    # every weight of the kernel works once at every position of the output
    return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
