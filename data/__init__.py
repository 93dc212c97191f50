"""Load a dataset as arrays: a known dataset by its name, or your own from a file or folder."""

from pathlib import Path

from data import cifar10, cifar100, fashion, folder, mnist, npz

DATASETS = {
    "fashion": fashion.load,
    "mnist": mnist.load,
    "cifar10": cifar10.load,
    "cifar100": cifar100.load,
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
    return folder.load(path) if path.is_dir() else npz.load(path)
