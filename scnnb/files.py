"""Files that are whole or not there, whenever a run is killed or the disk is full."""

import contextlib
import os


@contextlib.contextmanager
def replaced(path):
    """The path of another file inside the `with`, which takes the place of this one at its end.

    Args:
        path: pathlib.Path of the file; only one run at a time may write it.
    """
    partial = partial_path(path)
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut may leave the name without the content
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def partial_path(path):
    """Where a file is written until it is whole: beside its place, with the same suffix."""
    return path.with_name(f"{path.name}.partial{path.suffix}")


def set_aside(path, reason):
    """Rename a file that cannot be trusted, and say so.

    Args:
        path: pathlib.Path of the file.
        reason: what is wrong with it, its name included.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    os.replace(path, aside)
    print(f"{reason}; set aside as {aside.name}")
