"""What exported files come to in the runtimes that devices use: accuracy, latency."""

import numpy as np

from pruning import timing
from pruning.exports import checking
from pruning.exports.format import Format
from pruning.exports.writing import bytes_of

BATCH = 250  # images at once for the accuracy, where the file takes more than one


def measure(path, file_format: Format, images, labels, expected, *, threads):
    """Size, accuracy and latency of the file in its own runtime, and what is wrong with it.

    Args:
        path: of a file or folder that `pruning.export` wrote.
        file_format: Format of the file.
        images: float32 array (n, height, width, channels), or what gives such when it is sliced.
        labels: integer array (n,).
        expected: float array (n, classes), what Keras answers.
        threads: as `Format.load` takes it.

    Returns:
        `({"bytes": of the file, "accuracy": 0..1, "latency_ms": median for one image}, what is
        wrong in words, empty if nothing is)`, as `checking.fault` tells it.

    Raises:
        ValueError: the file does not turn one array of images into one array of probabilities.
    """
    answer = file_format.load(path, threads=threads)
    if isinstance(images, list | tuple) or not isinstance(answer(images[:1]), np.ndarray):
        raise ValueError(
            f"{path}: it has several inputs or outputs; only a file that turns images into class "
            "probabilities can be measured"
        )
    found = answers(answer, images)
    (seconds,) = timing.seconds_per_call([answer], np.asarray(images[:1]))
    classes = found.argmax(axis=-1)
    measured = {
        "bytes": bytes_of(path),
        "accuracy": float(np.mean(classes == labels)),
        "latency_ms": round(seconds * 1000, 3),
    }
    return measured, checking.fault([found], [expected], quantised=file_format.quantised)


def answers(answer, images):
    """What the function answers to all images, asked in batches: float array (n, classes).

    Args:
        answer: function of a batch of images, such as `Format.load` or `timing.inference` returns.
        images: as `measure` takes them.
    """
    (found,) = checking.answers(answer, images, BATCH)
    return found
