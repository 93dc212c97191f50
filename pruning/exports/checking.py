"""Whether a file answers as Keras does."""

import numpy as np

TOLERANCE = 1e-4  # of a probability; of other answers in parts of the largest
AGREEMENT = 0.999  # part of the images whose most probable class must be Keras'
BATCH = 32  # images at once


def answers(answer, images, batch=BATCH):
    """What a function answers to all images, asked in batches: list of arrays, one per output.

    Args:
        answer: function of a batch of images, such as `Format.load` or `timing.inference` returns.
        images: array (n, height, width, channels), or what gives such when it is sliced; a list of
            them if there are several inputs.
        batch: number of images at once.
    """
    several = isinstance(images, list | tuple)
    count = len(images[0] if several else images)
    found = []
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        given = answer([each[part] for each in images] if several else images[part])
        found.append(given if isinstance(given, list | tuple) else [given])
    return [np.concatenate(of_one_output) for of_one_output in zip(*found, strict=True)]


def fault(found, expected, *, quantised):
    """What is wrong with the answers of a file, in words; empty if nothing is.

    Those of a float format must differ from Keras' by no more than `TOLERANCE`, and where they are
    (n, classes), the largest must be the same for `AGREEMENT` of the images. Those of a quantised
    format differ, and nobody but who knows the labels can say whether by too much: they must be
    finite.

    Args:
        found: list of arrays, what the file answers, one per output.
        expected: list of arrays, what Keras answers.
        quantised: whether the file computes in int8.
    """
    shapes = [[each.shape for each in every] for every in (found, expected)]
    if shapes[0] != shapes[1]:
        return f"gives answers of {shapes[0]}, where Keras gives {shapes[1]}"
    check = _not_finite if quantised else _difference
    faults = list(map(check, found, expected))
    for number, each in enumerate(faults):
        if each:
            return each if len(found) == 1 else f"{each} (output {number + 1} of {len(found)})"
    return ""


def _not_finite(found, expected):
    return "" if np.isfinite(found).all() else "gives answers that are not finite"


def _difference(found, expected):
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    largest = 1.0 if _are_probabilities(expected) else np.abs(expected).max() or 1.0
    difference = np.abs(found - expected).max()
    words = f"differs from Keras by up to {difference:.1e}"
    same = 1.0
    if expected.ndim == 2 and expected.shape[1] > 1:
        same = np.mean(found.argmax(axis=-1) == expected.argmax(axis=-1))
        words += f", and answers {1 - same:.2%} of the images otherwise"
    # false for what is no number, too
    if difference <= TOLERANCE * largest and same >= AGREEMENT:
        return ""
    return words if largest == 1 else f"{words}; its largest answer is {largest:.1e}"


def _are_probabilities(values):
    """Whether they are (n, classes), each 0..1, and sum to 1."""
    if values.ndim != 2 or not ((values >= 0) & (values <= 1)).all():
        return False
    return np.allclose(values.sum(axis=-1), 1, atol=1e-3)
