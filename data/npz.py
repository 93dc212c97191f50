"""A dataset of one's own: an `.npz` file with raw images and labels."""

import zipfile

import numpy as np

from data import dataset

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load(path):
    """The dataset in an `.npz` file, named after the file.

    Args:
        path: pathlib.Path of a file with the arrays `x_train`, `y_train`, `x_test`, `y_test`,
            as `dataset.from_raw` takes them.

    Returns:
        Dataset.

    Raises:
        ValueError: the file is damaged, or an array is missing or wrong.
        OSError: the file cannot be read.
    """
    try:
        return dataset.from_raw(path.stem, *_read(path))
    except OSError:
        raise
    except Exception as error:  # a changed byte may make NumPy raise nearly anything
        raise ValueError(f"{path}: {error or type(error).__name__}") from error


def _read(path):
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ValueError("it is no file")
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"it is not an .npz file; save one with numpy.savez, keys {KEYS}")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            missing = [key for key in KEYS if key not in arrays.files]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}; give {', '.join(KEYS)}")
            return [arrays[key] for key in KEYS]
