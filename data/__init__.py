"""Load a dataset as arrays: a known dataset by its name, or your own from a file or folder."""

import importlib
from pathlib import Path

DATASETS = {  # name: the module whose function `load` returns it
    "fashion": "data.fashion",
    "mnist": "data.mnist",
    "cifar10": "data.cifar10",
    "cifar100": "data.cifar100",
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
    # imported at first use: the command line reads the names, and must not wait for the rest
    if name_or_path in DATASETS:
        return importlib.import_module(DATASETS[name_or_path]).load()
    path = Path(name_or_path)
    return importlib.import_module("data.folder" if path.is_dir() else "data.npz").load(path)
