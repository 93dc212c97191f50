"""Write files completely or not at all, even if a run is killed or the disk is full."""

import contextlib
import os


@contextlib.contextmanager
def replaced(path):
    """The path of a partial file inside the `with`; at its end, it replaces the file.

    Args:
        path: pathlib.Path of the file to replace; only one run at a time may write it.
    """
    partial = partial_path(path)
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # else the file may be empty after a power cut
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def partial_path(path):
    """The path at which a file is written until it is complete: same folder, same suffix."""
    return path.with_name(f"{path.name}.partial{path.suffix}")


def set_aside(path, reason):
    """Rename a file that cannot be used, and print the reason.

    Args:
        path: pathlib.Path of the file.
        reason: what is wrong with the file, with its name.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    os.replace(path, aside)
    print(f"{reason}; set aside as {aside.name}")
