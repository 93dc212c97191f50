"""Compensation of removed feature maps: their mean contribution becomes part of a bias."""

import logging

import keras
import numpy as np

from pruning import copies, feature_maps, graph, patterns, surgery
from pruning.rules import convolutions, rule_for
from pruning.rules.flow import as_array

READERS = (  # rules of the layers that compute a linear function of their input, plus a bias
    convolutions.convolution,
    convolutions.transposed_convolution,
    convolutions.separable_convolution,
    convolutions.dense,
)
_log = logging.getLogger(__name__)


def compensate(smaller, structure, kept, images):
    """Change the smaller network: add to its biases what removed channels contributed on average.

    A convolution or Dense layer is a sum over its input channels, plus a bias. In the full network
    the removed channels contribute to each of its outputs. The mean of this contribution over all
    images, positions and calls is added to the bias. If the layer has no bias, the moving mean of
    the BatchNormalization that alone reads its output is lowered by it, which is the same in
    inference. A logged warning names layers that have neither; they stay as they are.

    Args:
        smaller: the network that `surgery.cut(structure, kept)` returned.
        structure: groups.Structure of the full network.
        kept: as `surgery.cut` takes it.
        images: training images, as `feature_maps.scores` takes them.

    Raises:
        ValueError: there are no images.

    Source: Evci et al. 2018, Mean Replacement Pruning (openreview.net/forum?id=BJxRVnC5Fm); for
    constant channels Ye et al. 2018 (arXiv 1802.00124). Nagel et al. 2019 (arXiv 1906.04721),
    appendix D, measure on images what biases must correct after quantisation.
    """
    stays = surgery.staying_units(structure, kept)[structure.unit_of]
    readers = _readers(structure, stays)
    inputs = _mean_inputs(structure, readers, images)
    network = graph.trace(graph.functional(smaller))
    small = _layers(network)
    missed = []
    for path, (member, removed) in readers.items():
        amounts = _contribution(member.call.layer, inputs[path], removed)
        weight, sign = _target(small[path], network)
        if weight is None:
            missed.append(path)
        else:
            amounts = sign * amounts[stays[member.flow.channels]]
            weight.assign(as_array(weight).astype(np.float64) + amounts)
    if missed:
        _log.warning(
            "%s: these layers are not compensated, because they have no bias and no "
            "BatchNormalization that alone reads their output: %s",
            smaller.name,
            patterns.listed(missed),
        )


def _readers(structure, stays):
    """`{path: (Member, which of its input channels are removed)}` of layers that read removed ones.

    A depthwise convolution is none of them: it loses its outputs with its inputs.
    """
    readers = {}
    for path, member in structure.members.items():
        (entering, *_) = structure.channels.entering[id(member.call.layer)]
        removed = ~stays[entering.channels]
        mixes = not np.isin(entering.channels, member.flow.channels).any()
        if rule_for(member.call.layer) in READERS and mixes and removed.any():
            readers[path] = member, removed
    return readers


def _mean_inputs(structure, paths, images):
    """Mean over the images of what enters each layer.

    Returns:
        `{path: list of float64 arrays (..., channels)}`, an array for each call of the layer.
    """
    watching = feature_maps.to_watch(structure)
    layers = _layers(graph.trace(graph.functional(watching)))
    seen, sums, count = {}, {}, 0  # of this batch; of all batches
    for path in paths:
        _watch(layers[path], seen.setdefault(path, []))
    for given in feature_maps.given(images):
        watching(given, training=False)  # otherwise augmentation layers would change the images
        count += len(keras.tree.flatten(given)[0])
        for path, here in seen.items():
            before = sums.get(path, [0.0] * len(here))
            sums[path] = [sum(pair) for pair in zip(before, here, strict=True)]
            here.clear()
    return {path: [each / count for each in of_calls] for path, of_calls in sums.items()}


def _watch(layer, seen):
    """Change a layer of our copy: at every call it adds the sum of its inputs to `seen`."""
    call = layer.call

    def watched(inputs, *args, **kwargs):
        total = keras.ops.sum(keras.ops.cast(inputs, "float32"), axis=0)
        seen.append(as_array(total).astype(np.float64))
        return call(inputs, *args, **kwargs)

    layer.call = watched


def _contribution(layer, inputs, removed):
    """Mean of what the removed channels add to each output channel, float64 array (filters,).

    The layer is linear without its bias, so the mean over the images of its outputs is its output
    for the mean input. The mean over the positions is exact at borders, too.
    """
    linear = copies.copied(layer, {"use_bias": False, "dtype": "float32"})
    linear.activation = keras.activations.linear
    copies.without_drawing(linear)
    linear.build((1, *inputs[0].shape))
    for new, weight in zip(linear.weights, layer.weights, strict=False):  # a bias is the last
        new.assign(as_array(weight).astype(np.float32))
    outputs = [as_array(linear((x * removed)[np.newaxis].astype(np.float32))) for x in inputs]
    values = [output.reshape(-1, output.shape[-1]) for output in outputs]
    return np.concatenate(values).mean(axis=0, dtype=np.float64)


def _target(layer, network):
    """`(the weight that takes the contributions, sign)`, or `(None, 0)` if there is none."""
    if layer.use_bias:
        return layer.bias, 1
    outputs = {tensor for call in network.calls if call.layer is layer for tensor in call.outputs}
    reading = [call for call in network.calls if not outputs.isdisjoint(call.inputs)]
    norm = reading[0].layer if reading else None
    alone = (
        type(norm) is keras.layers.BatchNormalization
        and layer.activation is keras.activations.linear
        and outputs.isdisjoint(network.outputs)
        and all(call.layer is norm for call in reading)
        and all(outputs.issuperset(call.inputs) for call in network.calls if call.layer is norm)
    )
    return (norm.moving_mean, -1) if alone else (None, 0)


def _layers(network):
    """`{path: layer}` of a graph.Graph."""
    return {call.path: call.layer for call in network.calls}
