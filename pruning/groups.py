"""Which channels must leave a network together.

How groups are found. Every filter gets a number. The network is walked through in the order of
computation, and the rule of each layer says which numbers stand along the channel axis of what it
hands on:

- A convolution (or Dense layer) hands on its own filters. What it reads may be cut freely: the
  kernel loses the same input channels.
- BatchNormalization, activations, pooling, Flatten and the like hand on what they got, in the
  positions where they put it. A depthwise convolution hands on what it got as well, each channel
  as often as its multiplier says: channel and kernel leave together.
- Where tensors meet element by element (Add, Multiply, ...), channel i of one and channel i of the
  other are coupled: both leave or none. So are the channels that a shared layer reads at its
  different calls, and those in the same place of the groups of a grouped convolution, which must
  stay equally large.
- Channels that come from the network's input, reach its output or enter a normalisation over
  channels (LayerNormalization, GroupNormalization, RMSNormalization: without a channel the others
  would change) are not prunable.

Coupled channels form one *unit*, the smallest thing that can be removed. Units with filters of the
same layers form a *group*; its units are ranked against each other. A plain convolution is a group
by itself, with one unit per filter. A concatenation couples nothing: its parts stay in their own
groups.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from pruning import graph
from pruning.channels import Channels, number


class Group(NamedTuple):
    """Layers whose filters leave together.

    Attributes:
        members: list of channels.Member, in the order of computation.
        units: int array, the numbers of its units.
        not_prunable: reason why they stay, or "".
        unsupported: whether to prune them is an error, see `rules.NotPrunable`.
    """

    members: list
    units: np.ndarray
    not_prunable: str
    unsupported: bool


@dataclass(frozen=True, eq=False)
class Structure:
    """A network, its channels and groups.

    Attributes:
        model: the network.
        calls: list of graph.Call, in the order of computation.
        paths: `{path: all paths of this layer}`, by the path of its first call; those of nested
            models too.
        channels: Channels.
        unit_of: int array, the number of the unit of each channel.
        groups: list of Group, in the order of computation.
    """

    model: keras.Model
    calls: list
    paths: dict
    channels: Channels
    unit_of: np.ndarray
    groups: list

    @property
    def members(self):
        """`{path: channels.Member}` of the layers with filters, in the order of computation."""
        return self.channels.members


def find(model):
    """The channels of a network and the groups they form.

    Args:
        model: built Functional or Sequential model.

    Returns:
        Structure.

    Raises:
        ValueError, TypeError: its layers cannot be followed.
    """
    network = graph.trace(graph.functional(model))
    channels = number(network)
    unit_of = _components(channels.size, channels.coupled)
    paths = defaultdict(list)
    for call in network.calls:
        paths[id(call.layer)].append(call.path)
    return Structure(
        model=model,
        calls=network.calls,
        paths={of_layer[0]: of_layer for of_layer in paths.values()},
        channels=channels,
        unit_of=unit_of,
        groups=_groups(channels, unit_of),
    )


def _components(size, coupled):
    """The lowest number each channel is coupled to, directly or through others."""
    lowest = np.arange(size)
    if not coupled:
        return lowest
    here, there = (np.concatenate(side) for side in zip(*coupled, strict=True))
    while True:
        meeting = np.minimum(lowest[here], lowest[there])
        if (meeting == lowest[here]).all() and (meeting == lowest[there]).all():
            return lowest
        np.minimum.at(lowest, lowest[here], meeting)
        np.minimum.at(lowest, lowest[there], meeting)
        lowest = lowest[lowest]


def _groups(channels, unit_of):
    members = list(channels.members.values())
    inside = defaultdict(list)  # unit: the members in it, as often as they have filters in it
    for index, member in enumerate(members):
        for unit in unit_of[member.flow.channels].tolist():
            inside[unit].append(index)
    reasons = {}  # unit: (reason, unsupported); what is known counts before what is not supported
    for each in sorted(channels.not_prunable, key=lambda each: not each.unsupported):
        for unit in unit_of[each.channels].tolist():
            reasons[unit] = each.reason, each.unsupported
    groups = defaultdict(list)
    for unit, indices in inside.items():
        groups[tuple(indices), *reasons.get(unit, ("", False))].append(unit)
    return [
        Group([members[i] for i in sorted(set(indices))], np.array(units), reason, unsupported)
        for (indices, reason, unsupported), units in groups.items()
    ]
