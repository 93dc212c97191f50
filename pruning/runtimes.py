"""Exported files in the runtimes that devices use: answers, accuracy, latency."""

import os

import numpy as np

from pruning import machine
from pruning.exports import bytes_of, quiet

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
        It takes a list of arrays if the file has several inputs, in the order of `model.inputs`,
        and returns a list if it has several outputs, in the order of `model.outputs`.

    Raises:
        ImportError: the runtime is not installed.
    """
    with quiet():
        run = _LOADERS[file_format](os.fspath(path), threads)

    def answer(images):
        found = run(list(images) if isinstance(images, list | tuple) else [images])
        return found[0] if len(found) == 1 else found

    return answer


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

    Raises:
        ValueError: the file does not turn one array of images into one array of probabilities.
    """
    answer = load(path, file_format, threads=threads)
    if isinstance(images, list | tuple) or not isinstance(answer(images[:1]), np.ndarray):
        raise ValueError(
            f"{path}: it has several inputs or outputs; only a file that turns images into class "
            "probabilities can be measured"
        )
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
    signature = interpreter.get_signature_runner()  # it alone tells which tensor is which
    entering = _in_order(signature.get_input_details(), "input")
    leaving = _in_order(signature.get_output_details(), "output")

    def answer_one(*images):
        for image, tensor in zip(images, entering, strict=True):
            interpreter.set_tensor(tensor["index"], _quantised(image[np.newaxis], tensor))
        interpreter.invoke()
        return [_real(interpreter.get_tensor(tensor["index"]), tensor) for tensor in leaving]

    def answer(parts):
        found = [answer_one(*images) for images in zip(*parts, strict=True)]
        return [np.concatenate(of_one_output) for of_one_output in zip(*found, strict=True)]

    return answer


def _in_order(tensors, name):
    several = len(tensors) > 1
    return [tensors[f"{name}_{n}"] for n in range(len(tensors))] if several else [*tensors.values()]


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
    names = [entering.name for entering in session.get_inputs()]
    return lambda parts: session.run(None, dict(zip(names, parts, strict=True)))


def _saved_model(path, threads):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # holds the variables

    def answer(parts):
        given = [tf.constant(part) for part in parts]
        found = loaded.serve(given if len(given) > 1 else given[0])
        return [output.numpy() for output in (found if isinstance(found, list) else [found])]

    return answer


_LOADERS = {
    "litert": _litert,
    "litert-int8": _litert,
    "onnx": _onnx,
    "saved-model": _saved_model,
}
