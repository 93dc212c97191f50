"""Networks that somebody else stored."""

import keras


def read_network(path, images, num_classes):
    """A network that somebody else stored, as a Functional model, not compiled.

    Args:
        path: pathlib.Path of its `.keras` or `.h5` file.
        images: float32 (n, height, width, channels), some images it will get.
        num_classes: number of classes.

    Raises:
        ValueError: it cannot be loaded, or does not turn such images into class probabilities.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever is in a file of somebody else
        hint = ""
        if path.suffix == ".h5":
            hint = "; load it in the program that made it, and store it there as a .keras file"
        raise ValueError(f"{path}: Keras cannot load it: {error}{hint}") from error
    if not model.built:
        raise ValueError(f"{path}: it is not built; store it after a call on images")
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"{path}: it has {len(inputs)} inputs and {len(outputs)} outputs; give a Functional or "
            "Sequential model with one of each"
        )
    # plain tensors in and out, whatever the model is built of; a loaded Sequential has no .input
    model = keras.Model(inputs[0], outputs[0], name=model.name)
    shape = model.input_shape
    if len(shape) != images.ndim or any(
        size not in (None, given) for size, given in zip(shape[1:], images.shape[1:], strict=True)
    ):
        raise ValueError(f"{path}: it takes images {shape}; the dataset's are {images.shape[1:]}")
    if model.output_shape[1:] != (num_classes,):
        raise ValueError(
            f"{path}: its output is {model.output_shape}; the dataset has {num_classes} classes"
        )
    try:
        probabilities = keras.ops.convert_to_numpy(model(images, training=False))
    except Exception as error:  # layers that leave nothing of images of this size, for example
        raise ValueError(f"{path}: it fails on images {images.shape[1:]}: {error}") from error
    if not (probabilities.min() >= 0 and abs(probabilities.sum(axis=-1) - 1).max() < 0.01):
        raise ValueError(f"{path}: its outputs are no probabilities; end it with softmax")
    return model
