"""Files that devices run, written from a Keras model."""

import os
import shutil
import warnings

import keras
import numpy as np

FORMATS = {  # name: suffix of the file or folder
    "litert": ".tflite",
    "litert-int8": "_int8.tflite",
    "onnx": ".onnx",
    "saved-model": "_saved_model",
}


def export(model, path, file_format, *, images=None, int8_io=False):
    """Write the model as a file that a device's runtime reads; returns the bytes it has.

    The file or folder is put in place when it is whole. LiteRT's take one image at a time, which
    lets its fast kernels work; the others batches of any size.

    Args:
        model: built Keras model of one input, as it comes out of `prune` or `load_model`.
        path: pathlib.Path or str of what is written: a file `.tflite` or `.onnx`, or the folder of
            a SavedModel.
        file_format: a key of `FORMATS`. `"litert-int8"` is full integer post-training quantisation:
            weights and activations are int8.
        images: for `"litert-int8"`, float array (n, height, width, channels) of a few hundred
            training images, by which the ranges of the activations are found.
        int8_io: whether the `"litert-int8"` file takes and gives int8 instead of float32.

    Raises:
        ValueError: there is no such format, images are missing, or the model cannot be written in
            this format; the message says why.
        ImportError: a package that writes the format is not installed.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format {file_format!r} came; give {', '.join(FORMATS)}")
    if file_format == "litert-int8" and (images is None or not len(images)):
        raise ValueError("litert-int8 came without images; give some hundred training images")
    path = os.fspath(path)
    partial = f"{path}.partial" + (".tflite" if "litert" in file_format else "")
    try:
        _WRITERS[file_format](model, partial, images, int8_io)
        size = bytes_of(partial)
        _remove(path)
        os.replace(partial, path)
    except (ImportError, OSError):
        raise
    except Exception as error:  # whatever a converter says of what it does not know
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{model.name} cannot be written as {file_format}: {first}") from error
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


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.exists(path):
        os.unlink(path)


def _signature(model, batch):
    """What the file takes, said since Keras asks for it of a network that was only loaded."""
    (images,) = model.inputs
    return [keras.InputSpec(dtype=images.dtype, shape=(batch, *images.shape[1:]), name="images")]


def _litert(model, path, images, int8_io, **options):
    # of one image: with an open number of images its kernels for processors would not be used
    how = {"verbose": False, "input_signature": _signature(model, 1)}
    model.export(path, format="litert", **how, **options)


def _litert_int8(model, path, images, int8_io):
    import tensorflow as tf  # no other format needs more of it than Keras itself does

    kind = tf.int8 if int8_io else tf.float32
    with warnings.catch_warnings():
        # of TensorFlow 2.20, which finds these statistics by the images
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        _litert(
            model,
            path,
            images,
            int8_io,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([np.float32(image[np.newaxis])] for image in images),
            target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
            inference_input_type=kind,
            inference_output_type=kind,
        )


def _onnx(model, path, images, int8_io):
    with warnings.catch_warnings():
        # of Keras 3.15, which asks NumPy 2 for a name that it has no more
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(path, format="onnx", verbose=False, input_signature=_signature(model, None))


def _saved_model(model, path, images, int8_io):
    how = {"verbose": False, "input_signature": _signature(model, None)}
    model.export(path, format="tf_saved_model", **how)


_WRITERS = {
    "litert": _litert,
    "litert-int8": _litert_int8,
    "onnx": _onnx,
    "saved-model": _saved_model,
}
