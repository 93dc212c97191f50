"""Cut a network down to the filters that stay.

Keras clones the network. Every layer is created again from its config with its new sizes, and then
gets the part of its weights that stays. The rules say which channels each axis of a weight holds.
"""

import keras
import numpy as np

from pruning import copies, graph
from pruning.channels import why_unfit
from pruning.rules import rule_for
from pruning.rules.flow import as_array, count


def cut(structure, kept):
    """A copy of the network that has only the filters that stay.

    Args:
        structure: groups.Structure of the network.
        kept: `{layer path: ascending indices of the filters that stay}`. All channels that are
            coupled to removed ones are removed with them.

    Returns:
        Functional model with the same layer names, not compiled.

    Raises:
        ValueError: a layer loses channels that are not prunable, or keeps a filter that is coupled
            to a removed one, or cannot be copied.
    """
    smaller, pairs, stays = _copied(structure, kept, drawing=False)
    copies.check(structure.calls)
    for layer, small in pairs:
        if small.trainable != layer.trainable:
            small.trainable = layer.trainable
        if not graph.nested(layer):
            _hand_over(layer, small, structure.channels.flows.get(id(layer)), stays)
    return smaller


def renewed(structure):
    """The same network with new weights from the initializers of its layers, all trainable.

    Preprocessing layers keep what they learned from data, because training cannot find it.

    Args:
        structure: groups.Structure of the network.

    Returns:
        Functional model with the same layer names, not compiled.
    """
    new, pairs, stays = _copied(structure, {}, drawing=True)
    for layer, other in pairs:
        other.trainable = True
        if hasattr(layer, "adapt"):
            _hand_over(layer, other, None, stays)
    return new


def staying_units(structure, kept):
    """Bool array (channels,), True at the number of each unit that stays.

    Arguments and errors are those of `cut`.
    """
    staying = np.ones(len(structure.unit_of), bool)
    for path, indices in kept.items():
        if path not in structure.members:
            raise ValueError(f"kept: expected layers with filters, got {path}")
        units = structure.unit_of[structure.members[path].flow.channels]
        staying[np.delete(units, indices)] = False
    for group in structure.groups:
        if group.not_prunable and not staying[group.units].all():
            raise ValueError(
                f"{group.members[0].call}: these filters cannot be removed: {group.not_prunable}"
            )
    for path, indices in kept.items():
        here = staying[structure.unit_of[structure.members[path].flow.channels]]
        if not np.array_equal(np.flatnonzero(here), indices):
            raise ValueError(
                f"kept: expected the same filters for coupled layers; {path} keeps filters "
                "that are coupled to removed ones"
            )
    return staying


def _copied(structure, kept, *, drawing):
    """The copy, its pairs (layer, copy of the layer), and the function `stays` of channels.

    In the pairs a nested model comes before its layers. Without `drawing`, the new weights are
    zeros if their initializer would draw them.
    """
    staying = staying_units(structure, kept)
    flows, entering = structure.channels.flows, structure.channels.entering
    copied = {}  # id of the full network's layer: (the layer, its copy)
    replaced = []  # pairs (copy of a layer, its initializers)

    def stays(channels):
        return staying[structure.unit_of[channels]]

    def copy(layer):
        if id(layer) not in copied:
            if graph.is_functional(layer):
                new = _smaller_model(layer, entering.get(id(layer)), stays, copy)
            elif graph.model_of_each_step(layer):
                settings = {"name": layer.name, "dtype": layer.dtype_policy}
                new = keras.layers.TimeDistributed(copy(layer.layer), **settings)
            else:
                new = _smaller_layer(layer, flows.get(id(layer)), stays)
                if not drawing:
                    replaced.append((new, copies.without_drawing(new)))
            copied[id(layer)] = layer, new
        return copied[id(layer)][1]

    smaller = copy(structure.model)
    for layer, initializers in replaced:
        for name, initializer in initializers.items():
            setattr(layer, name, initializer)
    layers = [pair for pair in reversed(copied.values()) if isinstance(pair[0], keras.Layer)]
    return smaller, layers, stays


def _smaller_model(model, entering, stays, copy):
    """A copy of a model. The inputs of a nested model are smaller if fewer channels enter it."""
    plain = graph.functional(model)
    layer_of = {id(la.output): la for la in plain.layers if isinstance(la, keras.layers.InputLayer)}
    inputs = [layer_of[id(symbol)] for symbol in plain.inputs]
    entering = entering or [None] * len(inputs)  # the network's own inputs keep their channels
    inputs = [
        _smaller_input(layer, features, stays)
        for layer, features in zip(inputs, entering, strict=True)
    ]
    smaller = keras.models.clone_model(
        plain,
        input_tensors=keras.tree.pack_sequence_as(plain.input, inputs),
        clone_function=copy,
        call_function=_call,
    )
    return graph.like(model, smaller)


def _call(layer, *args, **kwargs):
    try:
        return layer(*args, **kwargs)
    except Exception as error:  # an initializer for another number of channels, for example
        raise ValueError(
            f"{layer.name} ({type(layer).__name__}): it cannot be built smaller: {error}"
        ) from error


def _smaller_input(layer, features, stays):
    shape = list(layer.batch_shape)
    if features and shape[features.axis] is not None:
        shape[features.axis] = count(stays, features.channels)
    return keras.layers.InputLayer.from_config(layer.get_config() | {"batch_shape": shape}).output


def _smaller_layer(layer, flow, stays):
    changes = flow.config(stays) if flow and flow.config else {}
    try:
        if hasattr(layer, "adapt") and rule_for(layer) is None:
            raise ValueError("its weights do not hold what it learned; apply it before the model")
        new = copies.copied(layer, changes)
        return copies.Recalled(new, flow.constants(stays)) if flow and flow.constants else new
    except Exception as error:  # the layer of a user may raise anything
        raise ValueError(
            f"{layer.name} ({type(layer).__name__}): it cannot be copied: {error}"
        ) from error


def _hand_over(layer, small, flow, stays):
    """Give the copy the part of the weights that stays."""
    axes = flow.weights if flow else [{}] * len(layer.weights)
    if not flow and [w.shape for w in layer.weights] != [w.shape for w in small.weights]:
        name = f"{layer.name} ({type(layer).__name__})"
        raise ValueError(f"{name}: it cannot be copied: {why_unfit(layer)}")
    for weight, new, channels_along in zip(layer.weights, small.weights, axes, strict=True):
        values = as_array(weight)
        for axis, channels in channels_along.items():
            mask = stays(channels)
            if not mask.all():
                values = np.compress(mask, values, axis)
        new.assign(values)
    if hasattr(small, "finalize_state"):  # preprocessing layers compute with a copy of the weights
        small.finalize_state()
