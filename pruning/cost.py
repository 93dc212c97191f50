"""What a network costs: parameters, multiply-accumulates (MACs)."""

from collections.abc import Sequence
from typing import Any

import keras

from pruning import counts, graph


def parameters(model: keras.Model) -> int:
    """Number of weights of the network, those of BatchNormalization included.

    Args:
        model: built Keras model.
    """
    return model.count_params()


def macs(model: keras.Model, input_shape: Sequence[Any] | None = None) -> int:
    """Multiply-accumulates for one image, as Li et al. 2017 count FLOP.

    Convolutions, Dense, recurrent and attention layers, each multiply-add once; biases,
    normalisations and everything else are not counted. A layer that is used twice counts twice.

    Args:
        model: built Functional or Sequential Keras model, channels last.
        input_shape: `(height, width, channels)` of an image, if the network takes images of any
            size, such as `Input((None, None, 3))`; a list of such, in the order of `model.inputs`,
            if it has several inputs.

    Returns:
        Integer.

    Raises:
        ValueError: a layer with weights cannot be counted, which the message names; the size of
            the images, or the length of a sequence, is not fixed; or `input_shape` does not fit.
        TypeError: the model is not built from layers that can be listed.
    """
    return sum(map(counts.macs, calls(model, input_shape)))


def calls(model: keras.Model, input_shape: Sequence[Any] | None = None) -> list[graph.Call]:
    """The calls of a network on images of this shape; arguments and errors as those of `macs`."""
    model = graph.functional(model)
    if input_shape is None:
        return graph.trace(model).calls
    try:
        return graph.trace(model, _shapes(model, input_shape)).calls
    except ValueError as error:
        # Keras' own words are in bold print, between where it was and what came
        reason = str(error).partition("\x1b[1m")[2].partition("\x1b[0m")[0] or error
        raise ValueError(
            f"{model.name}: input_shape {input_shape} does not fit: {reason}"
        ) from error


def _shapes(model, given):
    """The shapes of all inputs, with their batch."""
    several = len(given) > 0 and all(isinstance(each, Sequence) for each in given)
    given = [*given] if several else [given]
    open_shapes = [symbol.shape for symbol in model.inputs]
    fits = len(given) == len(open_shapes) and all(map(_fits, given, open_shapes))
    if not fits:
        wanted = ", ".join(str(shape[1:]) for shape in open_shapes)
        raise ValueError(f"the network takes {wanted}; give whole numbers from 1 in place of None")
    return [(shape[0], *sizes) for sizes, shape in zip(given, open_shapes, strict=True)]


def _fits(sizes, shape):
    """Whether the sizes are whole numbers above 0 and those of a shape with batch, if fixed."""
    return len(sizes) == len(shape) - 1 and all(
        isinstance(size, int) and size > 0 and wanted in (None, size)
        for size, wanted in zip(sizes, shape[1:], strict=True)
    )
