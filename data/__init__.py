"""Images and labels as arrays, by the name of a dataset or from a file or folder of one's own."""

from pathlib import Path

from data import cifar10, cifar100, fashion, folder, mnist, npz

DATASETS = {
    "fashion": fashion.load,
    "mnist": mnist.load,
    "cifar10": cifar10.load,
    "cifar100": cifar100.load,
}


def load(name_or_path):
    """The dataset of that name, or the one in that `.npz` file or folder.

    Args:
        name_or_path: a key of `DATASETS`, or the path of a file as `npz.load` reads it or of a
            folder as `folder.load` does.

    Returns:
        Dataset.

    Raises:
        ValueError: the content is not a dataset, or not the one it should be.
        OSError: there is no such file, or no source could be reached.
    """
    if name_or_path in DATASETS:
        return DATASETS[name_or_path]()
    path = Path(name_or_path)
    return folder.load(path) if path.is_dir() else npz.load(path)
