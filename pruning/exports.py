"""Files that devices run, written from a Keras model."""

import contextlib
import errno
import os
import re
import shutil
import sys
import warnings

import keras

from pruning import graph
from pruning.inference import for_inference

FORMATS = {  # name: suffix of the file or folder
    "litert": ".tflite",
    "litert-int8": "_int8.tflite",
    "onnx": ".onnx",
    "saved-model": "_saved_model",
}


def export(model, path, file_format, *, images=None, int8_io=False):
    """Write the model as a file that a device's runtime reads; returns the bytes it has.

    The file holds the network as `inference.for_inference` returns it: without the layers that only
    training uses, in float32. It is put in place when it is complete. LiteRT's take one image at a
    time, which lets its fast kernels work; the others batches of any size. The input is called
    `images`; several are `input_0`, `input_1` ... in the order of `model.inputs`, and several
    outputs are in the order of `model.outputs`.

    What the converters print is hidden, unless TF_CPP_MIN_LOG_LEVEL is 0.

    Args:
        model: built Keras model, as it comes out of `prune` or `load_model`.
        path: pathlib.Path or str of what is written: a file `.tflite` or `.onnx`, or the folder of
            a SavedModel.
        file_format: a key of `FORMATS`. `"litert-int8"` is full integer post-training quantisation:
            weights and activations are int8.
        images: for `"litert-int8"`, float array (n, height, width, channels) of a few hundred
            training images, by which the ranges of the activations are found; a list of arrays if
            the model has several inputs.
        int8_io: whether the `"litert-int8"` file takes and gives int8 instead of float32.

    Raises:
        ValueError: there is no such format, images are missing, or the model cannot be written in
            this format; the message says why.
        ImportError: a package that writes the format is not installed.
        OSError: the file cannot be written; its `errno` is ENOSPC if the disk is full.
        MemoryError: there is not enough memory.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format {file_format!r} came; give {', '.join(FORMATS)}")
    if file_format == "litert-int8" and (images is None or not len(images)):
        raise ValueError("litert-int8 came without images; give some hundred training images")
    path = os.fspath(path)
    partial = f"{path}.partial" + (".tflite" if "litert" in file_format else "")
    try:
        with quiet():
            _WRITERS[file_format](_network(model), partial, images, int8_io)
        size = bytes_of(partial)
        _remove(path)
        os.replace(partial, path)
    except (ImportError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a converter says of what it does not know
        if os.strerror(errno.ENOSPC) in str(error):  # TensorFlow has an error of its own
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error
        raise ValueError(
            f"{model.name} cannot be written as {file_format}: {_in_words(error)}"
        ) from error
    finally:
        _remove(partial)
    return size


def path_of(path, file_format):
    """The file or folder of a network that is stored under the path.

    Args:
        path: pathlib.Path without suffix.
        file_format: a key of `FORMATS`.
    """
    return path.with_name(path.name + FORMATS[file_format])  # the name may hold a point


def bytes_of(path):
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sum(map(os.path.getsize, files))


@contextlib.contextmanager
def quiet():
    """Hide what converters and runtimes print, also what C++ code writes to file descriptor 2.

    Unless TF_CPP_MIN_LOG_LEVEL is 0. It holds for all threads.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        if sys.stderr:
            sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def _network(model):
    """What is written of the model."""
    if isinstance(model, keras.Model) and not graph.is_functional(model):
        if not getattr(model, "inputs", None):
            raise ValueError("it is a subclassed model; give a Functional or Sequential")
        return model  # it may compute otherwise than its layers in turn
    return for_inference(model)


def _in_words(error):
    """The first line, or the operations that LiteRT does not know."""
    if unknown := re.findall(r"'tf\.(\w+)' op is neither", str(error)):
        return f"LiteRT has no operation {', '.join(dict.fromkeys(unknown))}"
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first


def _signature(model, batch):
    """What the file takes, said since Keras asks for it of a network that was only loaded."""
    specs = [
        keras.InputSpec(dtype=symbol.dtype, shape=(batch, *symbol.shape[1:]), name=name)
        for name, symbol in zip(_input_names(model), model.inputs, strict=True)
    ]
    return specs if len(specs) == 1 else [specs]


def _input_names(model):
    several = len(model.inputs) > 1
    return [f"input_{number}" for number in range(len(model.inputs))] if several else ["images"]


def _litert(model, path, images, int8_io, **options):
    if keras.backend.backend() == "tensorflow" and not options:
        import tensorflow as tf

        # Keras would also allow operations of TensorFlow, which LiteRT alone cannot run
        options["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    # of one image: with an open number of images its kernels for processors would not be used
    how = {"verbose": False, "input_signature": _signature(model, 1)}
    model.export(path, format="litert", **how, **options)


def _litert_int8(model, path, images, int8_io):
    import tensorflow as tf

    parts = images if isinstance(images, list | tuple) else [images]
    if len(parts) != len(model.inputs) or len(set(map(len, parts))) != 1:
        sizes = ", ".join(str(len(part)) for part in parts)
        raise ValueError(
            f"images are {len(parts)} arrays of {sizes} examples; give {len(model.inputs)}, one "
            "for each input, with as many examples each"
        )
    inputs = list(zip(_input_names(model), model.inputs, parts, strict=True))

    def examples():
        for n in range(len(parts[0])):
            yield {name: part[n : n + 1].astype(symbol.dtype) for name, symbol, part in inputs}

    kind = tf.int8 if int8_io else tf.float32
    with warnings.catch_warnings():
        # of TensorFlow 2.20, which finds these statistics by the images
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        # of TensorFlow 2.21, of its own interpreter, by which it finds the names of the inputs
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is", UserWarning)
        _litert(
            model,
            path,
            images,
            int8_io,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=examples,
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            inference_input_type=kind,
            inference_output_type=kind,
        )


def _onnx(model, path, images, int8_io):
    import onnx

    with warnings.catch_warnings():
        # of Keras 3.15, which asks NumPy 2 for a name that it has no more
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(path, format="onnx", verbose=False, input_signature=_signature(model, None))
    onnx.checker.check_model(path)  # tf2onnx also writes operations that ONNX does not have


def _saved_model(model, path, images, int8_io):
    how = {"verbose": False, "input_signature": _signature(model, None)}
    model.export(path, format="tf_saved_model", **how)


_WRITERS = {
    "litert": _litert,
    "litert-int8": _litert_int8,
    "onnx": _onnx,
    "saved-model": _saved_model,
}
