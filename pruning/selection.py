"""How many filters go, and which."""

import math
import numbers
from typing import NamedTuple

import numpy as np

from pruning import patterns
from pruning.groups import Group

COUPLED = ("joint", "shortcut", "skip")


class Plan(NamedTuple):
    """What is to be done with a group.

    Attributes:
        group: groups.Group.
        members: list of the layers whose scores rank it; none where it is left whole.
        why: reason why it is left whole, or "".
        removed: how many of its bundles go.
    """

    group: Group
    members: list
    why: str
    removed: int


def independent(channels, ratio, **options):
    """The filters that stay when every group is ranked by itself, by whole kernels.

    Args:
        channels: groups.Channels of the network.
        ratio: part of the filters to remove, 0 <= ratio < 1.
        options: those of `removed`, without `earlier` and `leave_out`.

    Returns:
        `{layer path: ascending int array of the filters that stay}` of all layers that lose some.
        Of equal scores the filter with the lower index goes first.

    Raises:
        ValueError: a ratio is out of range, for no layer, or not that of the rest of its group; or
            a layer is reached whose channels cannot be cut, which the message names.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    return kept(channels, removed(channels, ratio, **options))


def greedy(channels, ratio, **options):
    """As `independent`, but kernels leave out the input channels that are removed already.

    Groups are ranked in the order of computation, each by what earlier ones left of its kernels.
    """
    return kept(channels, removed(channels, ratio, leave_out=True, **options))


def stages(channels, ratio, *, layer_ratios, coupled):
    """The layers to prune one after the other, for an iterative schedule.

    Args:
        channels: groups.Channels of the network.
        ratio: part of the filters to remove, 0 <= ratio < 1.
        layer_ratios: as `removed` takes them.
        coupled: as `removed` takes it.

    Returns:
        List of lists of layer paths, in the order of computation. Layers that share a group are in
        one list. Layers that lose nothing are left out, unless none loses anything.

    Raises:
        ValueError: as `independent`.
    """
    plans = [p for p in _plans(channels, ratio, layer_ratios, coupled) if p.members]
    found = []
    for plan in [p for p in plans if p.removed] or plans:
        together = _convolutions(plan.group)
        for other in [stage for stage in found if stage & together]:
            found.remove(other)
            together |= other
        found.append(together)
    order = list(channels.members)
    return sorted(
        (sorted(stage, key=order.index) for stage in found), key=lambda s: order.index(s[0])
    )


def removed(
    channels, ratio, *, layer_ratios, criterion, coupled, only=None, leave_out=False, earlier=None
):
    """The bundles that go.

    Args:
        channels: groups.Channels of the network.
        ratio: part of the filters to remove, 0 <= ratio < 1.
        layer_ratios: `{layer name or glob: ratio}` for layers that differ from it.
        criterion: function of a kernel (..., in_channels, filters) that returns a score per filter,
            float array (filters,), or `{layer path: scores}`; the lowest go.
        coupled: what is done with groups in which several convolutions meet, one of `COUPLED`.
        only: None, or paths of the layers to prune now, as `stages` returns them.
        leave_out: whether kernels are judged without the input channels that are removed already.
        earlier: None, or the bundles that went before, for other layers; kernels are judged without
            the input channels that went with them.

    Returns:
        bool array, True at the number of each bundle that goes or went before.

    Raises:
        ValueError: as `independent`.
    """
    if earlier is None:
        earlier = np.zeros(len(channels.bundle_of), bool)
    gone = earlier.copy()
    _check_only(only, channels)
    for plan in _plans(channels, ratio, layer_ratios, coupled):
        group = plan.group
        now = only is None or not _convolutions(group).isdisjoint(only)
        if not plan.members or not plan.removed or not now:
            continue
        if group.refused:
            raise ValueError(
                f"{group.refused}; filters of {_names(group)} reach it: give these the ratio 0"
            )
        left_out = (gone if leave_out else earlier)[channels.bundle_of]
        scores = sum(
            _scores(member, channels.bundle_of, criterion, left_out) for member in plan.members
        )
        ranked = group.bundles[np.argsort(scores[group.bundles], kind="stable")]
        gone[ranked[: plan.removed]] = True
    return gone


def kept(channels, gone):
    """The filters that stay without these bundles, as `independent` returns them."""
    return {
        path: np.flatnonzero(~lost)
        for path, member in channels.members.items()
        if (lost := gone[channels.bundle_of[member.flow.channels]]).any()
    }


def check_any_goes(channels, ratio, *, layer_ratios, coupled, any_goes):
    """Raise ValueError if no filter goes although a ratio is above 0.

    Args:
        channels: groups.Channels of the network.
        ratio: as `removed` takes it.
        layer_ratios: as `removed` takes them.
        coupled: as `removed` takes it.
        any_goes: whether a filter goes.
    """
    if any_goes or not any([ratio, *layer_ratios.values()]):
        return
    if any(member.flow.convolution for member in channels.members.values()):
        reasons = [group.whole for group in channels.groups if group.whole] + channels.obstacles
        why = f"no convolution has a filter to spare, coupled {coupled!r}"
    else:
        reasons, why = channels.obstacles, "it has no convolution that can be"
    told = "; ".join([why, *list(dict.fromkeys(reasons))[:3]])
    raise ValueError(f"{channels.model.name}: nothing would be pruned: {told}")


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


def _check_only(only, channels):
    if isinstance(only, str):
        raise ValueError(f"only is {only!r}; give a list of layer names")
    known = [path for path, member in channels.members.items() if member.flow.convolution]
    if unknown := [path for path in only or () if path not in known]:
        raise ValueError(
            f"{', '.join(unknown)}: no convolution with filters of its own to remove; there are "
            f"{', '.join(known)}"
        )


def _plans(channels, ratio, layer_ratios, coupled):
    """A Plan for each group, in the order of computation."""
    for value in (ratio, *layer_ratios.values()):
        count_removed(1, value)  # in range, whether it will be used or not
    matches = patterns.match(layer_ratios, channels.names)
    plans = [
        Plan(
            group,
            *_deciding_members(group, coupled, channels),
            count_removed(len(group.bundles), _group_ratio(group, ratio, layer_ratios, matches)),
        )
        for group in channels.groups
    ]
    _check_effect(matches, layer_ratios, plans)
    return plans


def _convolutions(group):
    return {member.call.path for member in group.members if member.flow.convolution}


def _deciding_members(group, coupled, channels):
    """The layers whose scores rank the group, none where it is left whole; and why it is."""
    convolutions = [member for member in group.members if member.flow.convolution]
    if group.whole:
        return [], group.whole
    if not convolutions:
        return [], "it is no convolution"
    if coupled == "joint" or len(convolutions) == 1:
        return group.members, ""
    if coupled == "skip":
        return [], "it meets others, and coupled is 'skip'"
    every = sum(m.bit for m in channels.members.values() if m.flow.convolution)
    projections = [m for m in convolutions if _is_projection(m, convolutions, every)]
    return projections, "" if projections else "no 1x1 projection decides for its group"


def _is_projection(member, group, every):
    """Whether it is the 1x1 convolution on a shortcut around another convolution of its group.

    Then the other one depends on all convolutions that this one depends on, but not on this one.

    Args:
        member: numbering.Member.
        group: list of the convolutions of its group.
        every: int, the bits of all convolutions of the network.
    """
    return math.prod(getattr(member.call.layer, "kernel_size", ())) == 1 and any(
        member.before & every & ~other.before == 0 and not member.bit & other.before
        for other in group
        if other is not member
    )


def _group_ratio(group, ratio, layer_ratios, matches):
    given = {m.call.path: matches[m.call.path] for m in group.members if m.call.path in matches}
    if len({layer_ratios[pattern] for pattern in given.values()}) > 1:
        pairs = ", ".join(f"{path} {layer_ratios[pattern]}" for path, pattern in given.items())
        raise ValueError(f"layers that lose the same filters were given {pairs}; give them one")
    return layer_ratios[min(given.values())] if given else ratio


def _check_effect(matches, layer_ratios, plans):
    """Refuse a ratio above 0 that would remove nothing."""
    whole = {}
    for plan in plans:
        for member in plan.group.members:
            path = member.call.path
            whole[path] = plan.why and whole.get(path, plan.why)
    for pattern, ratio in layer_ratios.items():
        paths = [path for path, matched in matches.items() if matched == pattern]
        why = [whole.get(path, "it has no filters") for path in paths]
        if ratio and paths and all(why):
            raise ValueError(f"{pattern}: none of its filters can be removed: {paths[0]}, {why[0]}")


def _scores(member, bundle_of, criterion, left_out):
    """The sum of its filters' scores for every bundle, float array (channels,)."""
    kernel = member.flow.kernel()
    filters = kernel.shape[-1:]
    if isinstance(criterion, dict):
        if member.call.path not in criterion:
            raise ValueError(f"{member.call}: the criterion holds no scores for it")
        scores = criterion[member.call.path]
    else:
        if member.flow.reads is not None and left_out[member.flow.reads].any():
            kernel = np.compress(~left_out[member.flow.reads], kernel, axis=-2)
        scores = criterion(kernel)
    scores = np.asarray(scores, float)
    if scores.shape != filters:
        raise ValueError(f"{member.call}: the criterion gave {scores.shape} scores, not {filters}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{member.call}: the criterion gave scores that are not finite")
    return np.bincount(bundle_of[member.flow.channels], scores, len(bundle_of))


def _names(group):
    return ", ".join(member.call.path for member in group.members)
