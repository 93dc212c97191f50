"""A dataset in memory, made from raw images and labels."""

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np

_IMAGES = ("train_images", "test_images")

BLOCK = 1000  # images that are float arrays at the same time
PIXELS = {  # range of a network's input: (number a byte is divided by, number added after that)
    "0..1": (255, 0),
    "0..255": (1, 0),
    "-1..1": (127.5, -1),
}


class Images:
    """Images with one byte per value in memory; indexing gives float32 arrays.

    Attributes:
        shape: `(n, height, width, channels)`.
        black: float32 value of a black pixel, whose byte is 0.
    """

    def __init__(self, pixels, values="0..1"):
        """Take a uint8 array (n, height, width, channels) and a key of `PIXELS`."""
        self._pixels, self._values = pixels, values
        self._divisor, self.black = map(np.float32, PIXELS[values])
        self.shape = pixels.shape

    def __len__(self):
        """Number of images."""
        return len(self._pixels)

    def __getitem__(self, chosen):
        """Float32 array of the images at an index, as NumPy's indexing takes it."""
        scaled = self._pixels[chosen].astype(np.float32) / self._divisor
        return scaled + self.black if self.black else scaled

    def only(self, chosen):
        """The images at an index, as NumPy's indexing takes it."""
        return Images(self._pixels[chosen], self._values)

    def between(self, values):
        """The same images with values in another range, a key of `PIXELS`."""
        return Images(self._pixels, values)


@dataclass(frozen=True)
class Dataset:
    """Training and test images with their labels.

    Attributes:
        name: short name, used in file names.
        train_images: Images (n, height, width, channels).
        train_labels: int32 (n,), 0..num_classes - 1.
        test_images: Images (m, height, width, channels).
        test_labels: int32 (m,).
        num_classes: number of classes.
        fingerprint: SHA-256 of the raw images and labels, hexadecimal.
        validation_images: Images that are not trained on, see `split`; None without them.
        validation_labels: their labels, int32; None without them.
    """

    name: str
    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    num_classes: int
    fingerprint: str
    validation_images: Images | None = None
    validation_labels: np.ndarray | None = None

    @property
    def image_shape(self):
        """`(height, width, channels)` of one image."""
        return self.train_images.shape[1:]

    @property
    def test(self):
        """The test images and their labels."""
        return self.test_images, self.test_labels

    def channel_statistics(self):
        """Mean and variance of each channel of the training images, two lists of floats."""
        count, _, _, channels = self.train_images.shape
        total, squares = np.zeros(channels), np.zeros(channels)
        for start in range(0, count, BLOCK):
            values = self.train_images[start : start + BLOCK].reshape(-1, channels)
            total += values.sum(axis=0, dtype=np.float64)
            squares += np.square(values, dtype=np.float64).sum(axis=0)
        pixels = math.prod(self.train_images.shape[:3])
        means = total / pixels
        return means.tolist(), (squares / pixels - means**2).tolist()

    @property
    def validation(self):
        """The validation images and their labels, or None."""
        if self.validation_images is None:
            return None
        return self.validation_images, self.validation_labels

    def between(self, values):
        """The same dataset with image values in another range, a key of `PIXELS`."""
        images = {name: getattr(self, name).between(values) for name in _IMAGES}
        return replace(self, **images)


def from_raw(name, x_train, y_train, x_test, y_test):
    """The Dataset of raw arrays, which are checked first.

    Args:
        name: short name of the dataset.
        x_train: uint8 images (n, height, width) or (n, height, width, channels).
        y_train: integer labels (n,) or (n, 1); every class 0..classes - 1 is present.
        x_test: like `x_train`, with images of the same shape.
        y_test: like `y_train`; every class is also in `y_train`.

    Returns:
        Dataset.

    Raises:
        ValueError: an array is not as described; the message names it.
    """
    images = {"x_train": _images("x_train", x_train), "x_test": _images("x_test", x_test)}
    labels = {"y_train": _labels("y_train", y_train), "y_test": _labels("y_test", y_test)}
    for part in ("train", "test"):
        n_images, n_labels = len(images[f"x_{part}"]), len(labels[f"y_{part}"])
        if n_images != n_labels:
            raise ValueError(
                f"y_{part}: expected {n_images} labels, one per image of x_{part}, got {n_labels}"
            )
    train_shape, test_shape = images["x_train"].shape[1:], images["x_test"].shape[1:]
    if train_shape != test_shape:
        raise ValueError(
            f"x_test: expected images of shape {train_shape}, as in x_train, got {test_shape}"
        )
    return Dataset(
        name=name,
        train_images=Images(images["x_train"]),
        train_labels=labels["y_train"].astype(np.int32),
        test_images=Images(images["x_test"]),
        test_labels=labels["y_test"].astype(np.int32),
        num_classes=_count_classes(labels["y_train"], labels["y_test"]),
        fingerprint=fingerprint(*images.values(), *labels.values()),
    )


def fingerprint(*arrays):
    """SHA-256 of the shapes and values of integer arrays, hexadecimal, for any integer type."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, np.uint8 if array.max() < 256 else np.int64))
    return digest.hexdigest()


def _images(key, array):
    if array.dtype != np.uint8:
        raise ValueError(f"{key}: expected uint8 images with values 0..255, got {array.dtype}")
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{key}: expected images (n, height, width) or (n, height, width, channels) with no "
            f"size 0, got shape {array.shape}"
        )
    return array if array.ndim == 4 else array[..., np.newaxis]


def _labels(key, array):
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{key}: expected integer labels, got {array.dtype}")
    if array.ndim not in (1, 2) or array.shape[1:] not in ((), (1,)) or array.size == 0:
        raise ValueError(
            f"{key}: expected labels (n,) or (n, 1), n at least 1, got shape {array.shape}"
        )
    if array.min() < 0:
        raise ValueError(f"{key}: expected labels from 0, got {array.min()}")
    return array.reshape(-1)


def _count_classes(y_train, y_test):
    classes = np.unique(y_train)
    if len(classes) < 2:
        raise ValueError(f"y_train: expected at least two classes, got only label {classes[0]}")
    if classes[-1] != len(classes) - 1:
        missing = np.setdiff1d(np.arange(len(classes)), classes)[0]
        raise ValueError(
            f"y_train: expected every label from 0 to {classes[-1]}, got none that is {missing}; "
            "number the classes 0, 1, 2 without a gap"
        )
    if y_test.max() > classes[-1]:
        raise ValueError(
            f"y_test: expected labels from 0 to {classes[-1]}, as in y_train, got {y_test.max()}; "
            "give test images of the trained classes"
        )
    return len(classes)
