"""Which filters are removed: those of the lowest scores."""

import numpy as np

from pruning import plan, ranking, target
from pruning.request import Request

STRATEGIES = ("independent", "greedy")


def kept(structure, wanted: Request, criterion, *, strategy="independent", only=None):
    """Indices of the filters that stay, of each layer that loses filters.

    Args:
        structure: groups.Structure of the network.
        wanted: request.Request.
        criterion: as `removed` takes it.
        strategy: one of `STRATEGIES`.
        only: as `removed` takes it.

    Returns:
        `{layer path: ascending int array of the filters that stay}`.

    Raises:
        ValueError: as `removed`.
    """
    gone = removed(structure, wanted, criterion, strategy=strategy, only=only)
    return without(structure, gone)


def removed(
    structure, wanted: Request, criterion, *, strategy="independent", only=None, earlier=None
):
    """The units to remove. Of equal scores the one with the lower index is removed first.

    Args:
        structure: groups.Structure of the network.
        wanted: request.Request.
        criterion: function of a kernel (..., in_channels, filters), and of the layer if it needs a
            second argument, that returns a score per filter, float array (filters,), or `{layer
            path: scores}`; the lowest scores are removed. A text in place of scores says why there
            are none; of the layers that decide together, at least one must have scores.
        strategy: `"independent"`: every group is ranked by itself. `"greedy"`: groups are ranked in
            the order of computation, and kernels are scored without the input channels that are
            already removed.
        only: None, or paths of the layers to prune now, as `plan.stages` returns them.
        earlier: None, or the units that an earlier cut removed, as this function returned them;
            kernels are scored without the input channels of these units.

    Returns:
        bool array (channels,), True at the number of each removed unit, `earlier` included.

    Raises:
        ValueError: a ratio matches no layer, has no effect, or differs within a group; filters
            reach a layer that no rule fits, if that is an error; or the criterion does not return a
            finite score for each filter.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    _check_only(only, structure)
    plans = [
        each
        for each in target.plans(structure, wanted, criterion, strategy=strategy)
        if only is None or not set(only).isdisjoint(plan.prunable_paths(each.group))
    ]
    plan.check_supported(plans)
    return ranking.lowest(
        structure, plans, criterion, combine=wanted.combine, strategy=strategy, earlier=earlier
    )


def without(structure, gone):
    """The filters that stay after these units are removed, as `kept` returns them."""
    return {
        path: np.flatnonzero(~lost)
        for path, member in structure.members.items()
        if (lost := gone[structure.unit_of[member.flow.channels]]).any()
    }


def _check_only(only, structure):
    if isinstance(only, str):
        raise ValueError(f"only: expected a list of layer paths, got {only!r}")
    known = [path for path, member in structure.members.items() if member.flow.filters.prunable]
    if unknown := [path for path in only or () if path not in known]:
        raise ValueError(
            f"only: expected layers whose filters can be removed ({', '.join(known)}), got "
            f"{', '.join(unknown)}"
        )
