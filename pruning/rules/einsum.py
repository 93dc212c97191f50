"""The rule for EinsumDense: a kernel that reads channels, or that moves between positions."""

import numpy as np

from pruning.rules.flow import Filters, Flow, as_array, count, mixed_by_activation


def einsum_dense(call, incoming, new):
    """New channels if the kernel reads the input channels, the input channels if it does not."""
    layer, features = call.layer, incoming[0]
    if layer.equation.endswith("..."):  # then output_shape does not hold the last axes
        raise ValueError(f"its equation is {layer.equation}; build it with '...' at the start")
    given, kernel, result = letters(layer.equation, len(features.shape))
    own = given[features.axis]
    if own in kernel and own in result:
        raise ValueError("its kernel has own values for each channel")
    if own in kernel:
        return _reading(layer, features, (given, kernel, result), new)
    if own not in result:
        raise ValueError("it sums over the channels without a kernel")
    axis = result.index(own) - len(result)
    channels = features.channels
    return Flow(
        channels,
        axis,
        weights=({}, *_bias(layer, own, axis, channels)),
        config=_output_size(layer, axis, channels),
        not_prunable=mixed_by_activation(layer, channels),
    )


def letters(equation, rank):
    """The letters of input, kernel and output, with one for each axis in place of `...`."""
    source, result = equation.replace(" ", "").split("->")
    given, kernel = source.split(",")
    more = "".join(map(str, range(rank - len(given.replace("...", "")))))
    return given.replace("...", more), kernel, result.replace("...", more)


def _reading(layer, features, equation, new):
    given, kernel, result = equation
    own, last = given[features.axis], result[-1]
    if last not in kernel or last in given:
        raise ValueError("its kernel does not make the last axis of its output")
    rows, columns = kernel.index(own), kernel.index(last)
    channels = new(layer.kernel.shape[columns])
    like_dense = len(kernel) == 2 and len(features.shape) > 2

    def filters():
        return np.moveaxis(as_array(layer.kernel), (rows, columns), (-2, -1))

    return Flow(
        channels,
        weights=(
            {rows: features.channels, columns: channels},
            *_bias(layer, last, -1, channels),
        ),
        config=_output_size(layer, -1, channels),
        filters=Filters(filters, features.channels, prunable=like_dense),
        not_prunable=mixed_by_activation(layer, channels),
    )


def _bias(layer, letter, axis, channels):
    if not layer.bias_axes:
        return []
    return [{axis: channels} if letter in layer.bias_axes else {}]


def _output_size(layer, axis, channels):
    """`Flow.config`: the output shape, without the axes of `...`, with the channels that stay."""

    def config(stays):
        shape = list(layer.get_config()["output_shape"])
        if -axis <= len(shape) and shape[axis] is not None:
            shape[axis] = count(stays, channels)
        return {"output_shape": shape}

    return config
