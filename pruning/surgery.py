"""Cut a network down to the filters that stay.

Keras clones the network layer by layer in graph order. Beside every tensor of the copy travels
which channels of the full network survive in it, as a mask over its last axis. One small rule per
layer type slices the layer's weights by that mask.
"""

import keras
import numpy as np
from keras import layers

ELEMENTWISE = (  # activations that leave the channels of a convolution apart
    "linear relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid hard_sigmoid hard_silu "
    "log_sigmoid tanh hard_tanh softplus softsign exponential"
).split()


def functional(model):
    """The same network as a plain, uncompiled Functional model that shares all layers.

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
    if hasattr(model, "operations"):
        plain = keras.Model(model.input, model.output, name=model.name)
        if type(model) is type(plain):  # a subclass may compute something else in its call
            return plain
    raise TypeError(f"{model.name}: it is a subclassed model; give a Functional or Sequential")


def check(model):
    """Refuse a network that cannot be cut exactly, before anything is cut.

    Raises:
        ValueError: names the layer, its type and the reason.
    """
    for layer in model.operations:
        reason = _reason_against(layer)
        if reason:
            raise ValueError(f"{layer.name} ({type(layer).__name__}): {reason}")


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
    surviving = {}  # id of a tensor of the copy: bool (channels of the full network,)
    incoming_of = {}  # layer name: the mask it was called with

    def shrink(layer):
        config = layer.get_config()
        if layer.name in kept:
            config["filters"] = len(kept[layer.name])
        return type(layer).from_config(config)

    def call(small, tensor, **arguments):
        layer = model.get_layer(small.name)
        incoming = surviving.get(id(tensor), np.ones(tensor.shape[-1], bool))
        if not np.array_equal(incoming_of.setdefault(small.name, incoming), incoming):
            raise ValueError(f"{small.name}: it is used twice, on channels pruned differently")
        output = small(tensor, **arguments)
        weights, outgoing = RULES[type(layer)](
            layer, incoming, kept.get(layer.name, slice(None)), output.shape
        )
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


def _reason_against(layer):
    if type(layer) not in RULES:
        known = ", ".join(layer_type.__name__ for layer_type in RULES)
        return f"there is no rule to prune this type; known are {known}"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "its channels come first; build it channels_last"
    if isinstance(layer, layers.Conv2D) and layer.groups != 1:
        return "its convolution is grouped, which has no rule"
    if isinstance(layer, layers.Conv2D) and layer.activation not in _elementwise():
        return f"its activation may mix channels; known to keep them apart are {ELEMENTWISE}"
    if isinstance(layer, layers.BatchNormalization):
        if layer.axis not in (-1, len(layer.output.shape) - 1):
            return f"it normalises axis {layer.axis}; its channels must be the last"
    if isinstance(layer, layers.Flatten) and None in layer.output.shape[1:]:
        return "the size of its input is not fixed; build the network for one image size"
    return None


def _elementwise():
    return [getattr(keras.activations, name) for name in ELEMENTWISE]


# Each rule takes the full network's layer, the mask of its input's surviving channels, the
# indices of its own filters that stay (a full slice: all) and its output's shape in the copy. It
# returns the weights of the smaller layer and the mask of its output.


def _convolution(layer, incoming, kept, shape):
    kernel, *bias = layer.get_weights()  # (height, width, in_channels, filters)
    outgoing = np.zeros(kernel.shape[-1], bool)
    outgoing[kept] = True
    return [kernel[:, :, incoming][..., outgoing], *(vector[outgoing] for vector in bias)], outgoing


def _dense(layer, incoming, kept, shape):
    kernel, *bias = layer.get_weights()  # (in_channels, units)
    return [kernel[incoming], *bias], np.ones(kernel.shape[-1], bool)


def _batch_normalization(layer, incoming, kept, shape):
    return [vector[incoming] for vector in layer.get_weights()], incoming


def _flatten(layer, incoming, kept, shape):
    positions = shape[-1] // np.count_nonzero(incoming)  # height * width
    return [], np.tile(incoming, positions)  # row r of the next kernel belongs to channel r % C


def _same_channels(layer, incoming, kept, shape):
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
