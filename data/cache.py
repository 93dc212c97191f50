"""Keras' folder of downloaded datasets, and the way to fill it."""

import contextlib
import io
import os
import queue
import socket
import sys
import threading
import urllib.request
from pathlib import Path

import filelock

CONNECT_SECONDS = 15  # for name look-up, every address and the first answer together


def folder():
    """Where Keras keeps datasets: `$KERAS_HOME/datasets`, by default `~/.keras/datasets`."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def lock(path):
    """A lock beside the path, so that runs side by side do not fill it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(f"{path}.lock")


def say(message):
    """One line for the user about where data comes from, on stderr."""
    print(message, file=sys.stderr, flush=True)


def connect(url):
    """Ask the server once, since a firewall that drops packets would hold Keras up for minutes.

    Raises:
        OSError: no answer within `CONNECT_SECONDS`.
    """
    outcome = queue.Queue()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()
            outcome.put(None)
        except Exception as error:
            outcome.put(error)

    # A thread, because a timeout of the socket counts for each address anew
    threading.Thread(target=ask, daemon=True).start()
    try:
        error = outcome.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        error = TimeoutError(f"no answer within {CONNECT_SECONDS} s")
    if error:
        raise OSError(f"cannot reach {url}: {error}")


def fetch(name, path, url, load_data):
    """What Keras loads, its server asked first where the cache lacks the dataset.

    Args:
        name: name of the dataset, for messages.
        path: pathlib.Path of the file that Keras downloads.
        url: where from.
        load_data: a `load_data` of `keras.datasets`.

    Raises:
        OSError: it is not in the cache and cannot be downloaded.
    """
    try:
        with lock(path):
            if not path.exists():
                connect(url)
                say(f"{name}: Keras downloads it to {folder()}")
            return download(load_data)
    except OSError as error:
        raise OSError(f"{name}: {error}; without network pass an .npz file") from error


def damaged(path):
    """The error to raise where what the cache holds fails its checksum."""
    return ValueError(f"{path} is damaged and not used; delete it to have it fetched again")


def download(load_data):
    """What Keras loads, downloaded where its cache lacks it.

    Args:
        load_data: a `load_data` of `keras.datasets`.

    Raises:
        OSError: the download broke off, or what the cache holds is damaged.
    """
    # Keras' progress bar would fill a file with its every step
    screen = sys.stdout if sys.stdout.isatty() else io.StringIO()
    limit = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        with contextlib.redirect_stdout(screen):
            return load_data()
    except Exception as error:  # Keras raises a bare Exception for what went wrong on the way
        raise OSError(f"Keras cannot load it: {error}") from error
    finally:
        socket.setdefaulttimeout(limit)
