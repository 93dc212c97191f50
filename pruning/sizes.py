"""What a network will cost after each cut of a schedule, worked out without cutting it."""

from typing import NamedTuple

import numpy as np

from pruning import counts, criteria, graph, groups, plan, selection, surgery


class Cut(NamedTuple):
    """What a network will be after a cut.

    Attributes:
        layers: list of the names of the layers that lose filters in it, None if all do at once.
        parameters: number of weights.
        macs: multiply-accumulates for one image, or None if they cannot be counted.
    """

    layers: list | None
    parameters: int
    macs: int | None


def planned(structure, wanted: plan.Request, *, iterative):
    """The network after each cut.

    How many filters go follows from the ratio alone, but not always what leaves with them: where
    channels of zeros were added twice, one filter may take more along than another. So the filters
    that go are those that `prune` would take, by their L1 norm.

    A smaller network has the groups of the full one with fewer filters in them, unless a rule says
    otherwise (`Flow.changes_at`). Then the network is cut before its next layers are planned.

    Args:
        structure: groups.Structure of the network.
        wanted: plan.Request.
        iterative: whether layers are cut one after the other, or else all at once.

    Returns:
        List of Cut.

    Raises:
        ValueError: as `prune`, except for layers that cannot be copied, or there is none to cut.
    """
    stages = plan.stages(structure, wanted) if iterative else [None]
    if not stages:
        raise ValueError(f"{structure.model.name}: it has no convolution that could lose a filter")
    cuts, cost, gone = [], _cost(structure), _none(structure)
    for only in stages:
        if _changed(structure, gone):
            structure = groups.find(surgery.cut(structure, selection.without(structure, gone)))
            cost, gone = _cost(structure), _none(structure)
        before = gone
        gone = selection.removed(structure, wanted, criteria.l1_norm, only=only, earlier=before)
        plan.check_any_goes(structure, wanted, bool((gone != before).any()))
        cuts.append(Cut(only, *cost(gone)))
    return cuts


def _none(structure):
    return np.zeros(len(structure.unit_of), bool)


def _changed(structure, gone):
    """Whether a network without these units has other groups."""
    return any(
        np.count_nonzero(~gone[structure.unit_of[channels]]) == limit
        for channels, limit in structure.channels.changes_at
        if gone[structure.unit_of[channels]].any()
    )


def _cost(structure):
    """A function of the units that go, which returns (parameters, MACs) without them."""
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

        macs = None if computing is None else sum(counts.macs(call, size) for call in computing)
        return sum(values), macs

    return cost


def _weights(structure):
    """All weights, and (place in them, axis, channels along it) where a weight can be cut."""
    weights, along = [], []
    for layer in {id(call.layer): call.layer for call in structure.calls}.values():
        if graph.is_functional(layer):  # whose layers have calls of their own
            continue
        flow = structure.channels.flows.get(id(layer))
        for index, weight in enumerate(getattr(layer, "weights", ())):
            axes = flow.weights[index] if flow else {}
            rank = len(weight.shape)
            along += [(len(weights), axis % rank, channels) for axis, channels in axes.items()]
            weights.append(weight)
    return weights, along
