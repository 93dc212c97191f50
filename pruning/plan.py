"""How many units of each group go."""

import math
import numbers
from typing import NamedTuple

from pruning import patterns, shortcuts
from pruning.groups import Group

COUPLED = ("joint", "shortcut", "skip")


class Request(NamedTuple):
    """What is asked for, as `prune` takes it.

    Attributes:
        ratio: part of the filters to remove, 0 <= ratio < 1.
        layer_ratios: `{layer name or glob: ratio}` for layers that differ from it.
        coupled: what is done with groups in which several convolutions meet, one of `COUPLED`.
    """

    ratio: float
    layer_ratios: dict
    coupled: str


class Plan(NamedTuple):
    """What is to be done with a group.

    Attributes:
        group: groups.Group.
        deciding: list of channels.Member, the layers whose scores rank it; none if it stays.
        why: reason why it stays, or "".
        removed: how many of its units go.
    """

    group: Group
    deciding: list
    why: str
    removed: int


def request(ratio, layer_ratios, coupled):
    """The Request; ValueError if an argument is none that `prune` takes."""
    if coupled not in COUPLED:
        raise ValueError(f"coupled is {coupled!r}; give {', '.join(COUPLED)}")
    layer_ratios = {} if layer_ratios is None else layer_ratios
    if not isinstance(layer_ratios, dict) or not all(isinstance(p, str) for p in layer_ratios):
        raise ValueError(f"layer_ratios is {layer_ratios!r}; give {{layer name or glob: ratio}}")
    for value in (ratio, *layer_ratios.values()):
        count_removed(1, value)  # in range, whether it will be used or not
    return Request(ratio, layer_ratios, coupled)


def plans(structure, wanted: Request):
    """What is to be done with each group.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.

    Returns:
        List of Plan, in the order of computation.

    Raises:
        ValueError: a ratio is for no layer, has no effect, or is not that of the rest of its group.
    """
    matches = patterns.match(wanted.layer_ratios, structure.paths)
    found = []
    for group in structure.groups:
        deciding, why = _deciding(group, wanted.coupled, structure)
        removed = count_removed(len(group.units), _ratio_of(group, wanted, matches))
        found.append(Plan(group, deciding, why, removed))
    _check_effect(matches, wanted.layer_ratios, found)
    return found


def stages(structure, wanted: Request):
    """The layers to prune one after the other, for an iterative schedule.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.

    Returns:
        List of lists of layer paths, in the order of computation. Layers that share a group are in
        one list. Layers that lose nothing are left out, unless none loses anything.

    Raises:
        ValueError: as `plans`.
    """
    of_groups = [each for each in plans(structure, wanted) if each.deciding]
    found = []
    for each in [one for one in of_groups if one.removed] or of_groups:
        together = set(prunable_paths(each.group))
        for other in [stage for stage in found if stage & together]:
            found.remove(other)
            together |= other
        found.append(together)
    order = list(structure.members)
    return sorted(
        (sorted(stage, key=order.index) for stage in found), key=lambda s: order.index(s[0])
    )


def count_removed(filters, ratio):
    """How many of a layer's filters go: `ceil(ratio * filters)`, but at least one stays.

    Only rounding up reproduces the numbers of Li et al. 2017, table 1.

    Raises:
        ValueError: the ratio is out of range.
    """
    if not isinstance(ratio, numbers.Real) or not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio!r}; give a number from 0 up to, but not including, 1")
    # rounded before, since 0.07 * 100 is 7.000000000000001 in binary
    return min(math.ceil(round(ratio * filters, 6)), filters - 1)


def prunable_paths(group: Group):
    """The paths of the layers of a group that are pruned themselves, a list."""
    return [member.call.path for member in group.members if member.flow.filters.prunable]


def check_any_goes(structure, wanted: Request, any_goes):
    """Raise ValueError if no filter goes although a ratio is above 0.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.
        any_goes: whether a filter goes.
    """
    if any_goes or not any([wanted.ratio, *wanted.layer_ratios.values()]):
        return
    unsupported = [e.reason for e in structure.channels.not_prunable if e.unsupported]
    if any(member.flow.filters.prunable for member in structure.members.values()):
        reasons = [each.not_prunable for each in structure.groups if each.not_prunable]
        why = f"no convolution has a filter to spare, coupled {wanted.coupled!r}"
    else:
        reasons, why = [], "it has no convolution that can be"
    reasons = list(dict.fromkeys([*reasons, *unsupported]))[:3]
    raise ValueError(
        f"{structure.model.name}: nothing would be pruned: {'; '.join([why, *reasons])}"
    )


def _deciding(group, coupled, structure):
    """The layers whose scores rank the group, none if it stays; and why it does."""
    convolutions = [member for member in group.members if member.flow.filters.prunable]
    if group.not_prunable and not group.unsupported:
        return [], group.not_prunable
    if not convolutions:
        return [], "it is no convolution"
    if coupled == "joint" or len(convolutions) == 1:
        return group.members, ""
    if coupled == "skip":
        return [], "it meets others, and coupled is 'skip'"
    deciding = shortcuts.projections(convolutions, structure)
    return deciding, "" if deciding else "no 1x1 projection decides for its group"


def _ratio_of(group, wanted, matches):
    given = {m.call.path: matches[m.call.path] for m in group.members if m.call.path in matches}
    ratios = {path: wanted.layer_ratios[pattern] for path, pattern in given.items()}
    if len(set(ratios.values())) > 1:
        pairs = ", ".join(f"{path} {ratio}" for path, ratio in ratios.items())
        raise ValueError(f"layers that lose the same filters were given {pairs}; give them one")
    return wanted.layer_ratios[min(given.values())] if given else wanted.ratio


def _check_effect(matches, layer_ratios, found):
    """Raise ValueError if a ratio above 0 would remove nothing."""
    stays = {}
    for plan in found:
        for member in plan.group.members:
            path = member.call.path
            stays[path] = plan.why and stays.get(path, plan.why)
    for pattern, ratio in layer_ratios.items():
        paths = [path for path, matched in matches.items() if matched == pattern]
        why = [stays.get(path, "it has no filters") for path in paths]
        if ratio and paths and all(why):
            raise ValueError(f"{pattern}: none of its filters can be removed: {paths[0]}, {why[0]}")
