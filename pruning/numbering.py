"""Every channel of a network gets a number, and the rules say where each stands."""

import itertools
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from pruning import graph
from pruning.rules import Features, Flow, rule_for

FROM_INPUT = "channels that come from the network's input stay"
TO_OUTPUT = "channels that reach the network's output stay"


class Member(NamedTuple):
    """A layer whose filters are in groups.

    Attributes:
        call: its first call.
        flow: what its rule says of that call.
        before: int, all the calls that this one depends on, one bit each.
        bit: int, its own.
    """

    call: graph.Call
    flow: Flow
    before: int
    bit: int


class Numbering:
    """The channels of a network and what the rules say of them, call by call.

    Attributes:
        size: number of channels.
        features: `{graph.Tensor: Features}`.
        first: `{id of a layer: (the Flow of its first call, the Features that came in)}`; for a
            nested model the Features take the place of the Flow.
        members: `{id of a layer: Member}` of the layers with filters, in the order of computation.
        ties: pairs of equally long int arrays: channels at the same place leave together.
        whole: pairs of an int array of channels that are never cut, and the reason.
        refused: pairs of an int array of channels that it would be wrong to cut, and the reason.
        obstacles: reasons why layers have no rule that fits.
        changes_at: what the rules say of it, see Flow.
    """

    def __init__(self, walked):
        """Number the channels of a network.

        Args:
            walked: graph.Graph.
        """
        self.size, self.features, self.first, self.members = 0, {}, {}, {}
        self.ties, self.whole, self.refused, self.obstacles = [], [], [], []
        self.changes_at = []
        self._behind = {}  # Tensor: bits of all calls it depends on
        self._given = defaultdict(list)  # id of a layer: the numbers it got
        self._unfit = {}  # id of a layer: why no rule fits one of its calls
        for tensor in walked.inputs:
            self._begin(tensor, self.whole, FROM_INPUT)
            self._behind[tensor] = 0
        for index, call in enumerate(walked.calls):
            self._visit(call, 1 << index)
        for layer, reason in self._unfit.items():  # a shared layer is refused at all its calls
            incoming = [features.channels for features in self.first.get(layer, (None, []))[1]]
            self.refused += [(channels, reason) for channels in incoming + self._given[layer]]
        for tensor in walked.outputs:
            self.whole.append((self.features[tensor].channels, TO_OUTPUT))

    def _visit(self, call, bit):
        incoming = [self.features[tensor] for tensor in call.inputs]
        before = 0
        for tensor in call.inputs:
            before |= self._behind[tensor]
        self._behind.update(dict.fromkeys(call.outputs, before | bit))
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
            self.members.setdefault(id(call.layer), Member(call, flow, before, bit))

    def _flow(self, call, incoming):
        rule = rule_for(call.layer)
        if rule is None:
            raise ValueError("there is no rule for this type; pruning.rules tells how to add one")
        flow = rule(call, incoming, self._new(call.layer))
        if not isinstance(flow, Flow):
            raise ValueError(f"its rule returns {type(flow).__name__}; let it return a Flow")
        if not _fits(flow, call):
            raise ValueError(why_unfit(call.layer))
        if flow.weights or flow.config:
            self._tie_to_first_call(call.layer, flow, incoming)
        self.ties += flow.together
        self.changes_at += flow.changes_at
        if flow.whole:
            self.whole += [(f.channels, f"{call} {flow.whole}") for f in incoming]
        if flow.refused:
            self.refused.append((flow.channels, f"{call}: {flow.refused}"))
        return flow

    def _refuse(self, call, incoming, reason):
        reason = f"{call}: {reason}"
        self.obstacles.append(reason)
        self._unfit[id(call.layer)] = reason
        self.refused += [(features.channels, reason) for features in incoming]
        for tensor in call.outputs:
            self._begin(tensor, self.refused, reason)

    def _enter(self, call, incoming):
        self._tie_to_first_call(call.layer, incoming, incoming)
        for outer, features, inner in zip(call.inputs, incoming, call.outputs, strict=True):
            self.features[inner] = features
            self._behind[inner] = self._behind[outer]

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

    def _new(self, layer):
        given, position = self._given[id(layer)], itertools.count()

        def new(n):
            here = next(position)
            if here == len(given):
                given.append(self._numbers(n))
            return given[here]

        return new

    def _numbers(self, n):
        self.size += n
        return np.arange(self.size - n, self.size)


def why_unfit(layer):
    """Why a layer's weights or outputs are not those that its type has, and what to do."""
    if getattr(layer, "quantization_mode", None):
        return "it is quantised; prune first, then quantise"
    if getattr(layer, "lora_enabled", False):
        return "it holds LoRA's weights beside its own; merge LoRA first"
    return "its weights or outputs are not those its rule knows"


def _fits(flow, call):
    weights = getattr(call.layer, "weights", ())
    return (
        len(call.outputs) == 1
        and call.outputs[0].shape[flow.axis] == len(flow.channels)
        and len(weights) == len(flow.weights)
        and all(
            weight.shape[axis] == len(channels)
            for weight, axes in zip(weights, flow.weights, strict=True)
            for axis, channels in axes.items()
        )
    )
