"""The arguments and result of a rule, and the rules that many layer types share."""

import inspect
import sys
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


def _elementwise():
    """The functions of these names in Keras, and in the backends that are imported."""
    places = [("tensorflow", "nn"), ("tensorflow", "math"), ("jax", "nn"), ("jax", "numpy")]
    places += [("torch", "nn.functional"), ("torch", "")]
    homes = [keras.ops]
    for package, place in places:
        home = sys.modules.get(package)
        for name in filter(None, place.split(".")):
            home = getattr(home, name, None)
        homes.append(home)
    # without "linear", which multiplies by a matrix in PyTorch
    names = [*ELEMENTWISE_NAMES[1:], *"swish hard_swish hard_silu hardtanh hardswish".split()]
    names += "logsigmoid hardsigmoid abs square exp".split()
    own = [getattr(keras.activations, name) for name in ELEMENTWISE_NAMES]
    return own + [getattr(home, name) for home in homes for name in names if hasattr(home, name)]


# activations that compute each value from that value alone; you may add your own function
ELEMENTWISE = _elementwise()


class Features(NamedTuple):
    """A tensor and the channels in it.

    Attributes:
        shape: `(batch, ...)`, with None for a size that is not fixed.
        channels: int array, the numbers of the channels along the channel axis.
        axis: the channel axis, counted from the end: -1 is the last.
    """

    shape: tuple
    channels: np.ndarray
    axis: int


class Filters(NamedTuple):
    """The filters that compute the output channels; a criterion gives them scores.

    Attributes:
        kernel: function without arguments that returns their weights, float array (...,
            in_channels, filters).
        in_channels: int array, the numbers of the channels along the kernel's in_channels. None if
            a filter reads only the channel of its own number, as in a depthwise convolution.
        prunable: whether the layer is pruned itself. If not, it only loses channels that are
            coupled to the filters of other layers.
        on_vectors: whether it is a Dense layer on vectors. With `dense=True` it is pruned itself.
    """

    kernel: Callable[[], np.ndarray]
    in_channels: np.ndarray | None = None
    prunable: bool = True
    on_vectors: bool = False


class NotPrunable(NamedTuple):
    """Channels that are not prunable, and why.

    Attributes:
        channels: int array of channel numbers.
        reason: a sentence about the layer: "it computes each value from all channels".
        unsupported: whether too little is known about the layer. Then they stay with a warning, or
            are an error, as the argument `unsupported` of `prune` says.
    """

    channels: np.ndarray
    reason: str
    unsupported: bool = False


@dataclass(frozen=True, eq=False)
class Flow:
    """What a rule returns for one call of a layer.

    ============  ==============================================  ============================
    field         meaning                                         for a 3x3 Conv2D with bias
    ============  ==============================================  ============================
    channels      the output channels                             its filters
    axis          their axis in the output                        -1
    weights       the channels on each axis of each weight        ({-2: in, -1: out}, {0: out})
    config        the changed config of a smaller layer           {"filters": how many stay}
    filters       what a criterion gives scores                   the kernel
    coupled       the channels that are removed together          ()
    not_prunable  the channels that stay, and why                 ()
    changes_at    when the rule returns something else            ()
    outputs       the channels of each of several outputs         None
    parts         channels of which at least one stays            ()
    constants     the constants of a smaller operation's call     None
    ============  ==============================================  ============================

    If a rule does not fit a call, it raises ValueError with the reason, a sentence as in
    `NotPrunable`. Then all input and output channels of the call are not prunable and unsupported.

    Attributes:
        channels: int array, the numbers of the output channels.
        axis: their axis in the output, counted from the end.
        weights: for each of `layer.weights`, `{axis: numbers of the channels along it}`. An axis
            that is not in the dict is never cut.
        config: None, or a function of `stays` that returns the changed part of the layer's config.
            `stays(channels)` is the mask of the channels that stay.
        filters: None, or Filters.
        coupled: pairs of int arrays of equal length; channels at the same index are removed
            together.
        not_prunable: tuple of NotPrunable.
        changes_at: pairs of an int array of channels and a number. If exactly so many of these
            channels stay, the rule returns something else for the smaller layer, not only fewer
            channels.
        outputs: None, or a tuple of int arrays, the channels of each output, if a call has several.
        parts: tuple of int arrays. At least one channel of each stays, because something reads
            these channels alone: they are ranked apart from the others.
        constants: None, or a function of `stays` that returns what takes the place of
            `call.constants`. Only for plain operations, which are not layers.
    """

    channels: np.ndarray
    axis: int = -1
    weights: tuple[dict[int, np.ndarray], ...] = ()
    config: Callable[[Callable], dict[str, Any]] | None = None
    filters: Filters | None = None
    coupled: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    not_prunable: tuple[NotPrunable, ...] = ()
    changes_at: tuple[tuple[np.ndarray, int], ...] = ()
    outputs: tuple[np.ndarray, ...] | None = None
    parts: tuple[np.ndarray, ...] = ()
    constants: Callable[[Callable], list] | None = None


