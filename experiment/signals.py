"""How a signal ends a run: tidily, with one line, and by that signal."""

import contextlib
import signal
import sys

STOPPING = [  # each ends a run tidily; not all exist on every system
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextlib.contextmanager
def handled(handle):
    """What ends a run calls `handle(number, frame)` inside the `with`; what is ignored stays so."""
    before = {number: signal.getsignal(number) for number in STOPPING}  # nohup ignores SIGHUP
    before = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def end(status):
    """End the process; by the signal that stopped the run, so that a shell ends its loop, too."""
    if status > 128:
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stdout.flush()
        signal.signal(status - 128, signal.SIG_DFL)
        signal.raise_signal(status - 128)
    sys.exit(status)


def end_at_once(number, frame):
    """A handler that ends the process where it stands."""
    end(stopped(number))


def stopped(number):
    """Say that a signal stopped the run; returns the exit status."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        print("formal.py: stopped; finished rows stay, the same call goes on", file=sys.stderr)
    return 128 + number
