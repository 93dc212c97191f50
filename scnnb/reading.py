"""Networks of the user: read from a file, and checked."""

import keras

from scnnb import endings


def read_network(path, images, num_classes):
    """The network in a file, as a Functional model, not compiled.

    Args:
        path: pathlib.Path of the `.keras` or `.h5` file.
        images: float32 (n, height, width, channels), some images of the dataset.
        num_classes: number of classes.

    Raises:
        ValueError: the file cannot be loaded, or the network is refused by `checked`.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # a file with any content can raise any error
        hint = "; if it has layers of your own, give the file that defines them with --custom"
        if path.suffix == ".h5":
            hint = "; load it in the program that wrote it, and save it there as a .keras file"
        raise ValueError(f"{path}: Keras cannot load it: {error}{hint}") from error
    return checked(model, path, images, num_classes)


def checked(model, path, images, num_classes):
    """The network as a Functional model with tensors as input and output, not compiled.

    Args:
        model: what the user's file or function gave.
        path: path of the file or name of the function, for messages.
        images: as `read_network` takes them.
        num_classes: number of classes.

    Raises:
        ValueError: it is no network, or for such images it does not end in what `endings.ACCEPTED`
            lists.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"{path}: expected a Keras model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(f"{path}: expected a built model; call it on images before you save it")
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"{path}: expected a Functional or Sequential model with 1 input and 1 output, got "
            f"{len(inputs)} and {len(outputs)}"
        )
    # with tensors as input and output, not lists or dicts; a loaded Sequential has no .input
    model = keras.Model(inputs[0], outputs[0], name=model.name)
    shape = model.input_shape
    if len(shape) != images.ndim or any(
        size not in (None, actual) for size, actual in zip(shape[1:], images.shape[1:], strict=True)
    ):
        raise ValueError(
            f"{path}: expected a network for images {images.shape[1:]}, got one for {shape[1:]}"
        )
    if model.output_shape[1:] not in [(num_classes,), *([(1,)] if num_classes == 2 else [])]:
        raise ValueError(
            f"{path}: expected a network of {num_classes} classes, as the dataset has, got the "
            f"output {model.output_shape[1:]}"
        )
    try:
        outputs = keras.ops.convert_to_numpy(model(images, training=False))
    except Exception as error:  # for example, pooling makes images of this size empty
        raise ValueError(
            f"{path}: the network fails on images {images.shape[1:]}: {error}"
        ) from error
    try:
        endings.check(model, outputs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model
