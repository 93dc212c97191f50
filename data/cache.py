"""Download datasets with Keras into its folder of datasets."""

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

CONNECT_SECONDS = 15  # for the name look-up, all addresses and the first answer together


def folder():
    """Keras' folder of datasets: `$KERAS_HOME/datasets`, by default `~/.keras/datasets`."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def lock(path):
    """A lock file beside the path, so that two runs do not write to it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(f"{path}.lock")


def say(message):
    """Print a line on stderr about the source of a dataset."""
    print(message, file=sys.stderr, flush=True)


def connect(url):
    """Check that the server answers.

    Keras alone would wait for minutes behind a firewall that drops packets.

    Raises:
        OSError: the server does not answer within `CONNECT_SECONDS`.
    """
    outcome = queue.Queue()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()
            outcome.put(None)
        except Exception as error:
            outcome.put(error)

    # a thread, because the timeout of a socket starts again for each address of the server
    threading.Thread(target=ask, daemon=True).start()
    try:
        error = outcome.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        error = TimeoutError(f"no answer within {CONNECT_SECONDS} s")
    if error:
        raise OSError(f"cannot reach {url}: {error}")


def fetch(name, path, url, load_data):
    """The arrays that Keras loads. If they must be downloaded, the server is checked first.

    Args:
        name: name of the dataset, for messages.
        path: pathlib.Path of the file that Keras downloads.
        url: address of the file on the server.
        load_data: function `load_data` of a module of `keras.datasets`.

    Raises:
        OSError: the dataset is not in the cache and cannot be downloaded.
    """
    try:
        with lock(path):
            if not path.exists():
                connect(url)
                say(f"{name}: Keras downloads the dataset to {folder()}")
            return download(load_data)
    except OSError as error:
        raise OSError(f"{name}: {error}; without a network, give an .npz file") from error


def damaged(path):
    """The error for a file or folder of the cache that has a wrong checksum."""
    return ValueError(f"{path} is damaged and not used; delete it, and it is downloaded again")


def download(load_data):
    """The arrays that Keras loads; it downloads them if they are not in its cache.

    Args:
        load_data: function `load_data` of a module of `keras.datasets`.

    Raises:
        OSError: the download failed, or the cache is damaged.
    """
    # in a file, every step of Keras' progress bar would be a line
    screen = sys.stdout if sys.stdout.isatty() else io.StringIO()
    limit = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        with contextlib.redirect_stdout(screen):
            return load_data()
    except Exception as error:  # Keras raises a plain Exception if a download fails
        raise OSError(f"Keras cannot load it: {error}") from error
    finally:
        socket.setdefaulttimeout(limit)
