"""What a rule is told and what it answers, and the rules that many layer types share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

ELEMENTWISE = (  # activations that leave the channels of a convolution apart
    "linear relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid hard_sigmoid hard_silu "
    "log_sigmoid tanh hard_tanh softplus softsign exponential squareplus soft_shrink hard_shrink "
    "tanh_shrink sparse_plus sparse_sigmoid"
).split()


class Features(NamedTuple):
    """A tensor and the channels in it.

    Attributes:
        shape: `(batch, ...)`, None where the size is not fixed.
        channels: int array, the numbers of the channels along the channel axis.
        axis: the channel axis, counted from the end: -1 is the last.
    """

    shape: tuple
    channels: np.ndarray
    axis: int


@dataclass(frozen=True)
class Flow:
    """What a rule answers.

    Attributes:
        channels: int array, the numbers of the channels that come out.
        axis: where they stand in the output, counted from the end.
        weights: for each of `layer.weights`, `{axis: numbers of the channels along it}`; an axis
            that is not named is never cut.
        config: None, or a function of `stays` that returns the changed part of the layer's config,
            `stays(channels)` being the mask of those that stay.
        kernel: None, or a function that returns the weights behind `channels` as a float array
            (..., in_channels, filters), for the criterion.
        reads: None, or int array, the numbers of the channels along the kernel's in_channels.
        convolution: whether the filters of that kernel are to be pruned of their own accord.
        together: pairs of equally long int arrays; channels at the same place leave together.
        whole: reason why none of the incoming channels is ever cut, or "".
        refused: reason why it would be wrong to cut the outgoing channels, or "".
        changes_at: pairs of an int array of channels and a number: if so many of them stay, the
            rule says of the smaller layer something else than of this one, not just fewer channels.
    """

    channels: np.ndarray
    axis: int = -1
    weights: tuple = ()
    config: Callable | None = None
    kernel: Callable | None = None
    reads: np.ndarray | None = None
    convolution: bool = False
    together: tuple = ()
    whole: str = ""
    refused: str = ""
    changes_at: tuple = ()


def same_channels(call, incoming, new):
    """What comes in comes out, each channel by itself; for layers without weights."""
    return Flow(incoming[0].channels, incoming[0].axis)


def per_channel(call, incoming, new):
    """Each channel by itself, and every weight holds one value per channel."""
    channels = last(call.layer, incoming[0])
    return Flow(channels, weights=tuple({-1: channels} for _ in call.layer.weights))


def merged(call, incoming, new):
    """Channel i of every input meets in channel i of the output: they leave together."""
    widest = max(incoming, key=lambda features: len(features.channels))
    for features in incoming:
        apart = features.axis != widest.axis
        if apart and (len(features.channels) > 1 or features.shape[widest.axis] != 1):
            raise ValueError("its inputs hold their channels on different axes")
    if any(np.size(constant) > 1 for constant in call.constants):
        raise ValueError("one of its inputs is a constant array")
    meeting = [f.channels for f in incoming if len(f.channels) == len(widest.channels)]
    if any(len(f.channels) not in (1, len(widest.channels)) for f in incoming):
        raise ValueError("its inputs differ in the number of channels")
    pairs = tuple((meeting[0], channels) for channels in meeting[1:])
    narrow = len(meeting) < len(incoming)  # a single map meets all channels, and is tied to none
    return Flow(
        widest.channels,
        widest.axis,
        together=pairs,
        changes_at=((widest.channels, 1),) if narrow else (),
    )


def last(layer, features):
    """The channels that come in, which must be on the last axis."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError("its channels come first; build it channels_last")
    if features.axis != -1:
        raise ValueError("the channels that reach it are not on its last axis")
    return features.channels


def mixing(layer):
    """Why channels behind the layer's activation cannot be cut, or ""."""
    if layer.activation in [getattr(keras.activations, name) for name in ELEMENTWISE]:
        return ""
    return "its activation is not known to leave channels apart"


def bias(layer, channels):
    """The part of `Flow.weights` for a bias, where there is one."""
    return [{0: channels}] if layer.use_bias else []


def untouched(layer):
    """`Flow.weights` of a layer none of whose weights is cut."""
    return tuple({} for _ in layer.weights)


def count(stays, channels):
    """How many of the channels stay."""
    return int(np.count_nonzero(stays(channels)))


def as_array(weight):
    """The weight as a NumPy array."""
    return keras.ops.convert_to_numpy(weight)
