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
  other are tied: both leave or none. So are the channels that a shared layer reads at its different
  calls, and those in the same place of the groups of a grouped convolution, which must stay equally
  large.
- Channels that come from the network's input, reach its output or enter a normalisation over
  channels (LayerNormalization, GroupNormalization, RMSNormalization: without a channel the others
  would change) are never cut.

Tied channels form one *bundle*, which leaves as a whole. Bundles with filters of the same layers
form a *group*; its bundles are ranked against each other. A plain convolution is a group by itself,
with one bundle per filter. A concatenation ties nothing: its parts stay in their own groups.
"""

from collections import defaultdict
from typing import NamedTuple

import keras
import numpy as np

from pruning import graph
from pruning.numbering import Numbering


class Group(NamedTuple):
    """Layers whose filters leave together.

    Attributes:
        members: list of numbering.Member, in the order of computation.
        bundles: int array, the numbers of its bundles.
        whole: reason why none of them is ever cut, or "".
        refused: reason why it would be wrong to cut them, or "".
    """

    members: list
    bundles: np.ndarray
    whole: str
    refused: str


class Channels(NamedTuple):
    """All channels of a network.

    Attributes:
        model: the network.
        calls: list of graph.Call, in the order of computation.
        names: `{path: all paths of this layer}`, by the path of its first call; those of nested
            models too.
        flows: `{id(layer): Flow}` of each layer's first call; for a nested model the list of
            Features that enter it.
        members: `{path: Member}`, in the order of computation.
        bundle_of: int array, the number of the bundle of each channel.
        groups: list of Group, in the order of computation.
        obstacles: reasons why layers have no rule that fits.
        changes_at: pairs of an int array of channels and a number: in a network cut until so many
            of them stay, groups must be found again.
    """

    model: keras.Model
    calls: list
    names: dict
    flows: dict
    members: dict
    bundle_of: np.ndarray
    groups: list
    obstacles: list
    changes_at: list


def find(model):
    """The channels of a network and the groups they form.

    Args:
        model: built Functional or Sequential model.

    Returns:
        Channels.

    Raises:
        ValueError, TypeError: its layers cannot be followed.
    """
    walked = graph.trace(graph.functional(model))
    numbering = Numbering(walked)
    flows = {layer: flow for layer, (flow, _) in numbering.first.items()}
    bundle_of = _components(numbering.size, numbering.ties)
    paths_of = defaultdict(list)
    for call in walked.calls:
        paths_of[id(call.layer)].append(call.path)
    return Channels(
        model=model,
        calls=walked.calls,
        names={paths[0]: paths for paths in paths_of.values()},
        flows=flows | {id(model): [numbering.features[tensor] for tensor in walked.inputs]},
        members={member.call.path: member for member in numbering.members.values()},
        bundle_of=bundle_of,
        groups=_groups(numbering, bundle_of),
        obstacles=numbering.obstacles,
        changes_at=numbering.changes_at,
    )


def _components(size, ties):
    """The lowest number each channel is tied to, directly or through others."""
    lowest = np.arange(size)
    if not ties:
        return lowest
    here, there = (np.concatenate(side) for side in zip(*ties, strict=True))
    while True:
        meeting = np.minimum(lowest[here], lowest[there])
        if (meeting == lowest[here]).all() and (meeting == lowest[there]).all():
            return lowest
        np.minimum.at(lowest, lowest[here], meeting)
        np.minimum.at(lowest, lowest[there], meeting)
        lowest = lowest[lowest]


def _groups(numbering, bundle_of):
    members = list(numbering.members.values())
    kinds = defaultdict(list)  # bundle: the members in it, as often as they have filters in it
    for index, member in enumerate(members):
        for bundle in bundle_of[member.flow.channels].tolist():
            kinds[bundle].append(index)
    whole, refused = (
        {bundle: why for channels, why in reasons for bundle in bundle_of[channels].tolist()}
        for reasons in (numbering.whole, numbering.refused)
    )
    groups = defaultdict(list)
    for bundle, indices in kinds.items():
        reasons = whole.get(bundle, ""), refused.get(bundle, "")
        groups[tuple(indices), *reasons].append(bundle)
    return [
        Group([members[i] for i in sorted(set(indices))], np.array(bundles), why, why_not)
        for (indices, why, why_not), bundles in groups.items()
    ]
