"""Rules for layers that move values: pooling, reshaping, padding, joining."""

import math

import numpy as np
from keras import layers

from pruning.rules.flow import Flow, count, last, same_channels
from pruning.rules.operators import merged

NOT_FIXED = "its input size is not fixed; build the network for one image size"
OPEN_SIZE = 8  # any size


def within_channels(call, incoming, new):
    """The input channels, at other positions: pooling, cropping, padding with zeros."""
    return Flow(last(call.layer, incoming[0]))


def depth_to_space(call, incoming, new):
    """The channels of each output pixel; those of equal index in all pixels are coupled."""
    pixels = last(call.layer, incoming[0]).reshape(call.layer.block_size**2, -1)
    return Flow(pixels[0], coupled=tuple((pixels[0], pixel) for pixel in pixels[1:]))


def space_to_depth(call, incoming, new):
    """The input channels of all pixels of a block, one pixel after the other."""
    return Flow(np.tile(last(call.layer, incoming[0]), call.layer.block_size**2))


def flatten(call, incoming, new):
    """The input channels, once per position: entry r holds channel r % C."""
    if call.layer.data_format != "channels_last":
        raise ValueError("its data_format is channels_first; build it with channels_last")
    if None in call.outputs[0].shape[1:]:
        raise ValueError(NOT_FIXED)
    ((channels,), axis) = _rearranged(incoming[0], lambda numbers: numbers.reshape(-1))
    return Flow(channels, axis)


def reshape(call, incoming, new):
    """The input channels on the axis that holds them; if there is none, coupled on the last axis.

    Those at the same index of the last axis are coupled. So in a channel shuffle, the channels of
    equal index in each group leave together.

    The layer's target shape is without the axis of the images, the operation's with it.
    """
    before, after = incoming[0].shape, call.outputs[0].shape
    name = "target_shape" if isinstance(call.layer, layers.Reshape) else "newshape"
    lines, axis = _rearranged(incoming[0], lambda numbers: _onto(numbers, before, after))
    channels = lines[0]

    def config(stays):
        shape = list(getattr(call.layer, name))
        if shape[axis] != -1:
            shape[axis] = count(stays, channels)
        return {name: shape}

    # a single one is found on another axis
    alone = ((np.unique(channels), 1),) if axis != -1 else ((channels, 1),) if lines[1:] else ()
    coupled = tuple((channels, line) for line in lines[1:])
    return Flow(channels, axis, config=config, coupled=coupled, changes_at=alone)


def permute(call, incoming, new):
    """The input channels on another axis."""
    rank = len(incoming[0].shape)
    place = call.layer.dims.index(rank + incoming[0].axis) + 1  # dims count from 1
    return Flow(incoming[0].channels, place - rank)


def concatenate(call, incoming, new):
    """The channels of all inputs one after the other; along another axis they are coupled."""
    rank = len(incoming[0].shape)
    axis = incoming[0].axis
    if any(features.axis != axis for features in incoming):
        raise ValueError("its inputs have their channels on different axes")
    if call.constants:
        raise ValueError("one of its inputs is a constant array")
    if call.layer.axis % rank - rank == axis:
        return Flow(np.concatenate([features.channels for features in incoming]), axis)
    return merged(call, incoming, new)


def pad(call, incoming, new):
    """New channels of zeros before and after, as on the shortcut of a residual network."""
    channels, axis = incoming[0].channels, incoming[0].axis
    widths = [list(width) for width in call.layer.pad_width]
    if len(widths) == 1:
        widths *= len(incoming[0].shape)
    before, after = widths[axis]
    if before == after == 0:
        return same_channels(call, incoming, new)
    if call.layer.mode != "constant" or any(np.any(c) for c in call.constants if c is not None):
        raise ValueError("it pads channels with other values than 0")
    padding = new(before + after)

    def config(stays):
        smaller = list(widths)
        smaller[axis] = [count(stays, padding[:before]), count(stays, padding[before:])]
        return {"pad_width": smaller}

    return Flow(np.r_[padding[:before], channels, padding[before:]], axis, config=config)


def _onto(numbers, before, after):
    sizes = [-1 if size is None else size for size in after[1:]]
    known = abs(math.prod(sizes))
    if before[0] != after[0] or (None not in before[1:] and numbers.size != known):
        raise ValueError("it reshapes the axis of the images")
    if None in before[1:] and (sizes.count(-1) != 1 or numbers.size % known):
        raise ValueError(NOT_FIXED)
    return numbers.reshape(sizes)


def _rearranged(features, rearrange):
    """`(lines of channels, axis)` after `rearrange`, which is applied to the channel numbers.

    There is a single line if the axis holds the channels, and several lines if they differ.
    """
    shape = list(features.shape[1:])
    if None in shape and features.axis != -1:
        raise ValueError(NOT_FIXED)
    shape = [OPEN_SIZE if size is None else size for size in shape]  # any size gives these lines
    along_axis = [1] * len(shape)
    along_axis[features.axis] = -1
    numbers = np.broadcast_to(features.channels.reshape(along_axis), shape)
    numbers = rearrange(numbers)
    for axis in range(-1, -numbers.ndim - 1, -1):
        lines = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])
        if (lines == lines[0]).all():
            return [lines[0]], axis
    return [*np.unique(numbers.reshape(-1, numbers.shape[-1]), axis=0)], -1
