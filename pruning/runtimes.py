"""Exported files in the runtimes that devices use: answers, accuracy, latency."""

import os

import numpy as np

from pruning import machine
from pruning.exports import bytes_of

BATCH = 250  # images at once for the accuracy, where the file takes more than one
TOLERANCE = 1e-4  # of a probability, for float32
AGREEMENT = 0.999  # part of the images whose most probable class must be Keras'
PACKAGES = {  # what writes and runs the format: names to import
    "litert": ["ai_edge_litert"],
    "litert-int8": ["ai_edge_litert"],
    "onnx": ["onnx", "tf2onnx", "onnxruntime"],
    "saved-model": [],
}


def load(path, file_format, *, threads):
    """A function of a batch of images that answers as the file does in its own runtime.

    Args:
        path: of a file or folder that `exports.export` wrote.
        file_format: a key of `exports.FORMATS`.
        threads: number of threads that compute; a SavedModel takes TensorFlow's own number.

    Returns:
        Function of float32 array (n, height, width, channels) that returns float32 (n, classes).

    Raises:
        ImportError: the runtime is not installed.
    """
    return _LOADERS[file_format](os.fspath(path), threads)


def measure(path, file_format, images, labels, expected, *, threads):
    """Size, accuracy and latency of the file in its own runtime, and what is wrong with it.

    Args:
        path: of a file or folder that `exports.export` wrote.
        file_format: a key of `exports.FORMATS`.
        images: float32 array (n, height, width, channels), or what gives such when it is sliced.
        labels: integer array (n,).
        expected: float array (n, classes), what Keras answers.
        threads: as `load` takes it.

    Returns:
        `({"bytes": of the file, "accuracy": 0..1, "latency_ms": median for one image}, what is
        wrong in words, empty if nothing is)`. Of float formats, that is answers that differ from
        Keras' by more than `TOLERANCE`, or predictions that agree for less than `AGREEMENT`.
    """
    answer = load(path, file_format, threads=threads)
    found = answers(answer, images)
    (seconds,) = machine.seconds_per_call([answer], np.asarray(images[:1]))
    classes = found.argmax(axis=-1)
    measured = {
        "bytes": bytes_of(path),
        "accuracy": float(np.mean(classes == labels)),
        "latency_ms": round(seconds * 1000, 3),
    }
    if file_format == "litert-int8":
        return measured, ""
    difference = np.abs(found - expected).max()
    same = np.mean(classes == expected.argmax(axis=-1))
    if difference <= TOLERANCE and same >= AGREEMENT:  # false for what is no number, too
        return measured, ""
    return measured, (
        f"differs from Keras by up to {difference:.1e}, and answers {1 - same:.2%} of the images "
        "otherwise"
    )


def answers(answer, images):
    """What the function answers to all images, asked in batches: float array (n, classes).

    Args:
        answer: function of a batch of images, such as `load` or `machine.inference` returns.
        images: as `measure` takes them.
    """
    starts = range(0, len(images), BATCH)
    return np.concatenate([answer(images[start : start + BATCH]) for start in starts])


def _litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    (entering,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(images):
        found = []
        for image in images:
            interpreter.set_tensor(entering["index"], _quantised(image[np.newaxis], entering))
            interpreter.invoke()
            found.append(_real(interpreter.get_tensor(leaving["index"]), leaving))
        return np.concatenate(found)

    return answer


def _quantised(values, tensor):
    if tensor["dtype"] != np.int8:
        return values.astype(tensor["dtype"])
    scale, zero = tensor["quantization"]
    return np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)


def _real(values, tensor):
    if tensor["dtype"] != np.int8:
        return values
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


def _onnx(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entering,) = session.get_inputs()
    return lambda images: session.run(None, {entering.name: images})[0]


def _saved_model(path, threads):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # holds the variables
    return lambda images: loaded.serve(tf.constant(images)).numpy()


_LOADERS = {
    "litert": _litert,
    "litert-int8": _litert,
    "onnx": _onnx,
    "saved-model": _saved_model,
}
