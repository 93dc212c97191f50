"""Load your own dataset from a folder of images: `train/<class>/*.png`, `test/<class>/*.png`."""

import itertools
import os

import numpy as np
from PIL import Image

from data import dataset

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")  # other files are ignored
MODES = {  # format: Pillow's modes of images with 8 bits per value
    "BMP": ("L", "RGB"),
    "GIF": ("L", "P", "RGB"),
    "JPEG": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
}
GREY = ("1", "L")


def load(path):
    """The dataset in a folder. It is named after the folder.

    Classes are numbered in the order of their names. Images keep their size and every pixel.
    Transparency is removed, and of an animated GIF only the first image is read. If all images are
    grey, they have one channel, else three.

    Args:
        path: pathlib.Path of a folder with the folders `train` and `test`. Each of them has a
            folder of images for each class. A class may have no test images.

    Returns:
        Dataset.

    Raises:
        ValueError: a folder or its images are missing, an image cannot be read, or the images
            differ in size. The message names the folder or image.
        OSError: a folder or file cannot be opened.
    """
    train, test = (_files(path / part) for part in ("train", "test"))
    for name in train:
        if not train[name]:
            raise ValueError(
                f"{path}/train/{name}: expected images, got none; add images or delete the folder"
            )
    if len(train) < 2:
        raise ValueError(f"{path}/train: expected at least 2 classes, got only {next(iter(train))}")
    test = {name: files for name, files in test.items() if files}
    for name in test:
        if name not in train:
            raise ValueError(
                f"{path}/test/{name}: expected a class of {path}/train, got {name}; add training "
                "images of this class or delete the folder"
            )
    size, channels = _size_and_channels([*itertools.chain(*train.values(), *test.values())])
    x_train, y_train = _read(train, size, channels)
    x_test, y_test = _read(test, size, channels)
    y_test = np.array([list(train).index(name) for name in test])[y_test]
    return dataset.from_raw(path.resolve().name, x_train, y_train, x_test, y_test)


def _files(part):
    """`{class: files}` in the order of their names; hidden folders are ignored."""
    if not part.is_dir():
        raise ValueError(
            f"{part}: expected a folder; give train/<class>/ and test/<class>/ with images"
        )
    names = sorted(
        entry.name for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    files_of = {
        name: sorted(
            os.path.join(root, file)
            for root, _, files in os.walk(part / name)
            for file in files
            if file.lower().endswith(ENDINGS)
        )
        for name in names
    }
    if not any(files_of.values()):
        raise ValueError(
            f"{part}: expected images, got none; give {part.name}/<class>/ with "
            f"{', '.join(ENDINGS)} files"
        )
    return files_of


def _size_and_channels(files):
    """`((height, width), channels)` of all images; only the headers of the files are read."""
    sizes, modes = zip(*(_size_and_mode(file) for file in files), strict=True)
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{file}: expected {'x'.join(map(str, sizes[0]))} pixels, as {files[0]} has, got "
                f"{'x'.join(map(str, size))}; scale all images to one size"
            )
    width, height = sizes[0]
    return (height, width), 1 if set(modes) <= set(GREY) else 3


def _size_and_mode(file):
    """`((width, height), Pillow's mode)` of an image that can be read without changed values."""
    if not os.path.isfile(file):  # to read from a pipe would wait for ever
        raise _unreadable(file)
    with open(file, "rb") as content:
        depth = content.read(25)[24:]
        content.seek(0)
        try:
            image = Image.open(content, formats=list(MODES))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise _unreadable(file) from error
    mode = image.mode
    if image.format == "PNG" and depth > b"\x08":  # Pillow has one mode for 8 and 16 bits of colour
        mode = "of 16 bits"
    elif image.format == "BMP" and image.info["compression"]:
        mode = "compressed"
    if mode not in MODES[image.format]:
        raise ValueError(
            f"{file}: expected 8 bits per value, got {image.format}, {mode}; save it as a grey or "
            "RGB PNG with 8 bits per value"
        )
    return image.size, mode


def _read(classes, size, channels):
    """The uint8 images (n, height, width, channels) and labels (n,), in the order of names."""
    files = [*itertools.chain(*classes.values())]
    images = np.empty((len(files), *size, channels), np.uint8)
    for number, file in enumerate(files):
        images[number] = _decoded(file, channels)
    counts = [len(of_class) for of_class in classes.values()]
    return images, np.repeat(np.arange(len(counts)), counts)


def _decoded(file, channels):
    """The uint8 image (height, width, channels) without its transparency."""
    try:
        with Image.open(file, formats=list(MODES)) as image:
            image.verify()  # compares the checksums of a PNG, as `load` does not; closes the file
        with Image.open(file, formats=list(MODES)) as image:
            image.load()
            image.info.pop("transparency", None)  # else Pillow warns that it is lost
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # the errors of Pillow's decoders
        raise _unreadable(file) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _unreadable(file):
    return ValueError(f"{file}: expected an image, got no readable one; repair or delete the file")
