"""Which filters are removed: those of the lowest scores."""

import inspect

import numpy as np

from pruning import plan
from pruning.plan import Request

STRATEGIES = ("independent", "greedy")


def kept(structure, wanted: Request, criterion, *, strategy="independent", only=None):
    """Indices of the filters that stay, of each layer that loses filters.

    Args:
        structure: groups.Structure of the network.
        wanted: plan.Request.
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
        wanted: plan.Request.
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
            reach a layer that has no rule, which the message names; or the criterion does not
            return a finite score for each filter.

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
            names = [member.call.path for member in group.members]
            raise ValueError(
                f"{group.not_prunable}; filters of {', '.join(names)} reach it: give these layers "
                f"ratio 0, as in layer_ratios={{{names[0]!r}: 0}}"
            )
        left_out = (gone if strategy == "greedy" else earlier)[structure.unit_of]
        scored = _scored(deciding, criterion)
        scores = sum(_scores(each, structure.unit_of, criterion, left_out) for each in scored)
        # those that an earlier cut removed come first: they are in the count
        order = np.lexsort((scores[group.units], ~earlier[group.units]))
        ranked = group.units[order]
        gone[ranked[:count]] = True
    return gone


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


def _scored(deciding, criterion):
    """The layers that have scores, or ValueError if none has any."""
    if not isinstance(criterion, dict):
        return deciding
    scored = [m for m in deciding if not isinstance(criterion.get(m.call.path), str)]
    if not scored:
        call = deciding[0].call
        reason = criterion[call.path]
        raise ValueError(f"criterion: expected scores for {call}, got none: {reason}")
    return scored


def _scores(member, unit_of, criterion, left_out):
    """Sum of the scores of the layer's filters in each unit, float array (channels,)."""
    filters = member.flow.filters
    kernel = filters.kernel()
    expected = kernel.shape[-1:]
    if isinstance(criterion, dict):
        if member.call.path not in criterion:
            raise ValueError(f"criterion: expected scores for {member.call}, got none")
        scores = criterion[member.call.path]
    else:
        if filters.in_channels is not None and left_out[filters.in_channels].any():
            kernel = np.compress(~left_out[filters.in_channels], kernel, axis=-2)
        more = [member.call.layer] if _needs_layer(criterion) else []
        scores = criterion(kernel, *more)
    scores = np.asarray(scores, float)
    if scores.shape != expected:
        raise ValueError(
            f"criterion: expected scores of shape {expected} for {member.call}, got {scores.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            f"criterion: expected finite scores for {member.call}, got NaN or infinity"
        )
    return np.bincount(unit_of[member.flow.channels], scores, len(unit_of))


def _needs_layer(criterion):
    """Whether a function cannot be called with a kernel alone."""
    try:
        inspect.signature(criterion).bind(None)
    except TypeError:
        return True
    except ValueError:  # a function of NumPy has no signature
        return False
    return False
