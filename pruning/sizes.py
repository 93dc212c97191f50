"""What a network will cost after each cut of a schedule, worked out without cutting it."""

from typing import NamedTuple

import numpy as np

from pruning import counts, criteria, graph, groups, selection, surgery


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


def planned(channels, ratio, iterative, *, layer_ratios, coupled):
    """The network after each cut.

    How many filters go follows from the ratio alone, but not always what leaves with them: where
    channels of zeros were added twice, one filter may take more along than another. So the filters
    that go are those that `prune` would take, by their L1 norm.

    A smaller network has the groups of the full one with fewer filters in them, unless a rule says
    otherwise (`Flow.changes_at`). Then the network is cut before its next layers are planned.

    Args:
        channels: groups.Channels of the network.
        ratio: part of the filters to remove, 0 <= ratio < 1.
        iterative: whether layers are cut one after the other, or else all at once.
        layer_ratios: `{layer name or glob: ratio}` for layers that differ from it.
        coupled: one of `selection.COUPLED`.

    Returns:
        List of Cut.

    Raises:
        ValueError: as `prune`, except for layers that cannot be copied, or there is none to cut.
    """
    options = {"layer_ratios": layer_ratios, "coupled": coupled}
    stages = selection.stages(channels, ratio, **options) if iterative else [None]
    if not stages:
        raise ValueError(f"{channels.model.name}: it has no convolution that could lose a filter")
    cuts, cost, gone = [], _cost(channels), _none(channels)
    for only in stages:
        if _changed(channels, gone):
            channels = groups.find(surgery.cut(channels, selection.kept(channels, gone)))
            cost, gone = _cost(channels), _none(channels)
        before = gone
        gone = selection.removed(
            channels, ratio, criterion=criteria.l1_norm, only=only, earlier=before, **options
        )
        any_goes = bool((gone != before).any())
        selection.check_any_goes(channels, ratio, any_goes=any_goes, **options)
        cuts.append(Cut(only, *cost(gone)))
    return cuts


def _none(channels):
    return np.zeros(len(channels.bundle_of), bool)


def _changed(channels, gone):
    """Whether a network without these bundles has other groups."""
    return any(
        np.count_nonzero(~gone[channels.bundle_of[numbers]]) == limit
        for numbers, limit in channels.changes_at
        if gone[channels.bundle_of[numbers]].any()
    )


def _cost(channels):
    """A function of the bundles that go, which returns (parameters, MACs) without them."""
    weights, along = _weights(channels)
    shapes = np.ones((len(weights), max((len(weight.shape) for weight in weights), default=0)), int)
    for row, weight in zip(shapes, weights, strict=True):
        row[: len(weight.shape)] = weight.shape
    rows, axes = np.array([place for *place, _ in along], int).reshape(-1, 2).T
    bundles = np.array([b for *_, numbers in along for b in channels.bundle_of[numbers]], int)
    place = np.repeat(np.arange(len(along)), [len(numbers) for *_, numbers in along])
    try:
        computing = [call for call in channels.calls if counts.macs(call)]
    except ValueError:
        computing = None

    def cost(gone):
        left = shapes.copy()
        left[rows, axes] -= np.bincount(place[gone[bundles]], minlength=len(along))
        values = left.prod(axis=1).tolist()
        held = {id(weight): n for weight, n in zip(weights, values, strict=True)}

        def size(weight):
            return held.get(id(weight), 0) or counts.values(weight)

        macs = None if computing is None else sum(counts.macs(call, size) for call in computing)
        return sum(values), macs

    return cost


def _weights(channels):
    """All weights, and (place in them, axis, channels along it) where a weight can be cut."""
    weights, along = [], []
    for layer in {id(call.layer): call.layer for call in channels.calls}.values():
        if graph.is_functional(layer):  # whose layers have calls of their own
            continue
        flow = channels.flows.get(id(layer))
        for index, weight in enumerate(getattr(layer, "weights", ())):
            axes = flow.weights[index] if flow else {}
            rank = len(weight.shape)
            along += [(len(weights), axis % rank, numbers) for axis, numbers in axes.items()]
            weights.append(weight)
    return weights, along
