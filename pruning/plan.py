"""Number of units to remove from each group."""

import math
from typing import NamedTuple

import numpy as np

from pruning import patterns, shortcuts
from pruning.groups import Group
from pruning.request import Request, count_removed, key, units


class Plan(NamedTuple):
    """How a group is pruned, or why it is not.

    Attributes:
        group: groups.Group.
        deciding: list of channels.Member, the layers whose scores rank the units; empty if the
            group is not pruned.
        why: the reason why the group is not pruned, or "".
        removed: number of units to remove.
        fixed: whether `layer_ratios` give the number.
    """

    group: Group
    deciding: list
    why: str
    removed: int
    fixed: bool


def plans(structure, wanted: Request):
    """The plan of each group.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.

    Returns:
        List of Plan, in the order of computation.

    Raises:
        ValueError: a ratio matches no layer, has no effect, or differs within a group.
    """
    matches = patterns.match(wanted.layer_ratios, structure.paths)
    result = []
    for group in structure.groups:
        deciding, why = _deciding(group, wanted, structure)
        full = _full_units(group, wanted) if deciding else len(group.units)
        gone = full - len(group.units)
        fixed = any(member.call.path in matches for member in group.members)
        asked = count_removed(full, _ratio_of(group, wanted, matches))
        removed = round_removed(group, asked, wanted.round_to, gone)
        result.append(Plan(group, deciding, why, removed, fixed))
    _check_effect(matches, wanted.layer_ratios, result)
    return result


def stages(structure, wanted: Request):
    """The stages of an iterative schedule: the layers that are pruned one after the other.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.

    Returns:
        List of lists of layer paths, in the order of computation. Layers that share a group are in
        one list. Layers that lose no filter are left out, unless no layer loses one.

    Raises:
        ValueError: as `plans`.
    """
    of_groups = [each for each in plans(structure, wanted) if each.deciding]
    check_supported(of_groups)
    result = []
    for each in [one for one in of_groups if one.removed] or of_groups:
        together = set(prunable_paths(each.group))
        for other in [stage for stage in result if stage & together]:
            result.remove(other)
            together |= other
        result.append(together)
    order = list(structure.members)
    return sorted(
        (sorted(stage, key=order.index) for stage in result), key=lambda s: order.index(s[0])
    )


