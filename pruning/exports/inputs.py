"""The inputs of a network and its exported file: arrays, names and shapes."""

import numpy as np


def arrays(model, images):
    """The images as a list of arrays, one for each of `model.inputs`, with the dtype of the input.

    Args:
        model: Functional model.
        images: array (n, ...), or a list of them if the model has several inputs.

    Raises:
        ValueError: the number of arrays or their shapes do not fit the model, or the arrays do not
            have the same number of images, at least one.
    """
    parts = [np.asarray(p) for p in (images if isinstance(images, list | tuple) else [images])]
    if len(parts) != len(model.inputs) or len(set(map(len, parts))) != 1 or not len(parts[0]):
        sizes = ", ".join(str(len(part)) for part in parts)
        raise ValueError(
            f"images: expected an array for each of {len(model.inputs)} inputs, all with the same "
            f"number of images, got {len(parts)} arrays of {sizes} images"
        )
    for part, symbol in zip(parts, model.inputs, strict=True):
        if not _fits(part.shape[1:], symbol.shape[1:]):
            raise ValueError(
                f"images: expected shape {symbol.shape}, as the network takes, got {part.shape}"
            )
    return [
        part.astype(symbol.dtype, copy=False)
        for part, symbol in zip(parts, model.inputs, strict=True)
    ]


def names(model):
    """The name `images`; `input_0`, `input_1` ... for several of `model.inputs`, in their order."""
    several = len(model.inputs) > 1
    return [f"input_{number}" for number in range(len(model.inputs))] if several else ["images"]


def signature(model, batch):
    """The input signature for `model.export`; Keras needs it for a network that was only loaded.

    Args:
        model: Functional model.
        batch: number of images in each batch that the file takes, or None for any number.
    """
    import keras  # here: the command line reads the formats and must not wait seconds for Keras

    specs = [
        keras.InputSpec(dtype=symbol.dtype, shape=(batch, *symbol.shape[1:]), name=name)
        for name, symbol in zip(names(model), model.inputs, strict=True)
    ]
    return specs if len(specs) == 1 else [specs]


def _fits(sizes, wanted):
    return len(sizes) == len(wanted) and all(
        size in (given, None) for given, size in zip(sizes, wanted, strict=True)
    )
