"""Files that devices run, written from a Keras model."""

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
    """Write the model as a file that a device's runtime reads; returns the bytes it has.

    The file holds the network as `inference.for_inference` returns it: without the layers that only
    training uses, in float32. It is put in place when it is complete. LiteRT's take one image at a
    time, which lets its fast kernels work; the others batches of any size. The input is called
    `images`; several are `input_0`, `input_1` ... in the order of `model.inputs`, and several
    outputs are in the order of `model.outputs`.

    If `images` are given, the file runs on them in its own runtime before it is put in place. A
    float format must answer as Keras does: every probability within 1e-4, other answers within 1e-4
    of the largest of that output, and 99.9 % of the images in the same class if an output is (n,
    classes). int8 differs, and whether by too much only labelled images can tell: its answers must
    have the right shape and be finite. Without images nothing is checked.

    It needs Keras' TensorFlow backend. What the converters print is hidden, unless
    TF_CPP_MIN_LOG_LEVEL is 0.

    Args:
        model: built Keras model, as it comes out of `prune` or `load_model`.
        path: pathlib.Path or str of what is written: a file `.tflite` or `.onnx`, or the folder of
            a SavedModel.
        file_format: a key of `exports.FORMATS`. `"litert-int8"` is full integer post-training
            quantisation: weights and activations are int8.
        images: array (n, height, width, channels) by which the file is checked; a list of arrays if
            the model has several inputs. `"litert-int8"` needs a few hundred training images, by
            which the ranges of the activations are found, too.
        int8_io: whether the `"litert-int8"` file takes and gives int8 instead of float32.

    Raises:
        ValueError: there is no such format, images are missing or do not fit, the model cannot be
            written in this format, the file does not answer as Keras does, or the backend is not
            TensorFlow; the message says why.
        ImportError: a package that writes the format is not installed, or, if images are given,
            the one that runs it.
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
    except Exception as error:  # whatever a converter says of what it does not know
        if os.strerror(errno.ENOSPC) in str(error):  # TensorFlow has an error of its own
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
    """The Format of this name, if it can be written here."""
    if file_format not in FORMATS:
        raise ValueError(f"format {file_format!r} came; give {', '.join(FORMATS)}")
    kind = FORMATS[file_format]
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND is {backend}; export needs KERAS_BACKEND=tensorflow; save the model as "
            ".keras and export it there"
        )
    if kind.quantised and (images is None or not len(images)):
        raise ValueError(f"{kind.name} came without images; give some hundred training images")
    for package in kind.packages:
        checks = package == kind.runtime
        if (images is not None or not checks) and importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            what = "checking the file on images" if checks else kind.name
            raise ImportError(f"{what} needs {name}, which is not installed; pip install {name}")
    return kind


def _write(kind, model, path, images, int8_io):
    """Write the model, and raise ValueError if the file answers the images otherwise."""
    network = _network(model)
    if images is None:
        kind.writer(network, path, None, int8_io)
        return
    images = inputs.arrays(network, images)
    kind.writer(network, path, images, int8_io)
    images = images if len(images) > 1 else images[0]
    found = checking.answers(kind.load(path, threads=1), images)
    expected = checking.answers(lambda batch: _answers(network, batch), images)
    if fault := checking.fault(found, expected, quantised=kind.quantised):
        raise ValueError(f"the file {fault}")


def _network(model):
    """What is written of the model."""
    if isinstance(model, keras.Model) and not graph.is_functional(model):
        if not getattr(model, "inputs", None):
            raise ValueError("it is a subclassed model; give a Functional or Sequential")
        return model  # it may compute otherwise than its layers in turn
    return for_inference(model)


def _answers(network, images):
    return [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(network(images))]


def _first_line(error):
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first
