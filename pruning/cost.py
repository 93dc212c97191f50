"""What a network costs: parameters, multiply-accumulates (MACs), time of training."""

import statistics

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

    An epoch takes the median of those seen at its MACs; between two of them the time is taken to
    be linear in the MACs, beyond all of them equal to that of the nearest.

    Args:
        left: list of `(epochs, MACs of the network)`.
        seen: list of `(MACs of the network, [seconds of an epoch])`, at least one epoch each.

    Returns:
        Float.
    """
    of_size = {}
    for of_network, seconds in seen:
        of_size.setdefault(of_network, []).extend(seconds)
    known = sorted(of_size)
    per_epoch = [statistics.median(of_size[each]) for each in known]
    return sum(epochs * float(np.interp(each, known, per_epoch)) for epochs, each in left)


def duration(seconds):
    """A time in words, rounded to minutes and from an hour on to ten of them."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, tens = divmod(round(minutes / 10), 6)
    return f"about {hours} h {10 * tens} min" if tens else f"about {hours} h"
