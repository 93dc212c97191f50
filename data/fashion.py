"""Fashion-MNIST: 60,000 + 10,000 grey images of clothes, 28x28 pixels, 10 classes.

Source: Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747. Copyright Zalando SE, MIT licence.
"""

import contextlib
import gzip
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import keras
import numpy as np

from data import cache, dataset

FILES = {  # name: shape, SHA-256 of the unpacked file
    "train-images-idx3-ubyte.gz": (
        (60000, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": (
        (60000,),
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": (
        (10000, 28, 28),
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        (10000,),
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
PACKAGE = "dataset-fashion-mnist"  # Debian's and Ubuntu's
PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-labels-idx1-ubyte.gz"
APT_OPTIONS = [
    f"-oAcquire::{option}" for option in ("http::Timeout=15", "https::Timeout=15", "Retries=0")
]
APT_SECONDS = 300  # for one command; the package has 31 MB


def load():
    """Fashion-MNIST from the first source that has all its files.

    The sources on this machine come first: Keras' cache, the installed Debian package, and the
    same package if an earlier call downloaded it. Then Keras downloads it. At last the package
    comes from a mirror. For a source that fails, one line is printed. The checksum of every file
    is verified.

    Returns:
        Dataset.

    Raises:
        OSError: no source has the dataset.
    """
    keras_folder, fetched_folder = cache.folder() / "fashion-mnist", cache.folder() / PACKAGE
    sources = (
        lambda: _read(keras_folder),
        lambda: _read(PACKAGE_FOLDER),
        lambda: _read(fetched_folder),
        lambda: _read_or_fetch(keras_folder, _download),
        lambda: _read_or_fetch(fetched_folder, _fetch_package),
    )
    for source in sources:
        try:
            arrays = source()
        except (OSError, ValueError) as error:
            cache.say(f"fashion: {error}")
        else:
            if arrays:
                return dataset.from_raw("fashion", *arrays)
    raise OSError(
        f"fashion: no source has the dataset; install the package {PACKAGE}, put "
        f"{', '.join(FILES)} into {keras_folder}, or give an .npz file"
    )


def _read(folder):
    """The four arrays, or None if a file is missing."""
    if not all((folder / name).exists() for name in FILES):
        return None
    return [_read_file(folder / name, *FILES[name]) for name in FILES]


def _read_file(path, shape, checksum):
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error):
        content = b""
    if hashlib.sha256(content).hexdigest() != checksum:
        raise cache.damaged(path)
    return np.frombuffer(content, np.uint8)[-math.prod(shape) :].reshape(shape)


def _read_or_fetch(folder, fetch):
    """The four arrays of the folder. The files are fetched if no other run has done so by now."""
    with cache.lock(folder):
        with contextlib.suppress(OSError, ValueError):
            if arrays := _read(folder):
                return arrays
        fetch(folder)
        if arrays := _read(folder):
            return arrays
    raise OSError(f"{folder}: expected {', '.join(FILES)} after the download, got not all of them")


def _download(folder):
    cache.connect(URL)
    cache.say(f"fashion: Keras downloads the dataset to {folder}")
    cache.download(keras.datasets.fashion_mnist.load_data)


def _fetch_package(folder):
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise OSError(f"package {PACKAGE}: this system has no apt-get")
    cache.say(f"fashion: apt-get downloads the package {PACKAGE} for {folder}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        # the commands run in this folder and get relative file names
        fetch = ["apt-get", *APT_OPTIONS, "download", PACKAGE]
        error = _run(fetch, scratch)
        if error and os.geteuid() == 0:  # a new machine has no list of packages yet
            _run(["apt-get", *APT_OPTIONS, "update"], scratch)
            error = _run(fetch, scratch)
        archive = next(Path(scratch).glob("*.deb"), None)
        if archive is None:
            raise OSError(f"package {PACKAGE}: {error}")
        error = _run(["dpkg-deb", "-x", archive.name, "."], scratch)
        if error:
            raise OSError(f"package {PACKAGE}: {error}")
        folder.mkdir(exist_ok=True)
        for name in FILES:
            os.replace(scratch + str(PACKAGE_FOLDER / name), folder / name)


def _run(command, folder):
    """The last line of the command's error messages, or "" if it succeeded."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=APT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {APT_SECONDS} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip() or f"{command[0]} ended with {done.returncode}").splitlines()[-1]
