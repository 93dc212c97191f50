"""What the user can mend, told apart from faults of the program."""

import contextlib
import errno

OF_THE_SYSTEM = [  # errors of a disk or file that come without its name
    getattr(errno, name)
    for name in "EDQUOT EFBIG EIO ENOLCK ENOMEM ENOSPC EPIPE EROFS ESTALE".split()
]


class UserError(Exception):
    """What the user can mend, in words; of any other error the traceback is shown."""


@contextlib.contextmanager
def as_the_users(*kinds):
    """Errors of these kinds inside the `with` are the user's to mend: they become UserError."""
    try:
        yield
    except kinds as error:
        if is_the_users(error):
            raise
        raise UserError(str(error) or type(error).__name__) from error


def is_the_users(error):
    """Whether the user can mend it: said so, of memory, or of a file or disk by the system."""
    if isinstance(error, OSError):
        return error.filename is not None or error.errno in OF_THE_SYSTEM
    return isinstance(error, UserError | MemoryError)


def in_one_line(error):
    """The error as a message of one line, with advice if the disk is full."""
    message = str(error) or "there is not enough memory"
    full = getattr(error, "errno", None) == errno.ENOSPC
    advice = "; make room, the same call goes on" if full else ""
    return f"{' '.join(message.split())}{advice}"
