"""End a run after a signal: clean up, print one line, and die by the same signal."""

import contextlib
import signal
import sys

STOPPING = [  # the signals that end a run; not all exist on every system
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextlib.contextmanager
def handled(handle):
    """Inside the `with`, the signals of `STOPPING` call `handle(number, frame)`, if not ignored."""
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
    """End the process, by the signal that stopped the run, so that a shell also ends its loop."""
    if status > 128:
        with contextlib.suppress(OSError):  # the terminal may be closed
            sys.stdout.flush()
        signal.signal(status - 128, signal.SIG_DFL)
        signal.raise_signal(status - 128)
    sys.exit(status)


def end_at_once(number, frame):
    """A handler that ends the process at once."""
    end(stopped(number))


def stopped(number):
    """Print that a signal stopped the run; returns the exit status."""
    with contextlib.suppress(OSError):  # the terminal may be closed
        message = "stopped; finished rows are kept, and the same command continues the run"
        print(f"formal.py: {message}", file=sys.stderr)
    return 128 + number
