"""Parameters and MACs of a network without some of its units, computed without a cut."""

import numpy as np

from pruning import counts, graph


def after_removal(structure):
    """A function of the removed units that returns `(parameters, MACs)` of the smaller network.

    Args:
        structure: groups.Structure of the network.

    Returns:
        Function of a bool array (channels,), True at the number of each removed unit. MACs are None
        if they cannot be counted.
    """
    weights, along = _weights(structure)
    shapes = np.ones((len(weights), max((len(weight.shape) for weight in weights), default=0)), int)
    for row, weight in zip(shapes, weights, strict=True):
        row[: len(weight.shape)] = weight.shape
    rows, axes = np.array([place for *place, _ in along], int).reshape(-1, 2).T
    units = np.array([u for *_, channels in along for u in structure.unit_of[channels]], int)
    place = np.repeat(np.arange(len(along)), [len(channels) for *_, channels in along])
    try:
        computing = [call for call in structure.calls if counts.macs(call)]
    except ValueError:
        computing = None

    def cost(gone):
        left = shapes.copy()
        left[rows, axes] -= np.bincount(place[gone[units]], minlength=len(along))
        values = left.prod(axis=1).tolist()
        held = {id(weight): n for weight, n in zip(weights, values, strict=True)}

        def size(weight):
            return held.get(id(weight), 0) or counts.values(weight)

        def shape(tensor):
            features = structure.channels.features[tensor]
            sizes = list(tensor.shape)
            if sizes[features.axis] is not None:
                lost = np.count_nonzero(gone[structure.unit_of[features.channels]])
                sizes[features.axis] -= int(lost)
            return tuple(sizes)

        if computing is None:
            return sum(values), None
        macs = sum(counts.macs(call, size, shape) for call in computing)
        return sum(values), macs

    return cost


def _weights(structure):
    """All weights, and `(index of a weight, axis, channels along it)` of each axis to cut."""
    weights, along = [], []
    for layer in {id(call.layer): call.layer for call in structure.calls}.values():
        if graph.is_functional(layer):  # the layers inside it are in `calls`, too
            continue
        flow = structure.channels.flows.get(id(layer))
        for index, weight in enumerate(getattr(layer, "weights", ())):
            axes = flow.weights[index] if flow else {}
            rank = len(weight.shape)
            along += [(len(weights), axis % rank, channels) for axis, channels in axes.items()]
            weights.append(weight)
    return weights, along
