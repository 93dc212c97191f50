"""Calls on Ray: on this machine, or on the nodes of a cluster that share no files with it."""

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

RETRIES = 2  # of a call whose process or node died
WAITING = 2  # calls per place, so that a place never waits for the driver
SECONDS = 1.0  # to wait for a call that ends
GRACE = 5.0  # seconds that cancelled calls have to tidy up


class ClusterError(Exception):
    """There is no such cluster, it cannot hold a call, or it went away."""


class Cluster:
    """Where calls run that share nothing, each on what it was given of processors and GPUs.

    A `with` ends it: calls under way are then cancelled. A terminal shows a line per call.
    """

    def __init__(self, address, *, code, cpus, gpus, plain=OSError):
        """Start Ray on this machine, or connect to a cluster.

        Args:
            address: `local` for this machine, else as `ray.init` takes it: `auto`, `HOST:PORT` or
                `ray://HOST:PORT`.
            code: list of pathlib.Path, the packages and modules that the nodes get.
            cpus: processors per call, above 0; the backend takes as many threads, at least one.
            gpus: GPUs per call, or the part of one.
            plain: class, or tuple of classes, of the errors of calls that their words alone
                explain; of others the traceback is written to stderr.

        Raises:
            ClusterError: there is no such cluster, it has other versions of Python or Ray, or no
                node of it has as many processors and GPUs.
        """
        self.plain = plain
        self.needs = {kind: n for kind, n in (("CPU", cpus), ("GPU", gpus)) if n}
        nodes = _connect(address, code, _environment(cpus, gpus))
        if not any(_holds(node, self.needs) for node in nodes):
            ray.shutdown()
            raise ClusterError(
                f"{_listed(self.needs)} per trial came, but no node has as many; the most are "
                f"{_listed({k: max(n.get(k, 0) for n in nodes) for k in ('CPU', 'GPU')})}; "
                "take fewer"
            )
        self.call = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_call)
        self.board: Any = ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
        self.running, self.told = {}, {}
        self.live = Live(auto_refresh=False) if sys.stdout.isatty() else None

    def __enter__(self):
        """Begin to show what runs."""
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind, error, traceback):
        """Cancel what runs."""
        if self.live:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self.live.update("", refresh=True)
                self.live.stop()
        with contextlib.suppress(ray.exceptions.RayError, OSError):  # all results are stored
            for call in self.running:
                ray.cancel(call)
            if self.running:
                ray.wait(list(self.running), num_returns=len(self.running), timeout=GRACE)
            ray.shutdown()  # ends what is not through by now; to force it crashes Ray at times
        if isinstance(error, ray.exceptions.RayError):
            raise ClusterError(f"Ray: {_in_words(error)}") from error

    def put(self, value):
        """The value in Ray's store, copied to a node once; to be an argument of calls."""
        return ray.put(value)

    @property
    def places(self):
        """Number of calls that all nodes together have room for, at least 1."""
        there = ray.cluster_resources()
        return max(1, min(int(there.get(kind, 0) / n) for kind, n in self.needs.items()))

    @property
    def full(self):
        """Whether another call would only wait."""
        return len(self.running) >= WAITING * self.places

    def submit(self, name, function, *arguments):
        """Have `function(*arguments, tell=...)` called on a node, a new one if that dies.

        Args:
            name: of the call, text; no other one under way has it.
            function: of a module that the nodes get or have; it may call `tell` with a line that
                says how far it is.
            arguments: what can be pickled, or what `put` returned.
        """
        self.running[self.call.remote(function, self.board, name, *arguments)] = name

    def finished(self):
        """Calls that have ended within the next moment: list of `(name, result, error)`.

        The error says in words what the call raised, or that it died more than `RETRIES` times; it
        is None where the call returned.
        """
        if not self.running:
            time.sleep(SECONDS)
            return []
        try:
            ready, _ = ray.wait(list(self.running), num_returns=1, timeout=SECONDS)
        except Exception as error:  # of Ray's client plain ones, too
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
            self.told = ray.get(self.board.read.remote(), timeout=SECONDS)
        except ray.exceptions.RayError:  # its node died; it begins anew on another
            pass
        lines = [
            f"{name}  {self.told[name]}" for name in self.running.values() if name in self.told
        ]
        self.live.update(Text("\n".join(lines)), refresh=True)


class _Board:
    """Where calls write how far they are."""

    def __init__(self):
        self.lines = {}

    def tell(self, name, line):
        self.lines[name] = line

    def read(self):
        return self.lines


def _connect(address, code, environment):
    """The resources of each node there is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    terminate = signal.getsignal(signal.SIGTERM)  # Ray puts another handler in its place
    try:
        if ":" in address:  # Ray itself would try for minutes
            host, port = address.removeprefix("ray://").split(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        with warnings.catch_warnings():
            # JAX warns of forks, but what Ray forks becomes another program at once
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
    except Exception as error:  # of many classes, by what is wrong
        raise ClusterError(f"--ray {address}: {_in_words(error)}") from error
    finally:
        signal.signal(signal.SIGTERM, terminate)


def _environment(cpus, gpus):
    """The variables by which a call takes the backend of this process and what it was given."""
    threads = str(max(1, int(cpus)))
    found = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "NPROC": threads,  # what JAX reads
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", ""),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several calls may share a GPU
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the same of JAX
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    }
    return found if gpus else found | {"CUDA_VISIBLE_DEVICES": ""}  # Ray names those it gives


def _call(function, board, name, *arguments):
    return function(*arguments, tell=lambda line: board.tell.remote(name, line))


def _holds(node, needs):
    return all(node.get(kind, 0) >= n for kind, n in needs.items())


def _listed(resources):
    return " and ".join(f"{n:g} {kind}" for kind, n in resources.items())


def _in_words(error, plain=(ValueError, OSError, MemoryError)):
    """What a call raised, or what happened to it, in one line."""
    cause = getattr(error, "cause", None) or error
    told = " ".join(str(cause).split())[:500]
    plain = isinstance(cause, plain) or isinstance(cause, ray.exceptions.RayError)
    return told if plain and told else f"{type(cause).__name__}: {told}"
