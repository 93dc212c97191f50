"""The score of a unit: the scores of its filters, which may be in several layers, combined."""

import inspect

import numpy as np


def lowest(structure, plans, criterion, *, combine, strategy="independent", earlier=None):
    """The units of lowest score. Of equal scores the one with the lower index is removed first.

    Args:
        structure: groups.Structure of the network.
        plans: list of plan.Plan, which say how many units of each group go.
        criterion: as `unit_scores` takes it.
        combine: one of `COMBINE`.
        strategy: one of `selection.STRATEGIES`.
        earlier: None, or the units that an earlier cut removed.

    Returns:
        bool array (channels,), True at the number of each removed unit, `earlier` included.
    """
    if earlier is None:
        earlier = np.zeros(len(structure.unit_of), bool)
    gone = earlier.copy()
    for each in plans:
        if not each.deciding or not each.removed:
            continue
        left_out = (gone if strategy == "greedy" else earlier)[structure.unit_of]
        scores = unit_scores(
            structure, each.deciding, criterion, combine=combine, left_out=left_out
        )
        units = each.group.units
        # those that an earlier cut removed come first: they are in the count
        order = np.lexsort((scores[units], ~earlier[units]))
        gone[units[order][: each.removed]] = True
    return gone


def unit_scores(structure, deciding, criterion, *, combine, left_out=None):
    """The score of each unit of a group.

    Args:
        structure: groups.Structure of the network.
        deciding: list of channels.Member, the layers whose scores count.
        criterion: function of a kernel (..., in_channels, filters), and of the layer if it needs a
            second argument, that returns a score per filter, float array (filters,), or `{layer
            path: scores}`. A text in place of scores says why there are none; such a layer does not
            count, but at least one of the layers must have scores.
        combine: one of `COMBINE`.
        left_out: None, or bool array (channels,), True at the input channels that kernels are
            scored without.

    Returns:
        float array (channels,), the score at the number of each unit of the group.

    Raises:
        ValueError: the criterion does not return a finite score for each filter.
    """
    size, layers = len(structure.unit_of), []
    for member in _scored(deciding, criterion):
        scores = filter_scores(member, criterion, left_out)
        layers.append((structure.unit_of[member.flow.channels], scores))
    return COMBINE[combine](layers, size)


def filter_scores(member, criterion, left_out=None):
    """The score of each filter of a layer, float array (filters,); arguments as `unit_scores`."""
    filters, expected = member.flow.filters, member.flow.channels.shape
    if isinstance(criterion, dict):
        if member.call.path not in criterion:
            raise ValueError(f"criterion: expected scores for {member.call}, got none")
        scores = criterion[member.call.path]
    else:
        kernel, reads = filters.kernel(), filters.in_channels
        if left_out is not None and reads is not None and left_out[reads].any():
            kernel = np.compress(~left_out[reads], kernel, axis=-2)
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
    return scores


def normalised(scores):
    """Scores divided by the mean of their absolute values, so that layers can be compared.

    The mean is of absolute values, because a division by a negative mean would turn the order
    round. Scores that are all 0 stay 0.

    Source: Fang et al. 2023, DepGraph: Towards Any Structural Pruning (arXiv 2301.12900), the
    normalised importance of group-level pruning, with N the number of all filters.
    """
    mean = np.abs(scores).mean()
    return scores / mean if mean else scores


def costs(accuracy, rows, group):
    """The accuracy that is lost when so many units of a group are gone, by its sensitivity.

    Between two measured ratios the accuracy is taken from the straight line. A unit costs at least
    as much as those before it. Beyond the largest measured ratio no unit goes.

    Args:
        accuracy: accuracy of the full network, 0..1.
        rows: list of dicts, as `sensitivity.analyse` returns them.
        group: groups.Group.

    Returns:
        float array (units that may go,), ascending: what is lost if 1, 2, ... units are gone.

    Raises:
        ValueError: no row is of the layers of the group.
    """
    paths = {member.call.path for member in group.members if member.flow.filters.prunable}
    lost = {
        row["pruning_ratio"]: accuracy - row["accuracy"]
        for row in rows
        if paths & set(row["layers"])
    }
    if not lost:
        raise ValueError(
            f"ranking: expected sensitivities of {', '.join(sorted(paths))}, got none; measure the "
            "same network with the same options"
        )
    ratios, drops = zip(*sorted({0: 0.0, **lost}.items()), strict=True)
    parts = np.arange(1, len(group.units) + 1) / len(group.units)
    parts = parts[parts <= ratios[-1] + 1e-9]  # 0.9 is a little less than 9 / 10 for some sizes
    return np.interp(parts, ratios, np.maximum.accumulate(drops))


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


def _needs_layer(criterion):
    """Whether a function cannot be called with a kernel alone."""
    try:
        inspect.signature(criterion).bind(None)
    except TypeError:
        return True
    except ValueError:  # a function of NumPy has no signature
        return False
    return False


def _sum(layers, size):
    """The sum of the scores of all filters: layers with large scores decide."""
    return sum(np.bincount(units, scores, size) for units, scores in layers)


def _mean(layers, size):
    """The mean over the layers of their normalised scores: every layer has one vote."""
    of_layers = [
        np.bincount(units, normalised(scores), size) / np.maximum(np.bincount(units, None, size), 1)
        for units, scores in layers
    ]
    return sum(of_layers) / len(of_layers)


def _max(layers, size):
    """The largest of the normalised scores: a unit stays if one layer needs it."""
    largest = np.full(size, -np.inf)
    for units, scores in layers:
        np.maximum.at(largest, units, normalised(scores))
    return largest


# how the filters of a unit make its score: functions of a list of pairs (the unit of each filter of
# a layer, the score of each), and of the number of channels, that return an array (channels,)
COMBINE = {"sum": _sum, "mean": _mean, "max": _max}
