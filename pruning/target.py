"""How many units of each group go, so that the network reaches a target, found without a cut.

There is a list of steps from the full network to the smallest. In uniform ranking a step is a
ratio; in global ranking it is one more unit, that of the lowest normalised score; with
sensitivities, that of the layer which costs least. Every step removes what the step before it
removes, so the first that reaches the target is found by bisection.
"""

import bisect
import math

import numpy as np

from pruning import counts, criteria, footprint, plan, ranking, request

BYTES = 4  # of a float32 weight


def plans(structure, wanted: request.Request, criterion, *, strategy="independent"):
    """The plan of each group; those of a target are the first that reach it.

    Args:
        structure: groups.Structure of the network.
        wanted: request.Request.
        criterion: as `ranking.unit_scores` takes it.
        strategy: one of `selection.STRATEGIES`.

    Returns:
        List of plan.Plan, as `plan.plans` returns it.

    Raises:
        ValueError: as `plan.plans`; or the target cannot be reached, or too many units would go.
    """
    if wanted.ranking != "uniform":
        if strategy == "greedy" and wanted.ranking == "global":
            raise ValueError(
                "strategy: expected 'independent' with ranking='global', got 'greedy'; its scores "
                "depend on what earlier layers lose, so layers cannot be ranked together"
            )
        steps, at = _one_by_one(structure, wanted, criterion)
        if wanted.target is None:
            return at(_part_of_all(structure, wanted, steps))
    elif wanted.target is None:
        return plan.plans(structure, wanted)
    else:
        steps, at = _ratios(structure, wanted)
    return at(_first(structure, wanted, steps, at, criterion, strategy))


def as_ratio(structure, wanted: request.Request):
    """The same Request with the smallest ratio that reaches its target, and without the target.

    Raises:
        ValueError: as `plans`, or all units are ranked together, so there is no such ratio.
    """
    if wanted.ranking != "uniform":
        raise ValueError(
            "ranking: expected 'uniform' for a schedule of several cuts, got 'global' or "
            "sensitivities; layers are ranked together in one cut only"
        )
    if wanted.target is None:
        return wanted
    steps, at = _ratios(structure, wanted)
    ratio = _first(structure, wanted, steps, at, criteria.l1_norm, "independent")
    return wanted._replace(ratio=ratio, target=None)


def _ratios(structure, wanted):
    """All ratios at which another filter goes, and a function of one that returns the plans."""
    sizes = {len(each.group.units) for each in plan.plans(structure, wanted) if _is_free(each)}
    steps = sorted({0.0, *(removed / size for size in sizes for removed in range(size))})
    return steps, lambda ratio: plan.plans(structure, wanted._replace(ratio=ratio))


def _one_by_one(structure, wanted, criterion):
    """All numbers of units that may go, and a function of one that returns the plans.

    Of equal scores, that of the earlier layer goes first.
    """
    unranked = plan.plans(structure, wanted._replace(ratio=0))
    scores, owners = [np.zeros(0)], [np.zeros(0, int)]
    for index, each in enumerate(unranked):
        if _is_free(each):
            count = len(each.group.units)
            least = max(1, math.ceil(round(wanted.keep * count, 6)))
            scores.append(_scores(structure, each, wanted, criterion)[: count - least])
            owners.append(np.full(len(scores[-1]), index))
    order = np.argsort(np.concatenate(scores), kind="stable")
    owner = np.concatenate(owners)[order]

    def at(number):
        asked = np.bincount(owner[:number], minlength=len(unranked)).tolist()
        return [
            each._replace(removed=plan.round_removed(each.group, count, wanted.round_to))
            if count
            else each
            for each, count in zip(unranked, asked, strict=True)
        ]

    return range(len(owner) + 1), at


def _scores(structure, each, wanted, criterion):
    """The scores of the units of a group that may go, ascending: the first to go is the first."""
    if wanted.ranking != "global":
        return ranking.costs(*wanted.ranking, each.group)
    scores = ranking.unit_scores(structure, each.deciding, criterion, combine=wanted.combine)
    return np.sort(ranking.normalised(scores[each.group.units]))


def _part_of_all(structure, wanted, steps):
    """Number of units that are the ratio of the units of all groups, rounded up."""
    free = [each for each in plan.plans(structure, wanted) if _is_free(each)]
    units = sum(len(each.group.units) for each in free)
    number = math.ceil(round(wanted.ratio * units, 6))
    if number > steps[-1]:
        most = math.floor(1e4 * steps[-1] / units) / 1e4
        raise ValueError(
            f"ratio: expected at most {most}, got {wanted.ratio}: with "
            f"keep={wanted.keep} only {steps[-1]} of {units} units can go; give a lower ratio or "
            "keep"
        )
    return number


def _is_free(each):
    """Whether the group of a plan is pruned, and `layer_ratios` give it no ratio of its own."""
    return each.deciding and not each.fixed


def _first(structure, wanted, steps, at, criterion, strategy):
    """The first of the steps that reaches the target."""
    what, amount = wanted.target
    size, options = footprint.after_removal(structure), {"combine": wanted.combine}
    # every kernel is scored once, not at every step
    if strategy == "independent" and not isinstance(criterion, dict):
        deciding = {m.call.path: m for each in at(steps[-1]) for m in each.deciding}
        criterion = {path: ranking.filter_scores(m, criterion) for path, m in deciding.items()}

    def of(step):
        gone = ranking.lowest(structure, at(step), criterion, strategy=strategy, **options)
        return _amount(structure, size(gone), what)

    full = _amount(structure, size(np.zeros(len(structure.unit_of), bool)), what)
    limit = amount if what == "bytes" else round(amount * full, 6)
    if (least := of(steps[-1])) > limit:
        part = "" if what == "bytes" else f", a part of {math.ceil(1e4 * least / full) / 1e4}"
        kept = plan.in_words(plan.unsupported(plan.plans(structure, wanted)))
        raise ValueError(
            f"{what}: expected an amount that can be reached, got {amount}: the least that is "
            f"possible is {least:,} of {full:,}{part}; give so much or more"
            + (kept and f"; no rule fits what these layers reach: {kept}")
        )
    return steps[bisect.bisect_left(steps, True, key=lambda step: of(step) <= limit)]


def _amount(structure, size, what):
    parameters, macs = size
    if what == "macs" and macs is None:
        macs = sum(map(counts.macs, structure.calls))  # raises with the layer and the reason
    return {"macs": macs, "parameters": parameters, "bytes": BYTES * parameters}[what]
