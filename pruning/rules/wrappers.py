"""Rules for layers that call another layer."""

import dataclasses

from pruning import rules
from pruning.graph import Call, Tensor, is_functional
from pruning.rules.flow import Features, arguments, others_stay, unbuilt


def time_distributed(call, incoming, new):
    """What the layer inside does to each step."""
    outer = arguments(call, incoming)["inputs"]
    if outer.axis == 1 - len(outer.shape):
        raise ValueError("its input channels are on the axis of the steps")
    step = Features(_without_steps(outer.shape), outer.channels, outer.axis)
    flow = _inside(call, step, _without_steps(call.outputs[0].shape), new)
    if flow.axis == 1 - len(call.outputs[0].shape):
        raise ValueError("its output channels are on the axis of the steps")
    return dataclasses.replace(
        flow, not_prunable=(*flow.not_prunable, *others_stay(incoming, [outer]))
    )


def spectral_normalization(call, incoming, new):
    """What the layer inside does; `vector_u` (1, n) has one value per index of its last axis."""
    layer = call.layer
    flow = _inside(call, incoming[0], call.outputs[0].shape, new)
    of_weight = dict(zip(map(id, layer.weights), flow.weights, strict=True))
    of_kernel = of_weight[id(layer.kernel)]
    last = of_kernel.get(-1, of_kernel.get(len(layer.kernel.shape) - 1))
    of_weight[id(layer.vector_u)] = {} if last is None else {-1: last}
    return dataclasses.replace(flow, weights=tuple(of_weight.values()))


def _inside(call, features, leaving, new):
    """The Flow of the wrapped layer, with the weights and config of the wrapper."""
    wrapper, layer = call.layer, call.layer.layer
    rule = rules.rule_for(layer)
    if is_functional(layer):
        raise ValueError("a model is in it that gets a mask; put it around each layer instead")
    if rule is None:
        raise ValueError(f"there is no rule for the {type(layer).__name__} in it")
    args, kwargs = call.arguments
    symbol = args[0] if args else kwargs["inputs"]
    inner = Call(call.path, layer, [Tensor(features.shape)], [], [Tensor(leaving)], ((symbol,), {}))
    flow = rule(inner, [features], new)
    axes = dict(zip(map(id, layer.weights), flow.weights, strict=True))

    def config(stays):
        of_layer = unbuilt(wrapper.get_config()["layer"])
        of_layer["config"] |= flow.config(stays) if flow.config else {}
        return {"layer": of_layer}

    return dataclasses.replace(
        flow,
        weights=tuple(axes.get(id(weight), {}) for weight in wrapper.weights),
        config=config,
    )


def _without_steps(shape):
    return (shape[0], *shape[2:])
