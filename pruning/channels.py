"""Number the channels of a network, and follow them through its layers by the rules."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pruning import graph, heads
from pruning.rules import Features, Flow, NotPrunable, rule_for

FROM_INPUT = "channels of the network's input are not prunable"
TO_OUTPUT = "channels that reach the network's output are not prunable"


class Member(NamedTuple):
    """A layer with filters.

    Attributes:
        call: its first call.
        flow: what its rule returns for that call; its `filters` is not None.
    """

    call: graph.Call
    flow: Flow


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a network and what the rules say about them.

    Attributes:
        size: number of channels; their numbers begin at 0.
        entering: `{id of a layer: list of Features that enter its first call}`, of the layers whose
            calls must all have the same number of channels; nested models are included.
        flows: `{id of a layer: Flow of its first call}`.
        features: `{graph.Tensor: Features}` of all tensors.
        members: `{path: Member}` of the layers with filters, in the order of computation.
        coupled: pairs of int arrays of equal length: channels at the same index are coupled.
        not_prunable: list of NotPrunable; each reason names the layer.
        changes_at: list of the pairs in the rules' `Flow.changes_at`.
        parts: list of the int arrays in the rules' `Flow.parts`.
    """

    size: int
    entering: dict
    flows: dict
    features: dict
    members: dict
    coupled: list
    not_prunable: list
    changes_at: list
    parts: list


def number(network, *, dense=False):
    """Number the channels of a network and apply the rule of each layer to its calls.

    Args:
        network: graph.Graph.
        dense: whether Dense layers on vectors are pruned themselves.

    Returns:
        Channels.
    """
    numbers = _Numbers()
    features = {tensor: numbers.opaque(tensor) for tensor in network.inputs}
    not_prunable = [NotPrunable(each.channels, FROM_INPUT) for each in features.values()]
    entering, flows, members, constants = {}, {}, {}, {}
    coupled, changes_at, parts, unknown = [], [], [], []
    for call in network.calls:
        layer, incoming = id(call.layer), [features[tensor] for tensor in call.inputs]
        nested = graph.is_functional(call.layer)
        try:
            flow = None if nested else _flow(call, incoming, numbers.of(call.layer))
            if nested or flow.weights or flow.config or flow.constants:
                coupled += _alike(incoming, entering.setdefault(layer, incoming))
            if not nested and flow.constants:
                _check_the_same(call.constants, constants.setdefault(layer, call.constants))
        except ValueError as error:
            unknown.append((call, f"{call}: {error}"))
            features |= {tensor: numbers.opaque(tensor) for tensor in call.outputs}
            continue
        if nested:  # the calls inside it come next in `network.calls`
            features.update(zip(call.outputs, incoming, strict=True))
            continue
        if dense and flow.filters and flow.filters.on_vectors:
            flow = replace(flow, filters=flow.filters._replace(prunable=True))
        for output, outgoing in zip(call.outputs, _outputs(flow), strict=True):
            features[output] = Features(output.shape, outgoing, flow.axis)
        flows.setdefault(layer, flow)
        if flow.filters:
            members.setdefault(layer, Member(call, flow))
        coupled += flow.coupled
        changes_at += flow.changes_at
        parts += flow.parts
        not_prunable += [
            each._replace(reason=f"{call}: {each.reason}") for each in flow.not_prunable
        ]
    ends = heads.ends(network, features)
    for call, reason in unknown:
        reached = [features[tensor].channels for tensor in (*call.inputs, *call.outputs)]
        # if one call of a shared layer is unsupported, none of its calls can be cut
        reached += [each.channels for each in entering.get(id(call.layer), [])]
        reached += numbers.given[id(call.layer)]
        not_prunable += [NotPrunable(each, reason, unsupported=True) for each in reached]
        if id(call) in ends:
            not_prunable += [NotPrunable(each, TO_OUTPUT) for each in reached]
    not_prunable += [NotPrunable(features[each].channels, TO_OUTPUT) for each in network.outputs]
    members = {member.call.path: member for member in members.values()}
    return Channels(
        numbers.size,
        entering,
        flows,
        features,
        members,
        coupled,
        not_prunable,
        changes_at,
        parts,
    )


def why_unfit(layer):
    """Why a layer's weights or outputs do not have the shapes its rule expects, and what to do."""
    if getattr(layer, "quantization_mode", None):
        return "it is quantised; prune first, then quantise"
    if getattr(layer, "lora_enabled", False):
        return "it has LoRA weights; merge them first"
    return "its weights or outputs do not have the shapes that its rule expects"


class _Numbers:
    """Gives every channel a number.

    Attributes:
        size: how many numbers are used.
        given: `{id of a layer: list of int arrays that its rule asked for}`.
    """

    def __init__(self):
        self.size, self.given = 0, defaultdict(list)

    def of(self, layer):
        """The function `new` for a layer's rule; it gives the same numbers at every call."""
        given, place = self.given[id(layer)], itertools.count()

        def new(n):
            here = next(place)
            if here == len(given):
                given.append(self._next(n))
            return given[here]

        return new

    def opaque(self, tensor):
        """Features with new channels on the last axis, if a tensor's channels are not known."""
        known = tensor.shape[-1] if len(tensor.shape) > 1 else None
        return Features(tensor.shape, self._next(known or 1), -1)

    def _next(self, n):
        self.size += n
        return np.arange(self.size - n, self.size)


def _flow(call, incoming, new):
    rule = rule_for(call.layer)
    if rule is None:
        raise ValueError("there is no rule for this type")
    flow = rule(call, incoming, new)
    if not isinstance(flow, Flow):
        raise ValueError(f"its rule: expected a Flow, got {type(flow).__name__}")
    if not _fits(flow, call):
        raise ValueError(why_unfit(call.layer))
    return flow


def _fits(flow, call):
    weights = getattr(call.layer, "weights", ())
    outputs = _outputs(flow)
    return (
        len(call.outputs) == len(outputs)
        and all(
            len(output.shape) >= -flow.axis and output.shape[flow.axis] == len(channels)
            for output, channels in zip(call.outputs, outputs, strict=True)
        )
        and len(weights) == len(flow.weights)
        and all(
            weight.shape[axis] == len(channels)
            for weight, axes in zip(weights, flow.weights, strict=True)
            for axis, channels in axes.items()
        )
    )


def _outputs(flow):
    return (flow.channels,) if flow.outputs is None else flow.outputs


def _check_the_same(constants, first):
    """Raise ValueError if an operation is called again with other constants."""
    if list(map(id, constants)) != list(map(id, first)):
        raise ValueError("its calls have different constants; create an operation for each call")


def _alike(incoming, first):
    """Pairs of channels that a layer reads at this call and at its first call.

    They are coupled: the layer has one kernel for all its calls.

    Raises:
        ValueError: the calls do not fit together.
    """
    for here, there in zip(incoming, first, strict=True):
        if here.axis != there.axis or len(here.channels) != len(there.channels):
            raise ValueError("its calls read different numbers of channels, or on different axes")
    return [(here.channels, there.channels) for here, there in zip(incoming, first, strict=True)]
