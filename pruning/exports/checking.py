"""Check that an exported file gives the same answers as Keras."""

import numpy as np

TOLERANCE = 1e-4  # largest difference of a probability; of other answers, relative to the largest
AGREEMENT = 0.999  # part of the images that must have the same most probable class as in Keras
BATCH = 32  # images at once


def answers(answer, images, batch=BATCH):
    """The answers of a function to all images: list of arrays, one per output.

    Args:
        answer: function of a batch of images, such as `Format.load` or `timing.inference` returns.
        images: array (n, height, width, channels), or an object whose slices are such arrays; a
            list of them if there are several inputs.
        batch: number of images at once.
    """
    several = isinstance(images, list | tuple)
    count = len(images[0] if several else images)
    batches = []
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        given = answer([each[part] for each in images] if several else images[part])
        batches.append(given if isinstance(given, list | tuple) else [given])
    return [np.concatenate(of_one_output) for of_one_output in zip(*batches, strict=True)]


def fault(found, expected, *, quantised):
    """A message that says what is wrong with the answers of a file; "" if nothing is wrong.

    The answers of a float format may differ from those of Keras by at most `TOLERANCE`. If they are
    (n, classes), the most probable class must be the same for `AGREEMENT` of the images. The
    answers of a quantised format differ more, and only labels can show whether they differ too
    much. So they must only be finite.

    Args:
        found: list of arrays, the answers of the file, one per output.
        expected: list of arrays, the answers of Keras.
        quantised: whether the file computes in int8.
    """
    shapes = [[each.shape for each in every] for every in (found, expected)]
    if shapes[0] != shapes[1]:
        return f"gives answers of shape {shapes[0]}, but Keras gives {shapes[1]}"
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
    message = f"differs from Keras by up to {difference:.1e}"
    same = 1.0
    if expected.ndim == 2 and expected.shape[1] > 1:
        same = np.mean(found.argmax(axis=-1) == expected.argmax(axis=-1))
        message += f", and gives another class for {1 - same:.2%} of the images"
    # false if the difference is NaN, too
    if difference <= TOLERANCE * largest and same >= AGREEMENT:
        return ""
    return message if largest == 1 else f"{message}; the largest answer is {largest:.1e}"


def _are_probabilities(values):
    """Whether the values are (n, classes), from 0 to 1, and sum to 1 for each image."""
    if values.ndim != 2 or not ((values >= 0) & (values <= 1)).all():
        return False
    return np.allclose(values.sum(axis=-1), 1, atol=1e-3)