def same_channels(call: Call, incoming: list[Features], new: Callable) -> Flow:
    """The output channels are the input channels; for layers without weights."""
    return Flow(incoming[0].channels, incoming[0].axis)


def per_channel(call: Call, incoming: list[Features], new: Callable) -> Flow:
    """The output channels are the input channels; every weight holds one value per channel."""
    channels = last(call.layer, incoming[0])
    return Flow(channels, weights=tuple({-1: channels} for _ in call.layer.weights))


def last(layer, features):
    """The input channels, which must be on the last axis."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError("its data_format is channels_first; build it with channels_last")
    if features.axis != -1:
        raise ValueError("its input channels are not on the last axis")
    return features.channels


def arguments(call, incoming):
    """The arguments of a call by their names, with Features in place of each tensor."""
    args, kwargs = call.arguments
    symbols = [a for a in keras.tree.flatten((args, kwargs)) if isinstance(a, keras.KerasTensor)]
    features = dict(zip(map(id, symbols), incoming, strict=True))
    given = inspect.signature(call.layer.call).bind(*args, **kwargs).arguments
    return keras.tree.map_structure(lambda a: features.get(id(a), a), given)


def others_stay(incoming, read):
    """`Flow.not_prunable` for the inputs that a layer reads as they are, such as masks."""
    others = [each for each in incoming if not any(each is one for one in read)]
    reason = "they are a mask or a state of it"
    return tuple(NotPrunable(each.channels, reason, unsupported=True) for each in others)


def single_output(call):
    """Raise ValueError if the call returns more than one tensor."""
    if len(call.outputs) > 1:
        raise ValueError("it returns several tensors; let it return its output only")


def unbuilt(config):
    """The config of a layer inside another layer, without the shapes that it was built with."""
    if isinstance(config, list | tuple):
        return [unbuilt(each) for each in config]
    if not isinstance(config, dict):
        return config
    return {name: unbuilt(value) for name, value in config.items() if name != "build_config"}


def mixed_by_activation(layer, channels):
    """`Flow.not_prunable` for the channels after the layer's activation."""
    if is_elementwise(layer.activation):
        return ()
    reason = "its activation may mix channels; if it does not, add it to rules.ELEMENTWISE"
    return (NotPrunable(channels, reason, unsupported=True),)


def is_elementwise(function):
    """Whether a function, or a layer in place of one, computes each value from that value alone."""
    layers = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
    return type(function) in layers or any(function is each for each in ELEMENTWISE)


def bias(layer, channels):
    """The part of `Flow.weights` for a bias, if there is one."""
    return [{0: channels}] if layer.use_bias else []


def uncut(layer):
    """`Flow.weights` for a layer whose weights are never cut."""
    return tuple({} for _ in layer.weights)


def count(stays, channels):
    """Number of the channels that stay."""
    return int(np.count_nonzero(stays(channels)))


def as_array(weight):
    """The weight as a NumPy array."""
    return keras.ops.convert_to_numpy(weight)