def round_removed(group: Group, asked, round_to, gone=0):
    """Number of units to remove, so that all layers of a group keep a multiple of filters.

    The number of filters that stay is rounded up, so never more units go than are asked for. The
    filters of a layer are counted, not the units: a unit may have several filters of one layer.

    Args:
        group: groups.Group.
        asked: number of units to remove if nothing were rounded, those that are gone included.
        round_to: whole number from 1.
        gone: number of units that earlier prunings removed.

    Returns:
        Integer, 0 if all units stay.
    """
    multiple = math.lcm(*(round_to // math.gcd(round_to, filters) for filters in group.filters))
    kept = -(-(len(group.units) + gone - asked) // multiple) * multiple
    return max(len(group.units) - kept, 0)


def prunable_paths(group: Group):
    """List of the paths of the layers of a group that are pruned themselves."""
    return [member.call.path for member in group.members if member.flow.filters.prunable]


def check_supported(plans_of_groups):
    """Raise ValueError if filters would be removed whose channels reach what no rule fits."""
    if reached := unsupported(each for each in plans_of_groups if each.deciding and each.removed):
        raise ValueError(
            f"unsupported: expected a rule for each layer that filters to remove reach, got none "
            f"for {in_words(reached)}; teach a rule (docs/teaching-a-layer.md), give the layers "
            "that are named first ratio 0, or leave them unchanged with unsupported='keep'"
        )


def unsupported(plans_of_groups):
    """`{reason: paths of the layers whose filters stay because of it}` if no rule fits."""
    return _by_reason(each.group for each in plans_of_groups if each.group.unsupported)


def in_words(reasons):
    """The reasons that `unsupported` returns as a text: `conv1, conv2 [reason], conv3 [reason]`."""
    return ", ".join(
        f"{', '.join(paths)} [{reason}]" if paths else reason for reason, paths in reasons.items()
    )


def check_any_goes(structure, wanted: Request, any_goes):
    """Raise ValueError if a ratio is above 0 but no filter is removed.

    Args:
        structure: groups.Structure of the network.
        wanted: Request.
        any_goes: whether any filter is removed.
    """
    if any_goes or not any([wanted.ratio, *wanted.layer_ratios.values()]):
        return
    if wanted.full and sum(wanted.full.values()) > sum(units(structure).values()):
        return  # an earlier step removed them
    unrounded = plans(structure, wanted._replace(round_to=1))
    if wanted.round_to > 1 and any(each.deciding and each.removed for each in unrounded):
        raise ValueError(
            f"round_to: expected a number that lets a layer lose filters, got {wanted.round_to}: "
            f"{structure.model.name} would keep all its filters; give a smaller number or a higher "
            "ratio"
        )
    if any(member.flow.filters.prunable for member in structure.members.values()):
        reasons = _by_reason(each for each in structure.groups if each.not_prunable)
        why = "no convolution has a filter that can be removed"
        if wanted.coupled != "joint":
            why += f" with coupled {wanted.coupled!r}"
    else:
        reasons, why = {}, "it has no convolution"
        if any(member.flow.filters.on_vectors for member in structure.members.values()):
            why += "; dense=True prunes hidden Dense layers"
    others = _unknown(structure)
    reasons = in_words(dict.fromkeys(others, ()) | reasons)
    raise ValueError(
        f"{structure.model.name}: nothing would be pruned: {why}{reasons and f'; {reasons}'}"
    )


def _unknown(structure):
    """The reasons of what no rule fits, unless another reason holds for all of its channels."""
    found, unit_of = structure.channels.not_prunable, structure.unit_of
    known = [unit_of[each.channels] for each in found if not each.unsupported]
    known = np.unique(np.concatenate(known))
    return [
        each.reason
        for each in found
        if each.unsupported and not np.isin(unit_of[each.channels], known).all()
    ]


def _by_reason(groups):
    """`{reason: paths of the layers that are pruned themselves, but not in these groups}`."""
    reasons = {}
    for group in groups:
        if paths := prunable_paths(group):
            reasons.setdefault(group.not_prunable, {}).update(dict.fromkeys(paths))
    return reasons


def _full_units(group, wanted):
    if wanted.full is None:
        return len(group.units)
    name = key(group)
    if name not in wanted.full:
        raise ValueError(
            "full: expected a network whose layers lose filters together as those of the pruned "
            f"network, got another group for {', '.join(prunable_paths(group))}; prune in one step"
        )
    return wanted.full[name]


def _deciding(group, wanted, structure):
    """`(the layers whose scores rank the group, "")`, or `([], why it is not pruned)`."""
    convolutions = [member for member in group.members if member.flow.filters.prunable]
    if group.not_prunable and not (group.unsupported and wanted.unsupported == "error"):
        return [], group.not_prunable
    if not convolutions:
        hidden = any(member.flow.filters.on_vectors for member in group.members)
        hint = "; dense=True prunes hidden Dense layers, too" if hidden else ""
        return [], f"it is not a convolution{hint}"
    if wanted.coupled == "joint" or len(convolutions) == 1:
        return group.members, ""
    if wanted.coupled == "skip":
        return [], "it is coupled to other convolutions, and coupled is 'skip'"
    deciding = shortcuts.projections(convolutions, structure)
    return deciding, "" if deciding else "its group has no 1x1 projection on a shortcut"


def _ratio_of(group, wanted, matches):
    given = {m.call.path: matches[m.call.path] for m in group.members if m.call.path in matches}
    ratios = {path: wanted.layer_ratios[pattern] for path, pattern in given.items()}
    if len(set(ratios.values())) > 1:
        pairs = ", ".join(f"{path} {ratio}" for path, ratio in ratios.items())
        raise ValueError(
            f"layer_ratios: expected one ratio for layers that lose filters together, got {pairs}"
        )
    return wanted.layer_ratios[min(given.values())] if given else wanted.ratio


def _check_effect(matches, layer_ratios, plans_of_groups):
    """Raise ValueError if a layer ratio above 0 removes no filter."""
    stays = {}
    for plan in plans_of_groups:
        for member in plan.group.members:
            path = member.call.path
            stays[path] = plan.why and stays.get(path, plan.why)
    for pattern, ratio in layer_ratios.items():
        paths = [path for path, matched in matches.items() if matched == pattern]
        why = [stays.get(path, "it has no filters") for path in paths]
        if ratio and paths and all(why):
            raise ValueError(
                f"layer_ratios: expected ratio 0 for {pattern!r}, got {ratio}: no filter of "
                f"{paths[0]} can be removed, because {why[0]}"
            )
