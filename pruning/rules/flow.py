"""What a rule gets and what it answers, and the rules that many layer types share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np

from pruning.graph import Call

ELEMENTWISE_NAMES = (
    "linear relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid hard_sigmoid hard_silu "
    "log_sigmoid tanh hard_tanh softplus softsign exponential squareplus soft_shrink hard_shrink "
    "tanh_shrink sparse_plus sparse_sigmoid"
).split()
# activations that compute each value from that value alone; add a function of your own to the set
ELEMENTWISE = {getattr(keras.activations, name) for name in ELEMENTWISE_NAMES}


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


class Filters(NamedTuple):
    """The filters that make the outgoing channels, as a criterion judges them.

    Attributes:
        kernel: function without arguments that returns their weights, float array (...,
            in_channels, filters).
        in_channels: int array, the numbers of the channels along the kernel's in_channels, or None
            if each filter reads the channel that it makes, as in a depthwise convolution.
        prunable: whether the layer is pruned itself, or only loses what others lose.
    """

    kernel: Callable[[], np.ndarray]
    in_channels: np.ndarray | None = None
    prunable: bool = True


class NotPrunable(NamedTuple):
    """Channels that stay, and why.

    Attributes:
        channels: int array of channel numbers.
        reason: a sentence about the layer: "it computes each value from all channels".
        unsupported: whether to prune them is an error, since too little is known of the layer. Else
            they stay, and the rest is pruned.
    """

    channels: np.ndarray
    reason: str
    unsupported: bool = False


@dataclass(frozen=True, eq=False)
class Flow:
    """What a rule says of one call of a layer.

    ============  ==============================================  ============================
    field         says                                            of a 3x3 Conv2D with bias
    ============  ==============================================  ============================
    channels      which channels come out                         its filters
    axis          on which axis of the output they stand          -1
    weights       which channels each axis of a weight holds      ({-2: in, -1: out}, {0: out})
    config        what changes in the config of a smaller layer   {"filters": how many stay}
    filters       what a criterion judges                         the kernel
    coupled       which channels leave together                   ()
    not_prunable  which channels stay, and why                    ()
    changes_at    when the rule would say something else          ()
    ============  ==============================================  ============================

    A rule that does not fit a call raises ValueError with the reason, a sentence as in
    `NotPrunable`. Then all channels that come in and go out are not prunable, and unsupported.

    Attributes:
        channels: int array, the numbers of the channels that come out.
        axis: where they stand in the output, counted from the end.
        weights: for each of `layer.weights`, `{axis: numbers of the channels along it}`; an axis
            that is not named is never cut.
        config: None, or a function of `stays` that returns the changed part of the layer's config,
            `stays(channels)` being the mask of those that stay.
        filters: None, or Filters.
        coupled: pairs of equally long int arrays; channels at the same place leave together.
        not_prunable: NotPrunable, any number.
        changes_at: pairs of an int array of channels and a number. If so many of them stay, the
            rule says of the smaller layer something else than of this one, not just fewer channels.
    """

    channels: np.ndarray
    axis: int = -1
    weights: tuple[dict[int, np.ndarray], ...] = ()
    config: Callable[[Callable], dict[str, Any]] | None = None
    filters: Filters | None = None
    coupled: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    not_prunable: tuple[NotPrunable, ...] = ()
    changes_at: tuple[tuple[np.ndarray, int], ...] = ()


def same_channels(call: Call, incoming: list[Features], new: Callable) -> Flow:
    """What comes in comes out, each channel by itself; for layers without weights."""
    return Flow(incoming[0].channels, incoming[0].axis)


def per_channel(call: Call, incoming: list[Features], new: Callable) -> Flow:
    """Each channel by itself, and every weight holds one value per channel."""
    channels = last(call.layer, incoming[0])
    return Flow(channels, weights=tuple({-1: channels} for _ in call.layer.weights))


def merged(call: Call, incoming: list[Features], new: Callable) -> Flow:
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
    narrow = len(meeting) < len(incoming)  # a single map meets all channels, and is tied to none
    return Flow(
        widest.channels,
        widest.axis,
        coupled=tuple((meeting[0], channels) for channels in meeting[1:]),
        changes_at=((widest.channels, 1),) if narrow else (),
    )


def last(layer, features):
    """The channels that come in, which must be on the last axis."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError("its channels come first; build it channels_last")
    if features.axis != -1:
        raise ValueError("the channels that reach it are not on its last axis")
    return features.channels


def mixed_by_activation(layer, channels):
    """`Flow.not_prunable` of the channels after the layer's activation."""
    if any(layer.activation is function for function in ELEMENTWISE):
        return ()
    reason = "its activation is not known to leave channels apart"
    return (NotPrunable(channels, reason, unsupported=True),)


def bias(layer, channels):
    """The part of `Flow.weights` for a bias, if there is one."""
    return [{0: channels}] if layer.use_bias else []


def uncut(layer):
    """`Flow.weights` of a layer none of whose weights is cut."""
    return tuple({} for _ in layer.weights)


def count(stays, channels):
    """How many of the channels stay."""
    return int(np.count_nonzero(stays(channels)))


def as_array(weight):
    """The weight as a NumPy array."""
    return keras.ops.convert_to_numpy(weight)
