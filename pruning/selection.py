"""Which filters go: those of the lowest scores."""

import numpy as np

from pruning import plan
from pruning.plan import Request

STRATEGIES = ("independent", "greedy")


def kept(structure, wanted: Request, criterion, *, strategy="independent", only=None):
    """The filters that stay.

    Args:
        structure: groups.Structure of the network.
        wanted: plan.Request.
        criterion: as `removed` takes it.
        strategy: one of `STRATEGIES`.
        only: as `removed` takes it.

    Returns:
        `{layer path: ascending int array of the filters that stay}` of all layers that lose some.

    Raises:
        ValueError: as `removed`.
    """
    gone = removed(structure, wanted, criterion, strategy=strategy, only=only)
    return without(structure, gone)


def removed(
    structure, wanted: Request, criterion, *, strategy="independent", only=None, earlier=None
):
    """The units that go. Of equal scores the one with the lower index goes first.

    Args:
        structure: groups.Structure of the network.
        wanted: plan.Request.
        criterion: function of a kernel (..., in_channels, filters) that returns a score per filter,
            float array (filters,), or `{layer path: scores}`; the lowest go.
        strategy: `"independent"`: every group is ranked by itself. `"greedy"`: groups are ranked in
            the order of computation, and kernels are judged without the input channels that are
            removed already.
        only: None, or paths of the layers to prune now, as `plan.stages` returns them.
        earlier: None, or the units that went before, for other layers; kernels are judged without
            the input channels that went with them.

    Returns:
        bool array, True at the number of each unit that goes or went before.

    Raises:
        ValueError: a ratio is for no layer, has no effect, or is not that of the rest of its group;
            a layer that has no rule is reached, which the message names; or the criterion gives no
            finite score for each filter.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    if earlier is None:
        earlier = np.zeros(len(structure.unit_of), bool)
    gone = earlier.copy()
    _check_only(only, structure)
    for group, deciding, _, count in plan.plans(structure, wanted):
        now = only is None or not set(only).isdisjoint(plan.prunable_paths(group))
        if not deciding or not count or not now:
            continue
        if group.unsupported:
            names = ", ".join(member.call.path for member in group.members)
            raise ValueError(
                f"{group.not_prunable}; filters of {names} reach it: give these the ratio 0"
            )
        left_out = (gone if strategy == "greedy" else earlier)[structure.unit_of]
        scores = sum(_scores(each, structure.unit_of, criterion, left_out) for each in deciding)
        ranked = group.units[np.argsort(scores[group.units], kind="stable")]
        gone[ranked[:count]] = True
    return gone


def without(structure, gone):
    """The filters that stay without these units, as `kept` returns them."""
    return {
        path: np.flatnonzero(~lost)
        for path, member in structure.members.items()
        if (lost := gone[structure.unit_of[member.flow.channels]]).any()
    }


def _check_only(only, structure):
    if isinstance(only, str):
        raise ValueError(f"only is {only!r}; give a list of layer names")
    known = [path for path, member in structure.members.items() if member.flow.filters.prunable]
    if unknown := [path for path in only or () if path not in known]:
        raise ValueError(
            f"{', '.join(unknown)}: no convolution with filters of its own to remove; there are "
            f"{', '.join(known)}"
        )


def _scores(member, unit_of, criterion, left_out):
    """The sum of its filters' scores for every unit, float array (channels,)."""
    filters = member.flow.filters
    kernel = filters.kernel()
    expected = kernel.shape[-1:]
    if isinstance(criterion, dict):
        if member.call.path not in criterion:
            raise ValueError(f"{member.call}: the criterion holds no scores for it")
        scores = criterion[member.call.path]
    else:
        if filters.in_channels is not None and left_out[filters.in_channels].any():
            kernel = np.compress(~left_out[filters.in_channels], kernel, axis=-2)
        scores = criterion(kernel)
    scores = np.asarray(scores, float)
    if scores.shape != expected:
        raise ValueError(f"{member.call}: the criterion gave {scores.shape} scores, not {expected}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{member.call}: the criterion gave scores that are not finite")
    return np.bincount(unit_of[member.flow.channels], scores, len(unit_of))
