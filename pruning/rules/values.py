"""Rules for layers that change each value: normalisations, activations and dropout."""

import dataclasses

import numpy as np
from keras import layers

from pruning.rules.flow import (
    Flow,
    NotPrunable,
    count,
    is_elementwise,
    last,
    mixed_by_activation,
    per_channel,
    uncut,
)


def batch_normalization(call, incoming, new):
    """The input channels; each weight has one value per channel, with or without scale, center."""
    if call.layer.axis not in (-1, len(incoming[0].shape) - 1):
        raise ValueError(f"its axis is {call.layer.axis}; build it with axis=-1")
    return per_channel(call, incoming, new)


def mixing_normalization(call, incoming, new):
    """The input channels, not prunable, because the mean is over all of them."""
    channels, axis, weights = incoming[0].channels, incoming[0].axis, uncut(call.layer)
    axes = getattr(call.layer, "axis", -1)
    along_axes = (layers.LayerNormalization, layers.UnitNormalization)
    if isinstance(call.layer, along_axes) and not _over(axes, incoming[0]):
        return Flow(channels, axis, weights)
    reason = "it computes each value from all channels, so the others would change"
    return Flow(channels, axis, weights, not_prunable=(NotPrunable(channels, reason),))


def group_normalization(call, incoming, new):
    """The input channels; those that are normalised together leave together.

    All groups are of equal size, before and after. A single group of several channels stays.
    """
    layer, groups = call.layer, call.layer.groups
    if layer.axis not in (-1, len(incoming[0].shape) - 1):
        raise ValueError(f"its axis is {layer.axis}; build it with axis=-1")
    size = len(incoming[0].channels) // groups
    if groups == 1 and size > 1:
        return mixing_normalization(call, incoming, new)
    flow = per_channel(call, incoming, new)
    first, *others = flow.channels.reshape(groups, size).T
    return dataclasses.replace(
        flow,
        config=lambda stays: {"groups": count(stays, first)},
        coupled=tuple((first, other) for other in others),
        changes_at=((first, 1),) if others else (),
    )


def fixed_normalization(call, incoming, new):
    """The input channels; mean and variance of each are weights if adapted, else in the config."""
    layer, channels = call.layer, last(call.layer, incoming[0])
    rank = len(incoming[0].shape)
    if not layer.axis:  # one mean for all channels
        return Flow(channels, weights=uncut(layer))
    if [axis % rank for axis in layer.axis] != [rank - 1]:
        raise ValueError(f"its axis is {layer.axis}; build it with axis=-1")
    if layer.weights:  # mean, variance (channels,), count ()
        return Flow(channels, weights=({0: channels}, {0: channels}, {}))
    settings = {name: layer.get_config()[name] for name in ("mean", "variance")}
    return Flow(channels, config=_settings_per_channel(settings, channels))


def rescaling(call, incoming, new):
    """The input channels; scale and offset are numbers, or lists of one number per channel."""
    channels = last(call.layer, incoming[0])
    settings = {"scale": call.layer.scale, "offset": call.layer.offset}
    return Flow(channels, config=_settings_per_channel(settings, channels))


def layer_scale(call, incoming, new):
    """The input channels; the LayerScale of ConvNeXt has one factor per channel."""
    channels = last(call.layer, incoming[0])
    return Flow(
        channels,
        weights=({0: channels},),
        config=lambda stays: {"projection_dim": count(stays, channels)},
    )


def parametric_relu(call, incoming, new):
    """The input channels; one slope per value, or shared along some axes."""
    channels = last(call.layer, incoming[0])
    shared = call.layer.shared_axes or ()
    along = {} if len(incoming[0].shape) - 1 in shared or -1 in shared else {-1: channels}
    return Flow(channels, weights=(along,))


def activation(call, incoming, new):
    """The input channels, prunable if the function is in `ELEMENTWISE`."""
    channels = incoming[0].channels
    mixed = mixed_by_activation(call.layer, channels)
    return Flow(channels, incoming[0].axis, not_prunable=mixed)


def function_of_a_lambda(call, incoming, new):
    """The input channels, if the function is in `ELEMENTWISE`."""
    if not is_elementwise(call.layer.function) or len(incoming) > 1 or call.layer.arguments:
        raise ValueError(
            "there is no rule for this type with its function; if that computes each value from "
            "that value alone, add it to rules.ELEMENTWISE"
        )
    return Flow(incoming[0].channels, incoming[0].axis)


def clip(call, incoming, new):
    """The input channels; the limits are numbers."""
    if np.size(call.layer.x_min) > 1 or np.size(call.layer.x_max) > 1:
        raise ValueError("its limits are arrays; take maximum and minimum")
    return Flow(incoming[0].channels, incoming[0].axis)


def softmax(call, incoming, new):
    """The input channels, prunable if the softmax is over positions, not over channels."""
    if len(incoming) > 1:
        raise ValueError("it has a mask as a second input")
    channels, axis = incoming[0].channels, incoming[0].axis
    if not _over(call.layer.axis, incoming[0]):
        return Flow(channels, axis)
    reason = "it computes each value from all channels"
    return Flow(channels, axis, not_prunable=(NotPrunable(channels, reason, unsupported=True),))


def dropout(call, incoming, new):
    """The input channels, unless `noise_shape` holds their number."""
    noise = getattr(call.layer, "noise_shape", None)
    if noise and noise[incoming[0].axis] not in (None, 1):
        raise ValueError(f"its noise_shape is {noise}; build it with None for the channels")
    return Flow(incoming[0].channels, incoming[0].axis)


def _over(axes, features):
    """Whether the channels are on one of these axes."""
    rank = len(features.shape)
    return features.axis in [axis % rank - rank for axis in np.ravel(axes)]


def _settings_per_channel(settings, channels):
    lists = {name: np.asarray(value) for name, value in settings.items() if np.size(value) > 1}
    if any(values.shape != channels.shape for values in lists.values()):
        raise ValueError(f"its {', '.join(lists)} must have one value for each channel")
    return lambda stays: {name: v[stays(channels)].tolist() for name, v in lists.items()}
