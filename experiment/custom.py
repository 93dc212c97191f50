"""The user's own Python file, `--custom`: its functions by their names, its layers and rules."""

import argparse
import ast
import contextlib
import functools
import inspect
import sys
import traceback
import types
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

import data
import scnnb
from data import dataset
from experiment.checks import expected
from experiment.errors import UserError, is_the_users
from pruning import criteria

MODULE = "formal_custom"  # the file's name as a module, the same in every process
KNOWN: tuple[dict, ...] = (data.DATASETS, scnnb.NETWORKS, criteria.OF_KERNELS, criteria.OF_NETWORKS)


class Custom(NamedTuple):
    """A Python file, read once, so that what runs is what `content` is a checksum of.

    Attributes:
        path: path as the user gave it.
        source: content of the file, bytes.
        functions: tuple of the names of its functions that the command line may name.
    """

    path: str
    source: bytes
    functions: tuple


def read(text):
    """The Custom at a path, the type of `--custom`. The file is not run.

    Raises:
        argparse.ArgumentTypeError: it cannot be read, it is not Python, or a function has the name
            of a known dataset, network or criterion.
    """
    path = text.strip()
    try:
        if not Path(path).is_file():  # to read from a pipe would wait for ever
            raise ValueError("there is no such file")
        source = Path(path).read_bytes()
        with warnings.catch_warnings(action="ignore"):  # shown when the file runs
            tree = ast.parse(source, path)
            compile(tree, path, "exec")
    except SyntaxError as error:
        raise argparse.ArgumentTypeError(f"{path}:{error.lineno}: {error.msg}") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        message = f"{expected('the path of a Python file', path)}: {error}"
        raise argparse.ArgumentTypeError(message) from error
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, node in functions.items():
        if any(name in known for known in KNOWN):
            raise argparse.ArgumentTypeError(
                f"{path}:{node.lineno}: expected functions with names of their own, got {name}, "
                "which formal.py has already; rename it"
            )
    public = tuple(name for name in functions if not name.startswith("_"))
    return Custom(path, source, public)


@contextlib.contextmanager
def loaded(custom: Custom | None):
    """Inside the `with`, the file has run, and its functions are known by their names.

    Its errors become UserError that name the file and the line, in its functions and layers, too.
    Keras must be imported already.
    """
    if custom is None:
        yield
        return
    try:
        module = _run(custom)
        for name in custom.functions:
            call = functools.partial(_call, name, getattr(module, name, None))
            data.DATASETS[name] = functools.partial(_dataset, name, call)
            scnnb.NETWORKS[name] = functools.partial(_network, name, call)
            criteria.OF_KERNELS[name] = functools.partial(_scores, name, call)
        yield
    except (Exception, SystemExit) as error:
        line = _line(error, custom.path)
        if line is None:
            raise
        kind = "" if is_the_users(error) else type(error).__name__
        said = ": ".join(filter(None, [kind, str(error)]))
        raise UserError(f"{custom.path}:{line}: {said}") from error
    finally:
        for name in custom.functions:
            for each in KNOWN:
                each.pop(name, None)


@functools.cache  # run once: a process of Ray does several jobs
def _run(custom: Custom):
    """The file as a module, which registers layers and rules."""
    module = types.ModuleType(MODULE)
    module.__file__ = custom.path
    sys.modules[MODULE] = module  # so that objects of its classes can be pickled
    exec(compile(custom.source, custom.path, "exec"), module.__dict__)
    return module


def _call(name, function, **arguments):
    """The result of the user's function; UserError if it does not take these arguments."""
    try:
        inspect.signature(function).bind(*arguments.values())
    except TypeError as error:
        accepted = f"a function of ({', '.join(arguments)})"
        raise UserError(f"{name}: expected {accepted}, got another: {error}") from error
    return function(*arguments.values())


def _dataset(name, call):
    arrays = call()
    if not isinstance(arrays, tuple | list) or len(arrays) != 4:
        got = f"{len(arrays)} values" if isinstance(arrays, tuple | list) else type(arrays).__name__
        raise ValueError(f"{name}: expected x_train, y_train, x_test, y_test, got {got}")
    try:
        return dataset.from_raw(name, *map(np.asarray, arrays))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _network(name, call, image_shape, num_classes, _):  # no statistics: --normalize is refused
    from scnnb import reading  # here, because it imports Keras

    network = call(image_shape=image_shape, num_classes=num_classes)
    return reading.checked(network, name, np.zeros((1, *image_shape), np.float32), num_classes)


def _scores(name, call, kernel):
    # of a copy: on some backends, a change of the kernel would change the layer
    scores = call(kernel=np.array(kernel))
    try:
        scores = np.asarray(scores, float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: expected numbers, one per filter: {error}") from error
    if scores.shape != kernel.shape[-1:] or not np.isfinite(scores).all():
        got = f"shape {scores.shape}" if np.isfinite(scores).all() else "NaN or infinity"
        raise UserError(
            f"{name}: expected {kernel.shape[-1]} finite scores, one per filter of a kernel of "
            f"shape {kernel.shape}, got {got}"
        )
    return scores


def _line(error, path):
    """The line of the file at which an error, or its cause, was raised; None if elsewhere."""
    while error:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == path]
        if lines:
            return lines[-1]
        error = error.__cause__
    return None
