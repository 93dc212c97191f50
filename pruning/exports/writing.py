"""Export a Keras model to a file that a device runs."""

import errno
import importlib.util
import os
import shutil
from typing import Any

import keras

from pruning import graph
from pruning.exports import FORMATS, checking, inputs
from pruning.exports.inference import for_inference
from pruning.exports.output import quiet


def export(
    model: keras.Model,
    path: str | os.PathLike[str],
    file_format: str,
    *,
    images: Any = None,
    int8_io: bool = False,
) -> int:
    """Write the model to a file for a device's runtime; returns the size in bytes.

    The file contains the network that `inference.for_inference` returns: in float32, without the
    layers that only training uses. The path is replaced only when the new file is complete. A
    LiteRT file takes one image at a time, because its fast kernels need that. The other formats
    take batches of any size. The name of the input is `images`; several inputs are `input_0`,
    `input_1` ... in the order of `model.inputs`. Several outputs are in the order of
    `model.outputs`.

    If `images` are given, the file is first run on them in its own runtime and checked. The answers
    of a float format must equal those of Keras: every probability within 1e-4, other answers within
    1e-4 of the largest answer of that output. If an output is (n, classes), 99.9 % of the images
    must have the same class. The answers of int8 differ more, and only labels can show whether they
    differ too much; they must have the right shape and be finite. Without images nothing is
    checked.

    Keras' TensorFlow backend is required. The output of the converters is hidden, unless
    TF_CPP_MIN_LOG_LEVEL is 0.

    Args:
        model: built Keras model, as `prune` or `keras.models.load_model` returns it.
        path: pathlib.Path or str of the file (`.tflite`, `.onnx`) or folder (SavedModel) to write.
        file_format: a key of `exports.FORMATS`. `"litert-int8"` is full integer post-training
            quantisation: weights and activations are int8.
        images: array (n, height, width, channels) to check the file with; a list of arrays if the
            model has several inputs. `"litert-int8"` needs a few hundred training images, to find
            the ranges of the activations.
        int8_io: whether the inputs and outputs of a `"litert-int8"` file are int8, not float32.

    Raises:
        ValueError: the format does not exist, images are missing or do not fit, the model cannot be
            written in this format, the answers of the file differ from those of Keras, or the
            backend is not TensorFlow.
        ImportError: a package that writes the format is not installed, or, if images are given,
            the package that runs it.
        OSError: the file cannot be written; its `errno` is ENOSPC if the disk is full.
        MemoryError: there is not enough memory.
    """
    kind = _wanted(file_format, images)
    path = os.fspath(path)
    partial = f"{path}.partial{kind.suffix}"  # converters look at the suffix
    try:
        with quiet():
            _write(kind, model, partial, images, int8_io)
        size = bytes_of(partial)
        _remove(path)
        os.replace(partial, path)
    except (ImportError, OSError, MemoryError):
        raise
    except Exception as error:  # a converter may raise anything
        if os.strerror(errno.ENOSPC) in str(error):  # TensorFlow does not raise OSError
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error
        raise ValueError(
            f"{model.name} cannot be written as {file_format}: {_first_line(error)}"
        ) from error
    finally:
        _remove(partial)
    return size


def bytes_of(path):
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sum(map(os.path.getsize, files))


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def _wanted(file_format, images):
    """The Format of this name; an error if it cannot be written in this environment."""
    if file_format not in FORMATS:
        raise ValueError(f"file_format: expected {', '.join(FORMATS)}, got {file_format!r}")
    kind = FORMATS[file_format]
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND: expected tensorflow for export, got {backend}; save the model as "
            ".keras and export it with KERAS_BACKEND=tensorflow"
        )
    if kind.quantised and (images is None or not len(images)):
        raise ValueError(
            f"images: expected a few hundred training images for {kind.name}, got none"
        )
    for package in kind.packages:
        checks = package == kind.runtime
        if (images is not None or not checks) and importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            what = "checking the file on images" if checks else kind.name
            raise ImportError(f"{what} needs {name}, which is not installed; pip install {name}")
    return kind


def _write(kind, model, path, images, int8_io):
    """Write the model, and raise ValueError if the file gives other answers than Keras."""
    network = _network(model)
    if images is None:
        kind.writer(network, path, None, int8_io)
        return
    images = inputs.arrays(network, images)
    kind.writer(network, path, images, int8_io)
    images = images if len(images) > 1 else images[0]
    answers = checking.answers(kind.load(path, threads=1), images)
    expected = checking.answers(lambda batch: _answers(network, batch), images)
    if fault := checking.fault(answers, expected, quantised=kind.quantised):
        raise ValueError(f"the file {fault}")


def _network(model):
    """The network that is written."""
    if isinstance(model, keras.Model) and not graph.is_functional(model):
        if not getattr(model, "inputs", None):
            raise ValueError("expected a Functional or Sequential model, got a subclassed model")
        return model  # its `call` may compute something else than its layers do
    return for_inference(model)


def _answers(network, images):
    return [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(network(images))]


def _first_line(error):
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first
