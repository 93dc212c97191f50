"""Parameters and multiply-accumulates (MACs) of a network."""

from collections.abc import Sequence
from typing import Any

import keras

from pruning import counts, graph


def parameters(model: keras.Model) -> int:
    """Number of weights of the network, including those of BatchNormalization.

    Args:
        model: built Keras model.
    """
    return model.count_params()


def macs(model: keras.Model, input_shape: Sequence[Any] | None = None) -> int:
    """Multiply-accumulates for one image, counted as FLOP are in Li et al. 2017.

    Convolutions, Dense, recurrent and attention layers are counted, and products of tensors such as
    Dot and `keras.ops.matmul`; biases, normalisations and all else are not. A multiplication and
    its addition count as one. A layer that is called twice counts twice, and a layer that is
    called at each step counts at each step.

    Args:
        model: built Functional or Sequential Keras model, channels last.
        input_shape: `(height, width, channels)` of an image; needed only if the network takes
            images of any size, such as `Input((None, None, 3))`. A list of such shapes, in the
            order of `model.inputs`, if it has several inputs.

    Returns:
        Integer.

    Raises:
        ValueError: the MACs of a layer cannot be counted, and the message names it; the size of
            the images, or the length of a sequence, is not fixed; or `input_shape` does not fit.
        TypeError: the model is a subclassed model, whose layers cannot be listed.
    """
    return sum(map(counts.macs, calls(model, input_shape)))


def calls(model: keras.Model, input_shape: Sequence[Any] | None = None) -> list[graph.Call]:
    """The calls of a network on images of this shape; arguments and errors as those of `macs`."""
    model = graph.functional(model)
    if input_shape is None:
        return graph.trace(model).calls
    shapes = _shapes(model, input_shape)
    try:
        return graph.trace(model, shapes).calls
    except ValueError as error:
        # Keras prints the reason in bold, between the layer and its arguments
        reason = str(error).partition("\x1b[1m")[2].partition("\x1b[0m")[0] or error
        raise ValueError(
            f"input_shape: expected a shape that {model.name} takes, got {input_shape}: {reason}"
        ) from error


def _shapes(model, given):
    """The shapes of all inputs, with the batch size first."""
    several = len(given) > 0 and all(isinstance(each, Sequence) for each in given)
    given = [*given] if several else [given]
    open_shapes = [symbol.shape for symbol in model.inputs]
    fits = len(given) == len(open_shapes) and all(map(_fits, given, open_shapes))
    if not fits:
        wanted = ", ".join(str(shape[1:]) for shape in open_shapes)
        raise ValueError(
            f"input_shape: expected {wanted} with whole numbers from 1 in place of None, got "
            f"{', '.join(map(str, given))}"
        )
    return [(shape[0], *sizes) for sizes, shape in zip(given, open_shapes, strict=True)]


def _fits(sizes, shape):
    """Whether the sizes are whole numbers above 0 and equal the fixed sizes of the shape."""
    return len(sizes) == len(shape) - 1 and all(
        isinstance(size, int) and size > 0 and wanted in (None, size)
        for size, wanted in zip(sizes, shape[1:], strict=True)
    )
