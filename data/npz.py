"""Load your own dataset from an `.npz` file with raw images and labels."""

import zipfile

import numpy as np

from data import dataset

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load(path):
    """The dataset in an `.npz` file. It is named after the file.

    Args:
        path: pathlib.Path of a file with the arrays `x_train`, `y_train`, `x_test` and `y_test`;
            see `dataset.from_raw`.

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
    except Exception as error:  # NumPy raises many types of error for a damaged file
        raise ValueError(f"{path}: {error or type(error).__name__}") from error


def _read(path):
    if path.exists() and not path.is_file():  # to read from a pipe would wait for ever
        raise ValueError("expected an .npz file, got no regular file")
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(
                f"expected an .npz file, got another format; save one with numpy.savez, keys {KEYS}"
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            missing = [key for key in KEYS if key not in arrays.files]
            if missing:
                raise ValueError(f"expected {', '.join(KEYS)}, got no {', '.join(missing)}")
            return [arrays[key] for key in KEYS]
