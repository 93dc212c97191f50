"""Trained networks on disk, each a `.keras` file with a record of what was measured beside it."""

import json
import os
import re
import sys

import keras


def save_model(path, model):
    """Store the model; returns the bytes of its file.

    The record of what was there before is deleted first, that of the new model is to be stored
    last: a killed run leaves both or none that counts.

    Args:
        path: pathlib.Path without suffix; only one run at a time may write it.
        model: Functional Keras model, stored without its optimizer, which would triple the file.
    """
    _record_path(path).unlink(missing_ok=True)
    partial = _with_suffix(path, ".partial.keras")
    try:
        keras.Model(model.input, model.output, name=model.name).save(partial)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, model_path(path))
    finally:
        partial.unlink(missing_ok=True)
    return model_path(path).stat().st_size


def save_record(path, record):
    """Store a record, whole or not at all.

    Args:
        path: pathlib.Path without suffix; only one run at a time may write it.
        record: dict of plain values.
    """
    replace(_record_path(path), lambda file: file.write(json.dumps(record, indent=1).encode()))


def replace(path, write):
    """Put a file in place that is whole, whenever the run is killed or the disk is full.

    Args:
        path: pathlib.Path of the file; only one run at a time may write it.
        write: function of a binary file that is open for writing.
    """
    partial = _with_suffix(path, ".partial")
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the name without the content
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def files(path):
    """What is stored under the path, `{file name: bytes}`: the model and its record.

    Args:
        path: pathlib.Path without suffix.
    """
    found = (model_path(path), _record_path(path))
    return {file.name: file.read_bytes() for file in found if file.exists()}


def tree(folder):
    """All files in a folder and those below it, `{relative path: bytes}`.

    Args:
        folder: pathlib.Path; it need not exist.
    """
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def place(folder, files):
    """Put files into a folder, records last and never beside another model than their own.

    Args:
        folder: pathlib.Path, made where it is not there.
        files: `{relative path: bytes}`.
    """
    records = {name for name in files if name.endswith(".json")}
    for name in records:
        if f"{name.removesuffix('.json')}.keras" in files:
            (folder / name).unlink(missing_ok=True)
    for name in [*sorted(files.keys() - records), *sorted(records)]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        replace(folder / name, lambda file, content=files[name]: file.write(content))


def set_aside(path, reason):
    """Rename a file that cannot be trusted, and say so.

    Args:
        path: pathlib.Path of the file.
        reason: what is wrong with it, its name included.
    """
    number = 1
    while (aside := _with_suffix(path, f".damaged{number}")).exists():
        number += 1
    os.replace(path, aside)
    print(f"{reason}; set aside as {aside.name}")


def read_record(path, kinds, optional=None, unmeasured=()):
    """The record stored under the path, or None if there is none; a damaged one is set aside.

    Args:
        path: pathlib.Path without suffix; only one run at a time may read or write it.
        kinds: `{name: kind}`, what it must hold. A kind is `str`, `int` or `float`, numbers being
            finite and at least 0, accuracies at most 1; or a function that tells whether a value
            is right.
        optional: `{name: kind}`, what it may hold beside.
        unmeasured: those names of which the value may also be no number.
    """
    try:
        return peek(path, kinds, optional, unmeasured)
    except ValueError as error:
        set_aside(_record_path(path), error)
        return None


def peek(path, kinds, optional=None, unmeasured=()):
    """The record stored under the path, or None if there is none; nothing is changed.

    Arguments as for `read_record`.

    Raises:
        ValueError: it is damaged; the message names the file.
    """
    file, known = _record_path(path), (optional or {}) | kinds
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for ever
            raise ValueError("it is no file")
        record = json.loads(file.read_text())
        if not isinstance(record, dict):
            raise ValueError(f"it holds a {type(record).__name__}")
        if missing := [name for name in kinds if name not in record]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        for name, value in record.items():
            missing = name in unmeasured and (value is None or value != value)
            if name not in known or not (missing or _is_right(name, value, known[name])):
                raise ValueError(f"it holds {name} {value!r}")
        return record
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_record_path(path)} is damaged") from error


def read_model(path):
    """The model stored under the path, not compiled, or None; a damaged one is set aside.

    Args:
        path: pathlib.Path without suffix; only one run at a time may read or write it.
    """
    file = model_path(path)
    try:
        if file.exists() and not file.is_file():  # reading a pipe would wait for ever
            raise ValueError("it is no file")
        return keras.models.load_model(file, compile=False)
    except Exception:  # a changed byte may make Keras raise nearly anything
        if file.exists():
            set_aside(file, f"{file} is damaged")
        return None


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


def model_path(path):
    """The `.keras` file of what is stored under the path."""
    return _with_suffix(path, ".keras")


def _is_right(name, value, kind):
    if kind is str:
        return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)
    if kind not in (int, float):
        return kind(value)
    most = 1 if name.endswith("accuracy") else 2**63 - 1 if kind is int else sys.float_info.max
    return type(value) in (int, kind) and 0 <= value <= most


def _record_path(path):
    return _with_suffix(path, ".json")


def _with_suffix(path, suffix):
    return path.with_name(path.name + suffix)  # the name may hold a point: pruned0.4
