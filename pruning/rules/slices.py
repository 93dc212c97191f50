"""Rules for plain operations that take a part of the channels or positions."""

import numpy as np

from pruning.rules.flow import Flow, as_array, count


def get_item(call, incoming, new):
    """The channels of `x[key]`; its slice of channels, if there is one, gets smaller."""
    features, key = incoming[0], _argument(call, 1, "key")
    key = list(key) if isinstance(key, (tuple, list)) else [key]
    place, item, index = _channels_in(key, features)
    rank = len(call.outputs[0].shape)
    channels = features.channels
    if item == slice(None):
        return Flow(channels, place - rank)
    if not isinstance(item, slice):
        raise ValueError("it takes a single channel; take a slice of channels, as in [..., 0:1]")
    start, stop, step = item.indices(len(channels))
    if (item.start, item.stop, step) == (None, None, -1):
        return Flow(channels[::-1], place - rank)
    if step < 1:
        raise ValueError(f"its slice of channels has the step {step}")
    chosen = channels[start:stop:step]

    def smaller(stays):
        kept = np.flatnonzero(stays(channels))
        first = np.searchsorted(kept, taken[stays(chosen)][0]).item()
        new_key = list(key)
        stop = first + (count(stays, chosen) - 1) * step + 1
        new_key[index] = slice(first, stop, item.step)
        return new_key

    # with a step, whole blocks of channels leave, so that the step is the same in what stays
    taken = np.arange(start, stop, step)
    blocks = [np.arange(b, min(b + step, len(channels))) for b in taken - start % step]
    coupled = tuple(
        (channels[np.repeat(b[0], len(b) - 1)], channels[b[1:]]) for b in blocks if len(b) > 1
    )
    return Flow(chosen, place - rank, coupled=coupled, parts=(chosen,), constants=smaller)


def split(call, incoming, new):
    """The channels of each part; a split along positions leaves all channels in each."""
    layer, features = call.layer, incoming[0]
    rank = len(features.shape)
    axis = layer.axis % rank
    if axis == 0:
        raise ValueError("it splits the images")
    channels = features.channels
    if axis - rank != features.axis:
        return Flow(channels, features.axis, outputs=(channels,) * len(call.outputs))
    sections = layer.indices_or_sections
    outputs = tuple(np.split(channels, sections if np.ndim(sections) == 0 else list(sections)))
    if not all(map(len, outputs)):
        raise ValueError("one of its parts has no channels")

    def config(stays):
        sizes = [count(stays, part) for part in outputs[:-1]]
        return {"indices_or_sections": np.cumsum(sizes).tolist()}

    return Flow(channels, features.axis, config=config, outputs=outputs, parts=outputs)


def unstack(call, incoming, new):
    """All input channels in each output; each output is one position of an axis."""
    features, rank = incoming[0], len(incoming[0].shape)
    axis, channel = call.layer.axis % rank, len(incoming[0].shape) + incoming[0].axis
    if axis in (0, channel):
        raise ValueError("it takes images or channels apart")
    place = channel - (axis < channel)
    channels = features.channels
    return Flow(channels, place - (rank - 1), outputs=(channels,) * len(call.outputs))


def take(call, incoming, new):
    """The channels at given indices; the indices are those among the channels that stay."""
    features, axis = incoming[0], call.layer.axis
    rank = len(features.shape)
    indices = _argument(call, 1, "indices")
    if len(incoming) > 1 or np.ndim(indices) != 1 or isinstance(indices, (list, tuple)):
        raise ValueError("expected its indices as a constant array of one axis")
    if axis is None or axis % rank == 0:
        raise ValueError("it takes values from several images")
    channels, indices = features.channels, as_array(indices)
    if axis % rank - rank != features.axis:
        return Flow(channels, features.axis)
    chosen = channels[indices]

    def smaller(stays):
        place = np.cumsum(stays(channels)) - 1
        return [place[indices][stays(chosen)].astype(indices.dtype)]

    return Flow(chosen, features.axis, parts=(chosen,), constants=smaller)


def _argument(call, place, name):
    args, kwargs = call.arguments
    return args[place] if len(args) > place else kwargs[name]


def _channels_in(key, features):
    """The channel axis of the output, the item of the key on it, and its index in the key.

    Raises:
        ValueError: the key is on images.
    """
    items = [(each, index) for index, each in enumerate(key)]
    whole = len(features.shape) - sum(each is not None and each is not Ellipsis for each in key)
    dots = next((index for each, index in items if each is Ellipsis), len(items))
    items[dots : dots + 1] = [(slice(None), None)] * whole
    channel = len(features.shape) + features.axis
    axis = place = 0  # of the input, of the output
    for item, index in items:
        if axis == 0 and item != slice(None):
            raise ValueError("its index is on the axis of the images")
        if axis == channel and item is not None:
            return place, item, index
        axis += item is not None
        place += item is None or isinstance(item, slice)
