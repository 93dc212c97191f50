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

import itertools
from collections import defaultdict
from typing import NamedTuple

import keras
import numpy as np

from pruning import graph
from pruning.rules import Features, Flow, rule_for

FROM_INPUT = "their channels come from the network's input"
TO_OUTPUT = "their channels reach the network's output"


class Member(NamedTuple):
    """A layer whose filters are in groups.

    Attributes:
        call: its first call.
        flow: what its rule says of that call.
        before: int, all the calls that this one depends on, one bit each.
        source: int, the bit of the call whose output it reads; 0 for the network's input.
        bit: int, its own.
    """

    call: graph.Call
    flow: Flow
    before: int
    source: int
    bit: int


class Group(NamedTuple):
    """Layers whose filters leave together.

    Attributes:
        members: list of Member, in the order of computation.
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
        model: the Functional model.
        paths: `{path: layer}` of all layers and operations, those of nested models too.
        flows: `{id(layer): Flow}` of each layer's first call; for a nested model the list of
            Features that enter it.
        members: `{path: Member}`, in the order of computation.
        bundle_of: int array, the number of the bundle of each channel.
        groups: list of Group, in the order of computation.
        obstacles: reasons why layers have no rule that fits.
    """

    model: keras.Model
    paths: dict
    flows: dict
    members: dict
    bundle_of: np.ndarray
    groups: list
    obstacles: list


def find(model):
    """The channels of a network and the groups they form.

    Args:
        model: Functional model, as `graph.functional` returns it.

    Returns:
        Channels.
    """
    walked = graph.trace(model)
    trace = _Trace(walked)
    trace.first[id(model)] = [trace.features[tensor] for tensor in walked.inputs], None
    bundle_of = _components(trace.size, trace.ties)
    return Channels(
        model=model,
        paths={call.path: call.layer for call in walked.calls},
        flows={layer: first[0] for layer, first in trace.first.items()},
        members={member.call.path: member for member in trace.members.values()},
        bundle_of=bundle_of,
        groups=_groups(list(trace.members.values()), bundle_of, trace.whole, trace.refused),
        obstacles=trace.obstacles,
    )


class _Trace:
    """What the rules say, call by call."""

    def __init__(self, walked):
        self.size = 0  # channels so far
        self.features = {}  # Tensor: Features
        self.history = {}  # Tensor: (bits of all calls behind it, bit of the one that made it)
        self.first = {}  # id of a layer: its first Flow, and what came in
        self.given = defaultdict(list)  # id of a layer: the numbers it got
        self.members, self.ties, self.whole, self.refused, self.obstacles = {}, [], [], [], []
        for tensor in walked.inputs:
            self._begin(tensor, self.whole, FROM_INPUT)
            self.history[tensor] = (0, 0)
        for index, call in enumerate(walked.calls):
            self._visit(call, 1 << index)
        for tensor in walked.outputs:
            self.whole.append((self.features[tensor].channels, TO_OUTPUT))

    def _visit(self, call, bit):
        incoming = [self.features[tensor] for tensor in call.inputs]
        before = 0
        for tensor in call.inputs:
            before |= self.history[tensor][0]
        for tensor in call.outputs:
            self.history[tensor] = (before | bit, bit)
        try:
            if graph.is_functional(call.layer):
                self._enter(call, incoming)
                return
            flow = self._flow(call, incoming)
        except ValueError as error:
            self._refuse(call, incoming, str(error))
            return
        self.features[call.outputs[0]] = Features(call.outputs[0].shape, flow.channels, flow.axis)
        if flow.kernel:
            source = self.history[call.inputs[0]][1]
            self.members.setdefault(id(call.layer), Member(call, flow, before, source, bit))

    def _flow(self, call, incoming):
        rule = rule_for(call.layer)
        if rule is None:
            raise ValueError("there is no rule for this type; pruning.rules tells how to add one")
        flow = rule(call, incoming, self._numbering(call.layer))
        if not _fits(flow, call):
            raise ValueError("its weights or its output are not those its rule knows")
        if flow.weights or flow.config:
            self._tie_to_first_call(call.layer, flow, incoming)
        self.ties += flow.together
        if flow.whole:
            self.whole += [(f.channels, f"{call} {flow.whole}") for f in incoming]
        if flow.refused:
            self.refused.append((flow.channels, f"{call}: {flow.refused}"))
        return flow

    def _refuse(self, call, incoming, reason):
        reason = f"{call}: {reason}"
        self.obstacles.append(reason)
        self.refused += [(features.channels, reason) for features in incoming]
        for tensor in call.outputs:
            self._begin(tensor, self.refused, reason)

    def _enter(self, call, incoming):
        self._tie_to_first_call(call.layer, incoming, incoming)
        for outer, features, inner in zip(call.inputs, incoming, call.outputs, strict=True):
            self.features[inner] = features
            self.history[inner] = self.history[outer]

    def _tie_to_first_call(self, layer, flow, incoming):
        """A layer has one size, so that what it reads at every call must be cut alike."""
        _, others = self.first.setdefault(id(layer), (flow, incoming))
        for here, there in zip(incoming, others, strict=True):
            if here.axis != there.axis or len(here.channels) != len(there.channels):
                raise ValueError("it is used twice, on channels of different number or axis")
            self.ties.append((here.channels, there.channels))

    def _begin(self, tensor, reasons, reason):
        """New channels that are not to be cut, for the reason."""
        known = tensor.shape[-1] if len(tensor.shape) > 1 else None
        features = Features(tensor.shape, self._numbers(known or 1), -1)
        self.features[tensor] = features
        reasons.append((features.channels, reason))

    def _numbering(self, layer):
        given, position = self.given[id(layer)], itertools.count()

        def new(n):
            here = next(position)
            if here == len(given):
                given.append(self._numbers(n))
            return given[here]

        return new

    def _numbers(self, n):
        self.size += n
        return np.arange(self.size - n, self.size)


def _fits(flow, call):
    weights = getattr(call.layer, "weights", ())
    return (
        call.outputs[0].shape[flow.axis] == len(flow.channels)
        and len(weights) == len(flow.weights)
        and all(
            weight.shape[axis] == len(channels)
            for weight, axes in zip(weights, flow.weights, strict=True)
            for axis, channels in axes.items()
        )
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


def _groups(members, bundle_of, whole, refused):
    kinds = defaultdict(list)  # bundle: the members in it, as often as they have filters in it
    for index, member in enumerate(members):
        for bundle in bundle_of[member.flow.channels].tolist():
            kinds[bundle].append(index)
    whole, refused = (
        {bundle: why for channels, why in reasons for bundle in bundle_of[channels].tolist()}
        for reasons in (whole, refused)
    )
    groups = defaultdict(list)
    for bundle, indices in kinds.items():
        reasons = whole.get(bundle, ""), refused.get(bundle, "")
        groups[tuple(indices), *reasons].append(bundle)
    return [
        Group([members[i] for i in sorted(set(indices))], np.array(bundles), why, why_not)
        for (indices, why, why_not), bundles in groups.items()
    ]
