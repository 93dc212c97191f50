"""Which channels must be removed together.

How groups are found. Every filter gets a number. The layers are visited in the order of
computation. The rule of each layer says which numbers are along the channel axis of its output:

- The output channels of a convolution (or Dense layer) are its own filters. Any of its input
  channels may be removed: the kernel loses the same input channels.
- The output channels of BatchNormalization, activations, pooling, Flatten and similar layers are
  their input channels, perhaps in other positions. The same holds for a depthwise convolution,
  which repeats each channel `depth_multiplier` times: a channel and its kernels are removed
  together.
- Layers such as Add and Multiply combine tensors element by element. They couple channel i of one
  tensor to channel i of the other: both are removed, or neither. Two more kinds of channels are
  coupled: those that a shared layer reads at its different calls, and those at the same position
  in each group of a grouped convolution, because these groups must keep equal sizes. Attention
  without projections multiplies queries and keys and couples their channels. GroupNormalization
  couples the channels of each group, and whole groups are removed.
- Three kinds of channels are not prunable: those of the network's input, those that reach its
  output, and those that enter a normalisation over channels (LayerNormalization,
  GroupNormalization of one group, RMSNormalization, UnitNormalization), because without a channel
  the others would change.

Coupled channels form one *unit*, the smallest thing that can be removed. Units with filters of the
same layers form a *group*. The units of a group are ranked against each other. A plain convolution
is a group of its own, with one unit per filter. A concatenation couples no channels: each of its
inputs stays in its own group. A split or slice of channels makes groups: each part is ranked by
itself, and keeps at least one unit.
"""

import functools
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from pruning import graph, shortcuts
from pruning.channels import Channels, number


class Group(NamedTuple):
    """Layers whose filters are removed together.

    Attributes:
        members: list of channels.Member, in the order of computation.
        units: int array, the numbers of its units.
        not_prunable: the reason why the units are not prunable, or "".
        unsupported: whether they are not prunable because no rule fits, see `rules.NotPrunable`.
        filters: list of the number of filters that each member has in a unit.
    """

    members: list
    units: np.ndarray
    not_prunable: str
    unsupported: bool
    filters: list


@dataclass(frozen=True, eq=False)
class Structure:
    """A network, its channels and groups.

    Attributes:
        model: the network.
        calls: list of graph.Call, in the order of computation.
        paths: `{path of a layer's first call: paths of all its calls}`, nested models included.
        channels: Channels.
        unit_of: int array, the number of the unit of each channel.
        groups: list of Group, in the order of computation.
        dense: whether Dense layers on vectors are pruned themselves.
    """

    model: keras.Model
    calls: list
    paths: dict
    channels: Channels
    unit_of: np.ndarray
    groups: list
    dense: bool

    @functools.cached_property
    def computed_from(self):
        """As `shortcuts.computed_from`; a plan for each ratio and layer asks for it."""
        return shortcuts.computed_from(self)

    @property
    def members(self):
        """`{path: channels.Member}` of the layers with filters, in the order of computation."""
        return self.channels.members


def find(model, *, dense=False):
    """The channels and groups of a network.

    Args:
        model: built Functional or Sequential model.
        dense: whether Dense layers on vectors are pruned themselves.

    Returns:
        Structure.

    Raises:
        ValueError, TypeError: the model is not built, or its layers cannot be listed.
    """
    network = graph.trace(graph.functional(model))
    channels = number(network, dense=dense)
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
        dense=dense,
    )


def _components(size, coupled):
    """For each channel the lowest number it is coupled to, directly or through other channels."""
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
    inside = defaultdict(list)  # unit: index of a member for each of its filters in the unit
    for index, member in enumerate(members):
        for unit in unit_of[member.flow.channels].tolist():
            inside[unit].append(index)
    # unit: (reason, unsupported); a known reason replaces one of an unsupported layer
    reasons = {}
    for each in sorted(channels.not_prunable, key=lambda each: not each.unsupported):
        for unit in unit_of[each.channels].tolist():
            reasons[unit] = each.reason, each.unsupported
    apart = defaultdict(tuple)  # unit: the parts that it is in
    for index, part in enumerate(channels.parts):
        for unit in np.unique(unit_of[part]).tolist():
            apart[unit] += (index,)
    groups = defaultdict(list)
    for unit, indices in inside.items():
        groups[tuple(indices), *reasons.get(unit, ("", False)), apart[unit]].append(unit)
    result = []
    for (indices, reason, unsupported, _), units in groups.items():
        filters = dict(sorted(Counter(indices).items()))
        of_group = [members[index] for index in filters]
        result.append(Group(of_group, np.array(units), reason, unsupported, [*filters.values()]))
    return result
