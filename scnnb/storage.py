"""Trained networks on disk, each a `.keras` file with a record of what was measured beside it."""

import json
import os

import keras


def save(path, model, record):
    """Store the model and its record, so that a killed run leaves both or none that counts.

    Each file is written under another name and moved into place, the record last.

    Args:
        path: pathlib.Path without suffix; only one run at a time may write it.
        model: Functional Keras model, stored without its optimizer, which would triple the file.
        record: dict of plain values.
    """
    _record_path(path).unlink(missing_ok=True)
    partial = _with_suffix(path, ".partial.keras")
    keras.Model(model.input, model.output, name=model.name).save(partial)
    os.replace(partial, model_path(path))
    save_record(path, record)


def save_record(path, record):
    """Store a record alone, whole or not at all.

    Args:
        path: pathlib.Path without suffix; only one run at a time may write it.
        record: dict of plain values.
    """
    partial = _with_suffix(path, ".partial.json")
    partial.write_text(json.dumps(record, indent=1))
    os.replace(partial, _record_path(path))


def read_record(path, names):
    """The record stored under the path, or None if there is none.

    Args:
        path: pathlib.Path without suffix.
        names: what it must hold.

    Raises:
        ValueError: it is damaged; the message names the file.
    """
    if not _record_path(path).exists():
        return None
    try:
        record = json.loads(_record_path(path).read_text())
        if not isinstance(record, dict):
            raise ValueError(f"it holds a {type(record).__name__}")
        if missing := [name for name in names if name not in record]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return record
    except ValueError as error:
        raise _damaged(_record_path(path)) from error


def read_model(path):
    """The model stored under the path, not compiled.

    Raises:
        ValueError: it is damaged; the message names the file.
    """
    try:
        return keras.models.load_model(model_path(path), compile=False)
    except Exception as error:  # a changed byte may make Keras raise nearly anything
        raise _damaged(model_path(path)) from error


def read_network(path, images, num_classes):
    """A network that somebody else stored, not compiled.

    Args:
        path: pathlib.Path of its `.keras` file.
        images: float32 (n, height, width, channels), some images it will get.
        num_classes: number of classes.

    Raises:
        ValueError: it cannot be loaded, or does not turn such images into class probabilities.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever is in a file of somebody else
        raise ValueError(f"{path}: Keras cannot load it: {error}") from error
    if not model.built:
        raise ValueError(f"{path}: it is not built; store it after a call on images")
    shape = getattr(model, "input_shape", None)
    if (
        not isinstance(shape, tuple)
        or len(shape) != images.ndim
        or any(
            size not in (None, given)
            for size, given in zip(shape[1:], images.shape[1:], strict=True)
        )
    ):
        raise ValueError(f"{path}: it takes images {shape}; the dataset's are {images.shape[1:]}")
    if not isinstance(model.output_shape, tuple) or model.output_shape[1:] != (num_classes,):
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


def model_path(path):
    """The `.keras` file of what is stored under the path."""
    return _with_suffix(path, ".keras")


def _record_path(path):
    return _with_suffix(path, ".json")


def _with_suffix(path, suffix):
    return path.with_name(path.name + suffix)  # the name may hold a point: pruned0.4


def _damaged(path):
    return ValueError(f"{path} is damaged and not used; delete it or pass --fresh")
