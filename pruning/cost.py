"""What a network costs: parameters, multiply-accumulates (MACs), time of training."""

from pruning import counts, graph


def parameters(model):
    """Number of weights of the network, those of BatchNormalization included."""
    return model.count_params()


def macs(model):
    """Multiply-accumulates for one image, as Li et al. 2017 count FLOP.

    Convolutions, Dense, recurrent and attention layers, each multiply-add once; biases,
    normalisations and everything else are not counted. A layer that is used twice counts twice.

    Args:
        model: built Functional or Sequential Keras model, channels last, of fixed image size.

    Returns:
        Integer.

    Raises:
        ValueError: a layer with weights cannot be counted, which the message names, or the size of
            the images, or the length of a sequence, is not fixed.
    """
    return sum(counts.macs(call) for call in graph.trace(graph.functional(model)).calls)
