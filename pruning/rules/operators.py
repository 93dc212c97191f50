"""Rules for operators that combine tensors, numbers and constant arrays element by element."""

import keras
import numpy as np

from pruning.rules.flow import Flow, NotPrunable, as_array

APART = "its inputs have their channels on different axes"


def merged(call, incoming, new):
    """Channel i of the output is computed from channel i of every input: they are coupled.

    A constant array with one value per channel is cut along this axis. An input that has its
    channels on another axis, and one value for all channels of this one, keeps its channels.
    """
    widest = _widest(incoming)
    along = [f.channels for f in incoming if f.axis == widest.axis]
    apart = [f.channels for f in incoming if f.axis != widest.axis and len(f.channels) > 1]
    meeting = [channels for channels in along if len(channels) == len(widest.channels)]
    if any(len(channels) not in (1, len(widest.channels)) for channels in along):
        raise ValueError("its inputs have different numbers of channels")
    # a single channel is combined with all channels, and coupled to none
    narrow = len(meeting) + len(apart) < len(incoming)
    return Flow(
        widest.channels,
        widest.axis,
        coupled=tuple((meeting[0], channels) for channels in meeting[1:]),
        not_prunable=tuple(NotPrunable(each, APART, unsupported=True) for each in apart),
        changes_at=((widest.channels, 1),) if narrow else (),
        constants=_constants(call, widest),
    )


def _widest(incoming):
    """The input with the most channels, if all others with another axis have one value along it."""
    order = sorted(incoming, key=lambda f: (len(f.channels) > 1, f.axis, len(f.channels)))
    for features in reversed(order):
        others = [each for each in incoming if each.axis != features.axis]
        if all(len(f.shape) >= -features.axis and f.shape[features.axis] == 1 for f in others):
            return features
    raise ValueError(APART)


def _constants(call, features):
    """`Flow.constants` for the constant arrays among the inputs."""
    per_channel = [_has_channels(call, constant, features) for constant in call.constants]
    if not any(per_channel):
        return None

    def smaller(stays):
        mask = stays(features.channels)
        pairs = zip(call.constants, per_channel, strict=True)
        return [_cut(each, mask, features.axis) if cut else each for each, cut in pairs]

    return smaller


def _has_channels(call, constant, features):
    """Whether a constant has one value per channel, not one for all channels."""
    if constant is None or np.ndim(constant) == 0:
        return False
    if isinstance(call.layer, keras.Layer) or isinstance(constant, keras.Variable):
        raise ValueError("one of its inputs is a constant array; add it by an operator")
    shape = tuple(constant.shape)
    if len(shape) > len(features.shape):
        raise ValueError("one of its inputs is a constant array with more axes than the maps")
    along = shape[features.axis] if len(shape) >= -features.axis else 1
    if along not in (1, len(features.channels)):
        raise ValueError("one of its inputs is a constant array with another number of channels")
    long = [axis for axis, n in enumerate(shape, -len(shape)) if n > 1]
    if type(call.layer).__name__ == "Add" and len(long) == 1 and long != [-1]:
        # Keras takes such an array for a bias on TensorFlow, and may add it along another axis
        raise ValueError(
            f"it adds a constant array along axis {long[0]} only; subtract its negative"
        )
    return along > 1


def _cut(constant, mask, axis):
    values = np.compress(mask, as_array(constant), axis)
    if isinstance(constant, np.ndarray):
        return values
    return keras.ops.convert_to_tensor(values)
