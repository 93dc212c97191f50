"""Every channel of a network gets a number, and the rules say where each stands."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pruning import graph
from pruning.rules import Features, Flow, NotPrunable, rule_for

FROM_INPUT = "channels that come from the network's input stay"
TO_OUTPUT = "channels that reach the network's output stay"


class Member(NamedTuple):
    """A layer with filters.

    Attributes:
        call: its first call.
        flow: what its rule says of that call; it has `filters`.
    """

    call: graph.Call
    flow: Flow


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a network and what the rules say of them.

    Attributes:
        size: number of channels; they are counted from 0.
        entering: `{id of a layer: list of Features that enter its first call}`, of all layers that
            have one size at all their calls; nested models are among them.
        flows: `{id of a layer: Flow of its first call}`.
        members: `{path: Member}` of the layers with filters, in the order of computation.
        coupled: pairs of equally long int arrays: channels at the same place leave together.
        not_prunable: list of NotPrunable; each reason names the layer.
        changes_at: list of what the rules say of it, see Flow.
    """

    size: int
    entering: dict
    flows: dict
    members: dict
    coupled: list
    not_prunable: list
    changes_at: list


def number(network):
    """Number the channels of a network and ask the rules about each call.

    Args:
        network: graph.Graph.

    Returns:
        Channels.
    """
    numbers = _Numbers()
    features = {tensor: numbers.opaque(tensor) for tensor in network.inputs}
    not_prunable = [NotPrunable(each.channels, FROM_INPUT) for each in features.values()]
    entering, flows, members, coupled, changes_at, unsupported = {}, {}, {}, [], [], {}
    for call in network.calls:
        layer, incoming = id(call.layer), [features[tensor] for tensor in call.inputs]
        nested = graph.is_functional(call.layer)
        try:
            flow = None if nested else _flow(call, incoming, numbers.of(call.layer))
            if nested or flow.weights or flow.config:
                coupled += _alike(incoming, entering.setdefault(layer, incoming))
        except ValueError as error:
            unsupported[layer] = f"{call}: {error}"
            outgoing = {tensor: numbers.opaque(tensor) for tensor in call.outputs}
            features |= outgoing
            not_prunable += _all_of([*incoming, *outgoing.values()], unsupported[layer])
            continue
        if nested:  # the calls inside it follow
            features.update(zip(call.outputs, incoming, strict=True))
            continue
        (output,) = call.outputs
        features[output] = Features(output.shape, flow.channels, flow.axis)
        flows.setdefault(layer, flow)
        if flow.filters:
            members.setdefault(layer, Member(call, flow))
        coupled += flow.coupled
        changes_at += flow.changes_at
        not_prunable += [
            each._replace(reason=f"{call}: {each.reason}") for each in flow.not_prunable
        ]
    for layer, reason in unsupported.items():  # of a shared layer no call is cut
        not_prunable += _all_of(entering.get(layer, []), reason)
        not_prunable += [NotPrunable(given, reason, True) for given in numbers.given[layer]]
    not_prunable += [NotPrunable(features[each].channels, TO_OUTPUT) for each in network.outputs]
    members = {member.call.path: member for member in members.values()}
    return Channels(numbers.size, entering, flows, members, coupled, not_prunable, changes_at)


def why_unfit(layer):
    """Why a layer's weights or outputs are not those that its type has, and what to do."""
    if getattr(layer, "quantization_mode", None):
        return "it is quantised; prune first, then quantise"
    if getattr(layer, "lora_enabled", False):
        return "it holds LoRA's weights beside its own; merge LoRA first"
    return "its weights or outputs are not those its rule knows"


class _Numbers:
    """Gives every channel its number.

    Attributes:
        size: how many are given.
        given: `{id of a layer: list of int arrays that its rule asked for}`.
    """

    def __init__(self):
        self.size, self.given = 0, defaultdict(list)

    def of(self, layer):
        """The function `new` that a rule gets; it gives the same numbers at every call."""
        given, place = self.given[id(layer)], itertools.count()

        def new(n):
            here = next(place)
            if here == len(given):
                given.append(self._next(n))
            return given[here]

        return new

    def opaque(self, tensor):
        """New channels on the last axis of a tensor of which nothing else is known."""
        known = tensor.shape[-1] if len(tensor.shape) > 1 else None
        return Features(tensor.shape, self._next(known or 1), -1)

    def _next(self, n):
        self.size += n
        return np.arange(self.size - n, self.size)


def _flow(call, incoming, new):
    rule = rule_for(call.layer)
    if rule is None:
        raise ValueError(
            "there is no rule for this type; docs/teaching-a-layer.md shows how to add one"
        )
    flow = rule(call, incoming, new)
    if not isinstance(flow, Flow):
        raise ValueError(f"its rule returns {type(flow).__name__}; let it return a Flow")
    if not _fits(flow, call):
        raise ValueError(why_unfit(call.layer))
    return flow


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


def _alike(incoming, first):
    """Pairs of channels that a layer reads at this call and at its first: it has one size."""
    for here, there in zip(incoming, first, strict=True):
        if here.axis != there.axis or len(here.channels) != len(there.channels):
            raise ValueError("it is used twice, on channels of different number or axis")
    return [(here.channels, there.channels) for here, there in zip(incoming, first, strict=True)]


def _all_of(features, reason):
    return [NotPrunable(each.channels, reason, unsupported=True) for each in features]
