"""A dataset of one's own: a folder of images, `train/<class>/*.png` and `test/<class>/*.png`."""

import itertools
import os

import numpy as np
from PIL import Image

from data import dataset

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")  # of the files that are taken for images
MODES = {  # Pillow's modes, per format, of images of 8 bits per value
    "BMP": ("L", "RGB"),
    "GIF": ("L", "P", "RGB"),
    "JPEG": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
}
GREY = ("1", "L")


def load(path):
    """The dataset in a folder, named after it; classes are numbered in the order of their names.

    Images keep their size and every pixel; transparency is left out, and of an animated GIF the
    first image is taken. They have one channel where all of them are grey, else three.

    Args:
        path: pathlib.Path of a folder with `train` and `test`, each with a folder of images per
            class. A class may lack test images.

    Returns:
        Dataset.

    Raises:
        ValueError: a folder or its images are missing, an image cannot be read, or they differ in
            size; the message names it.
        OSError: a folder or file cannot be opened.
    """
    train, test = (_files(path / part) for part in ("train", "test"))
    for name in train:
        if not train[name]:
            raise ValueError(f"{path}/train/{name} holds no images; add some or delete the folder")
    if len(train) < 2:
        raise ValueError(f"{path}/train holds only the class {next(iter(train))}; give at least 2")
    test = {name: files for name, files in test.items() if files}
    for name in test:
        if name not in train:
            raise ValueError(
                f"{path}/test/{name} is no class of {path}/train; give training images of it, too, "
                "or delete the folder"
            )
    size, channels = _size_and_channels([*itertools.chain(*train.values(), *test.values())])
    x_train, y_train = _read(train, size, channels)
    x_test, y_test = _read(test, size, channels)
    y_test = np.array([list(train).index(name) for name in test])[y_test]
    return dataset.from_raw(path.resolve().name, x_train, y_train, x_test, y_test)


def _files(part):
    """`{class: files}` in order of their names; hidden folders are no classes."""
    if not part.is_dir():
        raise ValueError(f"{part} is no folder; give train/<class>/ and test/<class>/ with images")
    names = sorted(
        entry.name for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    found = {
        name: sorted(
            os.path.join(root, file)
            for root, _, files in os.walk(part / name)
            for file in files
            if file.lower().endswith(ENDINGS)
        )
        for name in names
    }
    if not any(found.values()):
        raise ValueError(
            f"{part} holds no images; give {part.name}/<class>/ with {', '.join(ENDINGS)} files"
        )
    return found


def _size_and_channels(files):
    """`((height, width), channels)` that all images share; their headers are read, no pixels."""
    sizes, modes = zip(*(_size_and_mode(file) for file in files), strict=True)
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"{files[0]} has {'x'.join(map(str, sizes[0]))} pixels, {file} "
                f"{'x'.join(map(str, size))}; scale all images to one size"
            )
    width, height = sizes[0]
    return (height, width), 1 if set(modes) <= set(GREY) else 3


def _size_and_mode(file):
    """Width and height, and Pillow's mode; an image whose values would be changed is refused."""
    if not os.path.isfile(file):  # reading a pipe would wait for ever
        raise _unreadable(file)
    with open(file, "rb") as content:
        depth = content.read(25)[24:]
        content.seek(0)
        try:
            image = Image.open(content, formats=list(MODES))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise _unreadable(file) from error
    mode = image.mode
    if image.format == "PNG" and depth > b"\x08":  # 16 bits of colour have the mode of 8
        mode = "of 16 bits"
    elif image.format == "BMP" and image.info["compression"]:
        mode = "compressed"
    if mode not in MODES[image.format]:
        raise ValueError(
            f"{file} is {image.format}, {mode}; save it as PNG with 8 bits per value, grey or RGB"
        )
    return image.size, mode


def _read(classes, size, channels):
    """The uint8 images (n, height, width, channels) and their labels (n,), in order of names."""
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
            image.verify()  # the checksums of a PNG, which decoding leaves out; it ends the file
        with Image.open(file, formats=list(MODES)) as image:
            image.load()
            image.info.pop("transparency", None)  # Pillow would warn that it is lost
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's decoders raise
        raise _unreadable(file) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _unreadable(file):
    return ValueError(f"{file} cannot be read as an image; mend it or delete it")
