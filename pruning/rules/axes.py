"""Rules for plain operations that remove, add or move axes, or compute along them."""

import numpy as np

from pruning.rules.flow import Flow, NotPrunable
from pruning.rules.operators import merged


def reduction(call, incoming, new):
    """The input channels, if it computes over positions, as the mean over height and width does."""
    features, shape = incoming[0], call.outputs[0].shape
    axes = _places(call.layer.axis, features)
    if any(constant is not None for constant in call.constants):
        raise ValueError("it has weights or other arguments")
    channel, kept = _channel(features), getattr(call.layer, "keepdims", False)
    if channel not in axes:
        place = channel if kept else channel - sum(axis < channel for axis in axes)
        return Flow(features.channels, place - len(shape))
    axis = features.axis if kept else -1
    if len(shape) == 1 or shape[axis] is None:
        raise ValueError("it leaves no axis of a fixed size that could hold channels")
    made = new(shape[axis])
    reason = "it computes each value from all channels, so the others would change"
    stay = tuple(NotPrunable(channels, reason) for channels in (features.channels, made))
    return Flow(made, axis, not_prunable=stay)


def along_axes(call, incoming, new):
    """The input channels, if it computes along positions, as a softmax over positions does."""
    features = incoming[0]
    if _channel(features) in _places(call.layer.axis, features):
        raise ValueError("it computes each value from all channels")
    return Flow(features.channels, features.axis)


def flip(call, incoming, new):
    """The input channels, in reverse order if it is along them."""
    features = incoming[0]
    turned = _channel(features) in _places(call.layer.axis, features)
    return Flow(features.channels[::-1] if turned else features.channels, features.axis)


def tile(call, incoming, new):
    """The input channels, as often as it repeats all of them."""
    features, rank = incoming[0], len(incoming[0].shape)
    repeats = np.atleast_1d(call.layer.repeats)
    if len(repeats) > rank or (len(repeats) == rank and repeats[0] != 1):
        raise ValueError("it repeats images or adds axes")
    repeats = [1] * (rank - len(repeats)) + repeats.tolist()
    return Flow(np.tile(features.channels, repeats[features.axis]), features.axis)


def repeat(call, incoming, new):
    """The input channels, each as often as it repeats it."""
    features = incoming[0]
    if np.ndim(call.layer.repeats):
        raise ValueError("it does not repeat each value equally often")
    along = _channel(features) in _places(call.layer.axis, features)
    times = int(call.layer.repeats) if along else 1
    return Flow(np.repeat(features.channels, times), features.axis)


def transpose(call, incoming, new):
    """The input channels on another axis."""
    axes, rank = call.layer.axes, len(incoming[0].shape)
    return _moved(incoming[0], np.arange(rank)[::-1] if axes is None else np.mod(axes, rank))


def swapaxes(call, incoming, new):
    """The input channels on another axis."""
    axes = np.arange(len(incoming[0].shape))
    one, other = call.layer.axis1, call.layer.axis2
    axes[[one, other]] = axes[[other, one]]
    return _moved(incoming[0], axes)


def moveaxis(call, incoming, new):
    """The input channels on another axis."""
    rank = len(incoming[0].shape)
    source, destination = (np.ravel(each) for each in (call.layer.source, call.layer.destination))
    shape = np.moveaxis(np.empty(range(1, rank + 1)), source, destination).shape
    return _moved(incoming[0], np.array(shape) - 1)


def expand_dims(call, incoming, new):
    """The input channels; new axes of size 1 are beside theirs."""
    rank = len(call.outputs[0].shape)
    added = {axis % rank for axis in np.ravel(call.layer.axis).tolist()}
    places = [axis for axis in range(rank) if axis not in added]  # of the input's axes
    return _placed(incoming[0], places, rank)


def squeeze(call, incoming, new):
    """The input channels; axes of size 1 beside theirs are removed."""
    features, rank = incoming[0], len(incoming[0].shape)
    if call.layer.axis is None:
        raise ValueError("its axis is None, which may be that of a single channel; give its axis")
    gone = _places(call.layer.axis, features)
    if _channel(features) in gone:
        raise ValueError("it removes the axis of the channels")
    places = np.cumsum([axis not in gone for axis in range(rank)]) - 1
    return _placed(features, places, rank - len(gone))


def stack(call, incoming, new):
    """The input channels, which are coupled; the inputs are beside each other on a new axis."""
    flow = merged(call, incoming, new)
    if call.constants:
        raise ValueError("one of its inputs is a constant array")
    rank = len(call.outputs[0].shape)
    places = [axis for axis in range(rank) if axis != call.layer.axis % rank]
    placed = _placed(incoming[0], places, rank)
    return Flow(flow.channels, placed.axis, coupled=flow.coupled)


def _moved(features, axes):
    """The flow after a transposition: axis i of the output is axis `axes[i]` of the input."""
    return _placed(features, np.argsort(axes), len(axes))


def _placed(features, places, rank):
    """The flow if axis i of the input is axis `places[i]` of the output."""
    if places[0] != 0:
        raise ValueError("it moves the axis of the images")
    return Flow(features.channels, int(places[_channel(features)]) - rank)


def _channel(features):
    """The channel axis, counted from the start."""
    return len(features.shape) + features.axis


def _places(axes, features):
    """Set of the axes, counted from the start."""
    rank = len(features.shape)
    places = set(range(rank)) if axes is None else {a % rank for a in np.ravel(axes).tolist()}
    if 0 in places:
        raise ValueError("it computes along the axis of the images")
    return places
