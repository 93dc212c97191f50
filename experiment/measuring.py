"""Measure exported files in the runtimes that devices use: size, accuracy and latency."""

import numpy as np

from pruning import timing
from pruning.exports import checking
from pruning.exports.format import Format
from pruning.exports.writing import bytes_of

BATCH = 250  # images per call, if the file accepts more than one


def measure(path, file_format: Format, images, labels, expected, *, classes, threads):
    """Size, accuracy and latency of the file in its runtime, and its difference from Keras.

    Args:
        path: path of a file or folder that `pruning.export` wrote.
        file_format: Format of the file.
        images: float32 array (n, height, width, channels), or an object whose slices are such.
        labels: integer array (n,).
        expected: float array (n, outputs), the outputs of Keras.
        classes: function of the outputs that returns the predicted classes, integer array (n,).
        threads: number of threads, see `Format.load`.

    Returns:
        `({"bytes": of the file, "accuracy": 0..1, "latency_ms": median for one image}, fault)`. The
        fault is a text about a difference from Keras, "" if there is none; see `checking.fault`.

    Raises:
        ValueError: the file has not one input of images and one output.
    """
    answer = file_format.load(path, threads=threads)
    if isinstance(images, list | tuple) or not isinstance(answer(images[:1]), np.ndarray):
        raise ValueError(
            f"{path}: expected one input, images, and one output, got "
            "several; such a file cannot be measured"
        )
    outputs = answers(answer, images)
    (seconds,) = timing.seconds_per_call([answer], np.asarray(images[:1]))
    measured = {
        "bytes": bytes_of(path),
        "accuracy": float(np.mean(classes(outputs) == labels)),
        "latency_ms": round(seconds * 1000, 3),
    }
    return measured, checking.fault([outputs], [expected], quantised=file_format.quantised)


def answers(answer, images):
    """The outputs of the function for all images, called in batches: float array (n, outputs).

    Args:
        answer: function of a batch of images, such as `Format.load` or `timing.inference` returns.
        images: float32 array (n, height, width, channels), or an object whose slices are such.
    """
    (outputs,) = checking.answers(answer, images, BATCH)
    return outputs
