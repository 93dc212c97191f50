"""Run functions on Ray: on this machine, or on a cluster whose nodes share no files with it."""

import contextlib
import logging
import os
import signal
import socket
import sys
import time
import warnings
from typing import Any

import ray
from rich.live import Live
from rich.text import Text

RETRIES = 2  # of a call, after its process or node died
WAITING = 2  # submitted calls per running one, so that a node never waits for this process
SECONDS = 1.0  # longest wait for the end of a call
GRACE = 5.0  # seconds that cancelled calls get to end


class ClusterError(Exception):
    """The cluster does not exist, has no room for a call, or was lost."""


class Cluster:
    """Runs independent calls, each with its own CPUs and GPUs.

    Use it in a `with`; at its end, running calls are cancelled. A terminal shows a line for each
    running call.
    """

    def __init__(self, address, *, code, cpus, gpus, plain=OSError):
        """Start Ray on this machine, or connect to a cluster.

        Args:
            address: `local` for this machine, or an address for `ray.init`: `auto`, `HOST:PORT` or
                `ray://HOST:PORT`.
            code: list of pathlib.Path, the packages and modules that are copied to the nodes.
            cpus: CPUs per call, above 0. The backend uses as many threads, but at least one.
            gpus: GPUs per call; a part of a GPU is a number below 1.
            plain: class, or tuple of classes, of errors whose message is enough. Other errors of
                calls are written to stderr with their traceback.

        Raises:
            ClusterError: the cluster does not exist, it has another version of Python or Ray, or no
                node has so many CPUs and GPUs.
        """
        self.plain = plain
        self.needs = {kind: n for kind, n in (("CPU", cpus), ("GPU", gpus)) if n}
        nodes = _connect(address, code, _environment(cpus, gpus))
        if not any(_holds(node, self.needs) for node in nodes):
            ray.shutdown()
            most = {kind: max(n.get(kind, 0) for n in nodes) for kind in ("CPU", "GPU")}
            raise ClusterError(
                f"resources per trial: expected at most {_listed(most)}, as a node has, got "
                f"{_listed(self.needs)}; give fewer"
            )
        self.call = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_call)
        self.board: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
        self.running, self.lines = {}, {}
        self.live = Live(auto_refresh=False) if sys.stdout.isatty() else None

    def __enter__(self):
        """Start to show the running calls."""
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind, error, traceback):
        """Cancel the running calls and end Ray."""
        if self.live:
            with contextlib.suppress(OSError):  # the terminal may be closed
                self.live.update("", refresh=True)
                self.live.stop()
        with contextlib.suppress(ray.exceptions.RayError, OSError):  # all results are stored
            for call in self.running:
                ray.cancel(call)
            if self.running:
                ray.wait(list(self.running), num_returns=len(self.running), timeout=GRACE)
            ray.shutdown()  # ends the calls that still run; `force` in `cancel` can crash Ray
        if isinstance(error, ray.exceptions.RayError):
            raise ClusterError(f"Ray: {_in_words(error)}") from error

    def put(self, value):
        """A reference to the value in Ray's store. As an argument it is copied to a node once."""
        return ray.put(value)

    @property
    def places(self):
        """Number of calls that can run at the same time on all nodes, at least 1."""
        resources = ray.cluster_resources()
        return max(1, min(int(resources.get(kind, 0) / n) for kind, n in self.needs.items()))

    @property
    def full(self):
        """Whether enough calls are submitted, so that another one would only wait."""
        return len(self.running) >= WAITING * self.places

    def submit(self, name, function, *arguments):
        """Call `function(*arguments, tell=...)` on a node, and on another node if that one dies.

        Args:
            name: name of the call; no other running call has it.
            function: function of a module that the nodes have. It may call `tell` with a line of
                text about its progress.
            arguments: values that can be pickled, or references that `put` returned.
        """
        self.running[self.call.remote(function, self.board, name, *arguments)] = name

    def finished(self):
        """Wait for `SECONDS` at most; returns `[(name, result, error)]` of the calls that ended.

        The error is None if the call returned a result. Else it is a text: the error that the call
        raised, or that it died more than `RETRIES` times.
        """
        if not self.running:
            time.sleep(SECONDS)
            return []
        try:
            ready, _ = ray.wait(list(self.running), num_returns=1, timeout=SECONDS)
        except Exception as error:  # Ray's client also raises errors of other classes
            raise ClusterError(f"Ray: {_in_words(error)}") from error
        ended = []
        for call in ready:
            name = self.running.pop(call)
            try:
                ended.append((name, ray.get(call), None))
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if cause and not isinstance(cause, self.plain):
                    print(error, file=sys.stderr)  # with the traceback of the call
                ended.append((name, None, _in_words(error, self.plain)))
        self._show()
        return ended

    def _show(self):
        if not self.live:
            return
        try:
            self.lines = ray.get(self.board.read.remote(), timeout=SECONDS)
        except ray.exceptions.RayError:  # its node died; it starts again on another node
            pass
        lines = [
            f"{name}  {self.lines[name]}" for name in self.running.values() if name in self.lines
        ]
        self.live.update(Text("\n".join(lines)), refresh=True)


class _Board:
    """Keeps the last line of progress of each call."""

    def __init__(self):
        self.lines = {}

    def tell(self, name, line):
        self.lines[name] = line

    def read(self):
        return self.lines


def _connect(address, code, environment):
    """Start Ray or connect to it; returns the resources of each node."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    terminate = signal.getsignal(signal.SIGTERM)  # Ray replaces this handler
    try:
        if ":" in address:  # Ray itself would wait for minutes
            host, port = address.removeprefix("ray://").split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        with warnings.catch_warnings():
            # JAX warns of forks, but a process that Ray forks runs another program at once
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(
                address=address,
                runtime_env={"py_modules": [str(path) for path in code], "env_vars": environment},
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False if address == "local" else None,
            )
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
    except KeyboardInterrupt:
        ray.shutdown()
        raise
    except Exception as error:  # Ray raises errors of many classes
        raise ClusterError(f"--ray {address}: {_in_words(error)}") from error
    finally:
        signal.signal(signal.SIGTERM, terminate)


def _environment(cpus, gpus):
    """The environment variables of a call: the backend of this process, threads and GPUs."""
    threads = str(max(1, int(cpus)))
    variables = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "NPROC": threads,  # for JAX
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", ""),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several calls may share a GPU
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the same for JAX
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    return variables if gpus else variables | {"CUDA_VISIBLE_DEVICES": ""}  # else Ray sets it


def _call(function, board, name, *arguments):
    return function(*arguments, tell=lambda line: board.tell.remote(name, line))


def _holds(node, needs):
    return all(node.get(kind, 0) >= n for kind, n in needs.items())


def _listed(resources):
    return " and ".join(f"{n:g} {kind}" for kind, n in resources.items())


def _in_words(error, plain=(ValueError, OSError, MemoryError)):
    """The error of a call, or of Ray, as one line of text."""
    cause = getattr(error, "cause", None) or error
    message = " ".join(str(cause).split())[:500]
    plain = isinstance(cause, plain) or isinstance(cause, ray.exceptions.RayError)
    return message if plain and message else f"{type(cause).__name__}: {message}"
