"""Load a dataset as arrays: a known dataset by its name, or your own from a file or folder."""

import functools
import importlib
from pathlib import Path


def _load(module, *arguments):
    # imported here: the command line reads the names, and must not wait for the rest
    return importlib.import_module(module).load(*arguments)


DATASETS = {
    "fashion": functools.partial(_load, "data.fashion"),
    "mnist": functools.partial(_load, "data.mnist"),
    "cifar10": functools.partial(_load, "data.cifar10"),
    "cifar100": functools.partial(_load, "data.cifar100"),
}


def load(name_or_path):
    """The dataset with this name, or in this `.npz` file or folder.

    Args:
        name_or_path: a key of `DATASETS`, the path of a file for `npz.load`, or the path of a
            folder for `folder.load`.

    Returns:
        Dataset.

    Raises:
        ValueError: the content is not a dataset, or its checksum is wrong.
        OSError: the file does not exist, or the dataset cannot be downloaded.
    """
    if name_or_path in DATASETS:
        return DATASETS[name_or_path]()
    path = Path(name_or_path)
    return _load("data.folder" if path.is_dir() else "data.npz", path)
