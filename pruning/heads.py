"""The calls from which only outputs of the network are computed."""

from collections import defaultdict

import numpy as np

from pruning import graph


def ends(network, features):
    """The calls after which no layer reads the channels by weights of its own.

    They belong to the head of the network, as the reshapes and the softmax of a detector do, or the
    operation that makes a larger image of the channels.

    Args:
        network: graph.Graph.
        features: `{graph.Tensor: Features}` of all its tensors.

    Returns:
        Set of the ids of these graph.Call.
    """
    readers = defaultdict(list)
    for call in network.calls:
        for tensor in call.inputs:
            readers[tensor].append(id(call))
    result = set()
    for call in reversed(network.calls):
        after = [reader for tensor in call.outputs for reader in readers[tensor]]
        if result.issuperset(after) and _passes(call, features):
            result.add(id(call))
    return result


def _passes(call, features):
    """Whether it has no weights, or returns the channels that enter, as BatchNormalization does."""
    if graph.is_functional(call.layer) or not getattr(call.layer, "weights", ()):
        return True
    entering = np.concatenate([features[tensor].channels for tensor in call.inputs])
    return all(np.isin(features[tensor].channels, entering).all() for tensor in call.outputs)
