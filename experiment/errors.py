"""Tell errors that the user can correct from errors of the program."""

import contextlib
import errno

OF_THE_SYSTEM = [  # errors of a disk or file that may not name the file
    getattr(errno, name)
    for name in "EDQUOT EFBIG EIO ENOLCK ENOMEM ENOSPC EPIPE EROFS ESTALE".split()
]


class UserError(Exception):
    """An error that the user can correct; of any other error the traceback is shown."""


@contextlib.contextmanager
def as_the_users(*kinds):
    """Inside the `with`, errors of these classes become UserError."""
    try:
        yield
    except kinds as error:
        if is_the_users(error):
            raise
        raise UserError(str(error) or type(error).__name__) from error


def is_the_users(error):
    """Whether the user can correct the error: a UserError, or one of memory, a file or a disk."""
    if isinstance(error, OSError):
        return error.filename is not None or error.errno in OF_THE_SYSTEM
    return isinstance(error, UserError | MemoryError)


def in_one_line(error):
    """The message of the error in one line, with advice if the disk is full."""
    message = str(error) or "there is not enough memory"
    full = getattr(error, "errno", None) == errno.ENOSPC
    advice = "; free some disk space, and the same command continues the run" if full else ""
    return f"{' '.join(message.split())}{advice}"
