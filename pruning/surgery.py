"""Cut a network down to the filters that stay.

Keras clones the network layer by layer in graph order. Beside every tensor of the copy travel its
surviving channels: the indices that its last axis had in the full network. One small rule per
layer type slices the layer's weights by them.
"""

import keras
import numpy as np
from keras import layers


def functional(model):
    """The same network as a Functional model, sharing all layers.

    Raises:
        TypeError: it is a subclassed model, whose layers cannot be followed.
        ValueError: it is not built yet.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model is a {type(model).__name__}; give a Keras model")
    if not model.built:
        raise ValueError(f"{model.name}: it is not built; call it on an input once")
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not hasattr(model, "operations"):
        raise TypeError(f"{model.name}: it is a subclassed model; give a Functional or Sequential")
    return model


def check(model):
    """Refuse a network that cannot be cut exactly, before anything is cut.

    Raises:
        ValueError: names the layer, its type and the reason.
    """
    for layer in model.operations:
        described = f"{layer.name} ({type(layer).__name__})"
        if type(layer) not in RULES:
            known = ", ".join(layer_type.__name__ for layer_type in RULES)
            raise ValueError(f"{described}: there is no rule to prune this type; known: {known}")
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise ValueError(f"{described}: its channels come first; build it channels_last")
        if getattr(layer, "groups", 1) != 1:
            raise ValueError(f"{described}: its convolution is grouped, which has no rule")
        if isinstance(layer, layers.BatchNormalization) and layer.axis not in (
            -1,
            len(layer.output.shape) - 1,
        ):
            raise ValueError(f"{described}: it normalises axis {layer.axis}; channels are the last")


def cut(model, kept):
    """A copy of the network that holds only the filters that stay.

    Args:
        model: Functional model that passed `check`.
        kept: `{layer name: ascending indices of the filters that stay}`; a layer that is not
            named keeps all.

    Returns:
        Functional model with the same layer names.

    Raises:
        ValueError: removed channels would reach the network's output, or a layer is used twice
            on different channels.
    """
    surviving = {}  # id of a tensor of the copy: its channels' indices in the full network
    incoming_of = {}  # layer name: the surviving channels it was called on

    def shrink(layer):
        config = layer.get_config()
        if layer.name in kept:
            config["filters"] = len(kept[layer.name])
        return type(layer).from_config(config)

    def call(small, tensor, **arguments):
        layer = model.get_layer(small.name)
        incoming = surviving.get(id(tensor), np.arange(tensor.shape[-1]))
        if not np.array_equal(incoming_of.setdefault(small.name, incoming), incoming):
            raise ValueError(f"{small.name}: it is used twice, on channels pruned differently")
        output = small(tensor, **arguments)
        weights, outgoing = RULES[type(layer)](layer, incoming, kept.get(layer.name))
        small.set_weights(weights)
        surviving[id(output)] = outgoing
        return output

    smaller = keras.models.clone_model(model, clone_function=shrink, call_function=call)
    if smaller.output_shape != model.output_shape:
        raise ValueError(
            f"{model.name}: its output {model.output_shape} would become {smaller.output_shape}; "
            "a convolution whose channels reach the output cannot be pruned"
        )
    return smaller


# Each rule takes the full network's layer, the surviving channels of its input and its own kept
# filters (None: all), and returns the smaller layer's weights and its output's surviving channels.


def _convolution(layer, incoming, kept):
    kernel, *bias = layer.get_weights()  # (height, width, in_channels, filters)
    kept = np.arange(kernel.shape[-1]) if kept is None else kept
    return [kernel[:, :, incoming][..., kept], *(vector[kept] for vector in bias)], kept


def _dense(layer, incoming, kept):
    kernel, *bias = layer.get_weights()  # (in_channels, units)
    return [kernel[incoming], *bias], np.arange(kernel.shape[-1])


def _batch_normalization(layer, incoming, kept):
    return [vector[incoming] for vector in layer.get_weights()], incoming


def _flatten(layer, incoming, kept):
    channels = layer.input.shape[-1]
    positions = np.arange(layer.output.shape[-1] // channels)  # height * width
    return [], (positions[:, np.newaxis] * channels + incoming).ravel()  # row r: channel r % C


def _same_channels(layer, incoming, kept):
    return [], incoming


RULES = {
    layers.InputLayer: _same_channels,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_normalization,
    layers.ReLU: _same_channels,
    layers.MaxPooling2D: _same_channels,
    layers.Flatten: _flatten,
    layers.Dropout: _same_channels,
}
