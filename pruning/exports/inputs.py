"""What a network and its exported file take: arrays, and the names and shapes of inputs."""

import numpy as np


def arrays(model, images):
    """The images as a list of arrays, one for each of `model.inputs`, of their types.

    Args:
        model: Functional model.
        images: array (n, ...), or a list of them if the model has several inputs.

    Raises:
        ValueError: they are not as many arrays as the model has inputs, or of other sizes, or not
            of as many examples each, at least one.
    """
    parts = [np.asarray(p) for p in (images if isinstance(images, list | tuple) else [images])]
    if len(parts) != len(model.inputs) or len(set(map(len, parts))) != 1 or not len(parts[0]):
        sizes = ", ".join(str(len(part)) for part in parts)
        raise ValueError(
            f"images are {len(parts)} arrays of {sizes} examples; give {len(model.inputs)}, one "
            "for each input, with as many examples each"
        )
    for part, symbol in zip(parts, model.inputs, strict=True):
        if not _fits(part.shape[1:], symbol.shape[1:]):
            raise ValueError(
                f"images are of shape {part.shape}; give such as the network takes, {symbol.shape}"
            )
    return [
        part.astype(symbol.dtype, copy=False)
        for part, symbol in zip(parts, model.inputs, strict=True)
    ]


def names(model):
    """`images`, or of several inputs `input_0`, `input_1` ... in the order of `model.inputs`."""
    several = len(model.inputs) > 1
    return [f"input_{number}" for number in range(len(model.inputs))] if several else ["images"]


def signature(model, batch):
    """The inputs as `model.export` takes them; Keras asks for it of a network that was only loaded.

    Args:
        model: Functional model.
        batch: number of images that the file takes at once, or None for any.
    """
    import keras  # here: the command line needs the formats before Keras, which takes seconds

    specs = [
        keras.InputSpec(dtype=symbol.dtype, shape=(batch, *symbol.shape[1:]), name=name)
        for name, symbol in zip(names(model), model.inputs, strict=True)
    ]
    return specs if len(specs) == 1 else [specs]


def _fits(sizes, wanted):
    return len(sizes) == len(wanted) and all(
        size in (given, None) for given, size in zip(sizes, wanted, strict=True)
    )
