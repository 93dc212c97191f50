"""Hide what converters and runtimes print."""

import contextlib
import os
import sys


@contextlib.contextmanager
def quiet():
    """Hide all output to stdout and stderr, including that of C++ code to file descriptor 2.

    Nothing is hidden if TF_CPP_MIN_LOG_LEVEL is 0. The output of all threads is hidden.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        if sys.stderr:
            sys.stderr.flush()
        terminal = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
