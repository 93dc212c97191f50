"""Cut a network down to the filters that stay.

Keras clones the network; every layer is made anew from its config with its new sizes, then gets
what stays of its weights. Which channels each axis of a weight belongs to is what the rules said
when the groups were found.
"""

import keras
import numpy as np

from pruning import graph


def cut(channels, kept):
    """A copy of the network that holds only the filters that stay.

    Args:
        channels: groups.Channels of the network.
        kept: `{layer path: ascending indices of the filters that stay}`. With them leave all
            channels tied to the removed ones.

    Returns:
        Functional model with the same layer names, not compiled.

    Raises:
        ValueError: a layer would lose channels that cannot be cut, or a filter it should keep, or
            it cannot be copied.
    """
    staying = _staying_bundles(channels, kept)
    copies = {}  # id of the full network's layer: (the layer, its copy)

    def stays(numbers):
        return staying[channels.bundle_of[numbers]]

    def copy(layer):
        if id(layer) not in copies:
            make = _smaller_model if graph.is_functional(layer) else _smaller_layer
            copies[id(layer)] = layer, make(layer, channels.flows.get(id(layer)), stays, copy)
        return copies[id(layer)][1]

    smaller = copy(channels.model)
    for layer, small in copies.values():
        if not graph.is_functional(layer) and isinstance(layer, keras.Layer):
            _hand_over(layer, small, channels.flows.get(id(layer)), stays)
    return smaller


def _staying_bundles(channels, kept):
    staying = np.ones(len(channels.bundle_of), bool)
    for path, indices in kept.items():
        if path not in channels.members:
            raise ValueError(f"{path}: it has no filters of its own that could be removed")
        bundles = channels.bundle_of[channels.members[path].flow.channels]
        staying[np.delete(bundles, indices)] = False
    for group in channels.groups:
        reason = group.whole or group.refused
        if reason and not staying[group.bundles].all():
            raise ValueError(f"{group.members[0].call} cannot lose these filters: {reason}")
    for path, indices in kept.items():
        here = staying[channels.bundle_of[channels.members[path].flow.channels]]
        if not np.array_equal(np.flatnonzero(here), indices):
            raise ValueError(f"{path} keeps filters that are tied to removed ones; remove both")
    return staying


def _smaller_model(model, entering, stays, copy):
    """A copy of a model; its inputs too are smaller where a nested one gets fewer channels."""
    plain = graph.functional(model)
    inputs = [
        keras.Input(batch_shape=_cut_shape(s, features, stays), dtype=s.dtype, name=s.name)
        for s, features in zip(plain.inputs, entering, strict=True)
    ]
    smaller = keras.models.clone_model(
        plain,
        input_tensors=keras.tree.pack_sequence_as(plain.input, inputs),
        clone_function=copy,
    )
    if not model.trainable:
        smaller.trainable = False
    return smaller


def _cut_shape(symbol, features, stays):
    shape = list(symbol.shape)
    if shape[features.axis] is not None:
        shape[features.axis] = np.count_nonzero(stays(features.channels))
    return shape


def _smaller_layer(layer, flow, stays, copy):
    changes = flow.config(stays) if flow and flow.config else {}
    try:
        return type(layer).from_config(layer.get_config() | changes)
    except Exception as error:  # the layer of a user may raise anything
        raise ValueError(
            f"{layer.name} ({type(layer).__name__}): it cannot be copied from its config: {error}"
        ) from error


def _hand_over(layer, small, flow, stays):
    """Give the copy what stays of the weights."""
    axes = flow.weights if flow else [{}] * len(layer.weights)
    for weight, new, channels_along in zip(layer.weights, small.weights, axes, strict=True):
        values = keras.ops.convert_to_numpy(weight)
        for axis, channels in channels_along.items():
            mask = stays(channels)
            if not mask.all():
                values = np.compress(mask, values, axis)
        new.assign(values)
    if hasattr(small, "finalize_state"):  # preprocessing layers compute with a copy of the weights
        small.finalize_state()
