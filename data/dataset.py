"""A dataset in memory, and the one conversion from raw images and labels."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

_IMAGES = ("train_images", "test_images")

PIXELS = {  # range of the values that a network takes: (divisor of a byte, what is added then)
    "0..1": (255, 0),
    "0..255": (1, 0),
    "-1..1": (127.5, -1),
}


class Images:
    """Images as they are stored, a byte per value; what is taken out of them is float32.

    Attributes:
        shape: `(n, height, width, channels)`.
        black: value of a byte that is 0.
    """

    def __init__(self, pixels, values="0..1"):
        """Take in uint8 array (n, height, width, channels), and a key of `PIXELS`."""
        self._pixels, self._values = pixels, values
        self._divisor, self.black = map(np.float32, PIXELS[values])
        self.shape = pixels.shape

    def __len__(self):
        """Number of images."""
        return len(self._pixels)

    def __getitem__(self, chosen):
        """Float32 array of what NumPy's indexing means by `chosen`."""
        scaled = self._pixels[chosen].astype(np.float32) / self._divisor
        return scaled + self.black if self.black else scaled

    def only(self, chosen):
        """Those of the images that NumPy's indexing means by `chosen`."""
        return Images(self._pixels[chosen], self._values)

    def between(self, values):
        """The same bytes, their values in another range, a key of `PIXELS`."""
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
        fingerprint: SHA-256 of the raw content, hexadecimal: equal content, equal fingerprint.
    """

    name: str
    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    num_classes: int
    fingerprint: str

    @property
    def image_shape(self):
        """`(height, width, channels)` of one image."""
        return self.train_images.shape[1:]

    @property
    def test(self):
        """The test images and their labels."""
        return self.test_images, self.test_labels

    def between(self, values):
        """The same dataset, the values of its images in another range, a key of `PIXELS`."""
        images = {name: getattr(self, name).between(values) for name in _IMAGES}
        return replace(self, **images)


def from_raw(name, x_train, y_train, x_test, y_test):
    """Check raw arrays and convert them to a Dataset.

    Args:
        name: short name of the dataset.
        x_train: uint8 images (n, height, width) or (n, height, width, channels).
        y_train: integer labels (n,) or (n, 1), every class 0..classes - 1 present.
        x_test: like `x_train`, images of the same shape.
        y_test: like `y_train`, no class that `y_train` lacks.

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
                f"x_{part} holds {n_images} images but y_{part} {n_labels} labels; give one each"
            )
    train_shape, test_shape = images["x_train"].shape[1:], images["x_test"].shape[1:]
    if train_shape != test_shape:
        raise ValueError(f"x_train has images of {train_shape}, x_test of {test_shape}; give one")
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
    """SHA-256 over shapes and values of integer arrays, hexadecimal; their types do not matter."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, np.uint8 if array.max() < 256 else np.int64))
    return digest.hexdigest()


def _images(key, array):
    if array.dtype != np.uint8:
        raise ValueError(f"{key} is {array.dtype}; give uint8 images, 0..255")
    if array.ndim not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{key} has shape {array.shape}; give images (n, height, width) or "
            "(n, height, width, channels), none of them 0"
        )
    return array if array.ndim == 4 else array[..., np.newaxis]


def _labels(key, array):
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{key} is {array.dtype}; give integer labels")
    if array.ndim not in (1, 2) or array.shape[1:] not in ((), (1,)) or array.size == 0:
        raise ValueError(f"{key} has shape {array.shape}; give labels (n,) or (n, 1), n at least 1")
    if array.min() < 0:
        raise ValueError(f"{key} holds label {array.min()}; number the classes from 0")
    return array.reshape(-1)


def _count_classes(y_train, y_test):
    classes = np.unique(y_train)
    if len(classes) < 2:
        raise ValueError(f"y_train holds only label {classes[0]}; give at least two classes")
    if classes[-1] != len(classes) - 1:
        missing = np.setdiff1d(np.arange(len(classes)), classes)[0]
        raise ValueError(
            f"y_train has labels up to {classes[-1]} but none is {missing}; "
            "number the classes 0, 1, 2 without a gap"
        )
    if y_test.max() > classes[-1]:
        raise ValueError(
            f"y_test holds label {y_test.max()}, y_train only 0 to {classes[-1]}; "
            "give test images of the trained classes"
        )
    return len(classes)
