"""What a network costs: parameters, multiply-accumulates (MACs), time of training."""

import numpy as np

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


def training_seconds(left, seen):
    """Estimate of the time that trainings will take.

    An epoch takes what those seen at its MACs took on average; between two of them the time is
    taken to be linear in the MACs, beyond all of them equal to that of the nearest.

    Args:
        left: list of `(epochs, MACs of the network)`.
        seen: list of `(epochs, MACs of the network, seconds)`, at least one.

    Returns:
        Float.
    """
    totals = {}
    for epochs, of_network, seconds in seen:
        before = totals.get(of_network, (0, 0.0))
        totals[of_network] = (before[0] + epochs, before[1] + seconds)
    known = sorted(totals)
    per_epoch = [totals[each][1] / totals[each][0] for each in known]
    return sum(epochs * float(np.interp(each, known, per_epoch)) for epochs, each in left)
