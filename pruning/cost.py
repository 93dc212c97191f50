"""What a network costs: parameters, multiply-accumulates (MACs), time of training."""

import math

import numpy as np

from pruning import graph
from pruning.rules import convolutions, rule_for


def parameters(model):
    """Number of weights of the network, those of BatchNormalization included."""
    return model.count_params()


def macs(model):
    """Multiply-accumulates for one image, as Li et al. 2017 count FLOP.

    Convolutions and Dense layers, each multiply-add once; biases, normalisations and everything
    else are not counted. A layer that is used twice counts twice.

    Args:
        model: built Functional or Sequential Keras model, channels last, of fixed image size.

    Returns:
        Integer.

    Raises:
        ValueError: a layer with weights cannot be counted, which the message names, or the size of
            the images is not fixed.
    """
    return sum(_macs(call) for call in graph.trace(graph.functional(model)).calls)


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


def _macs(call):
    rule = rule_for(call.layer)
    if rule is None and getattr(call.layer, "weights", ()) and not graph.is_functional(call.layer):
        raise ValueError(f"{call}: its MACs cannot be counted; there is no rule for this type")
    if rule not in COUNTED:
        return 0
    entering, leaving = (_positions(t.shape, call) for t in (call.inputs[0], call.outputs[0]))
    return COUNTED[rule](call.layer, entering, leaving)


def _positions(shape, call):
    if None in shape[1:-1]:
        raise ValueError(f"{call}: its image size is not fixed, so that MACs cannot be counted")
    return math.prod(shape[1:-1])


def _per_output(layer, entering, leaving):
    return leaving * math.prod(layer.kernel.shape)


def _per_input(layer, entering, leaving):
    return entering * math.prod(layer.kernel.shape)


def _separable(layer, entering, leaving):
    sizes = [math.prod(k.shape) for k in (layer.depthwise_kernel, layer.pointwise_kernel)]
    return leaving * sum(sizes)


COUNTED = {  # rule of a layer type: multiply-adds of one call, by positions that come in and go out
    convolutions.convolution: _per_output,
    convolutions.depthwise_convolution: _per_output,
    convolutions.dense: _per_output,
    convolutions.transposed_convolution: _per_input,
    convolutions.separable_convolution: _separable,
}
