"""Parameters and MACs after each cut of a schedule, computed without cutting the network."""

from typing import NamedTuple

import numpy as np

from pruning import criteria, footprint, groups, plan, request, selection, surgery, target


class Cut(NamedTuple):
    """The size of a network after a cut.

    Attributes:
        layers: list of the paths of the layers that are pruned, or None for all layers.
        parameters: number of weights.
        macs: multiply-accumulates for one image, or None if they cannot be counted.
    """

    layers: list | None
    parameters: int
    macs: int | None


def planned(structure, wanted: request.Request, *, schedule, steps=1):
    """The sizes of the network after each cut.

    The ratio gives the number of filters to remove, but not always the number of channels that are
    removed with them: if channels of zeros were added twice, one filter may be coupled to more
    channels than another. So the filters are selected by their L1 norm, as `prune` does.

    Usually a smaller network has the same groups as the full one, with fewer filters. If a rule
    says that the groups change (`Flow.changes_at`), the network is really cut before its next
    layers are planned.

    Args:
        structure: groups.Structure of the network.
        wanted: request.Request.
        schedule: a key of `SCHEDULES`.
        steps: their number in a stepwise schedule.

    Returns:
        List of Cut.

    Raises:
        ValueError: as `prune`, but not for layers that cannot be copied; or an iterative schedule
            has no layer to cut.
    """
    stages = SCHEDULES[schedule](structure, wanted, steps)
    if not stages:
        raise ValueError(f"{structure.model.name}: it has no convolution that could lose a filter")
    cuts, cost, gone = [], footprint.after_removal(structure), _none(structure)
    for only, wanted in stages:
        if _changed(structure, gone):
            structure = groups.find(
                surgery.cut(structure, selection.without(structure, gone)), dense=structure.dense
            )
            cost, gone = footprint.after_removal(structure), _none(structure)
        before = gone
        gone = selection.removed(structure, wanted, criteria.l1_norm, only=only, earlier=before)
        fresh = gone if wanted.full else gone & ~before  # a step may have nothing left to remove
        plan.check_any_goes(structure, wanted, bool(fresh.any()))
        cuts.append(Cut(only, *cost(gone)))
    return cuts


def _one_shot(structure, wanted, steps):
    return [(None, wanted)]


def _iterative(structure, wanted, steps):
    wanted = target.as_ratio(structure, wanted)
    return [(only, wanted) for only in plan.stages(structure, wanted)]


def _stepwise(structure, wanted, steps):
    wanted = target.as_ratio(structure, wanted)
    return [(None, request.step(wanted, structure, k, steps)) for k in range(1, steps + 1)]


SCHEDULES = {"one-shot": _one_shot, "iterative": _iterative, "stepwise": _stepwise}


def _none(structure):
    return np.zeros(len(structure.unit_of), bool)


def _changed(structure, gone):
    """Whether the network has other groups after these units are removed."""
    return any(
        np.count_nonzero(~gone[structure.unit_of[channels]]) == limit
        for channels, limit in structure.channels.changes_at
        if gone[structure.unit_of[channels]].any()
    )
