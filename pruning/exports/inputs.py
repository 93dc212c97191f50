"""What an exported file takes: the names and shapes of its inputs."""


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
