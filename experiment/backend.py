"""The one late import of Keras, and packages that are only needed for a flag."""

import contextlib
import importlib
import logging
import os
import sys

from experiment.errors import UserError

WITHOUT_GPUS = {  # each backend, and what hides GPUs from it as it is imported
    "tensorflow": {},
    "jax": {"JAX_PLATFORMS": "cpu"},
    "torch": {"KERAS_TORCH_DEVICE": "cpu"},
}


def chosen():
    """The backend that KERAS_BACKEND names, `tensorflow` if it names none.

    Raises:
        ValueError: it is not one on which Keras can train.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in WITHOUT_GPUS:
        raise ValueError(f"KERAS_BACKEND: expected tensorflow, jax, torch or nothing, got {name!r}")
    return name


def import_keras(gpus=True):
    """Import Keras on the chosen backend, without what TensorFlow's C++ part writes on the way.

    TF_CPP_MIN_LOG_LEVEL reaches that part only after it is loaded; before, it writes straight to
    file descriptor 2. If the variable is 0, nothing is hidden. Python's own warnings arrive in any
    case, but for JAX's of a GPU that it cannot use.

    Args:
        gpus: whether this process may compute on GPUs.

    Raises:
        UserError: a package is missing.
    """
    name = os.environ["KERAS_BACKEND"] = chosen()  # whatever ~/.keras/keras.json says
    hidden = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    if hidden:
        logging.getLogger("jax").setLevel(logging.ERROR)
    if name != "tensorflow":
        sys.modules["tensorflow"] = None  # type: ignore  # Keras would import it to seed it, too
    with _hidden(hidden), variables({} if gpus else WITHOUT_GPUS[name]):
        try:
            import keras  # it takes seconds: not before the arguments are known to be right
        except ImportError as error:
            raise UserError(
                f"KERAS_BACKEND={name}: Keras cannot be imported ({error}); install that, or name "
                "another of tensorflow, jax and torch"
            ) from error
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    if name == "tensorflow" and not gpus:
        sys.modules["tensorflow"].config.set_visible_devices([], "GPU")


def version():
    """The version of the backend that Keras was imported on."""
    return sys.modules[chosen()].__version__


@contextlib.contextmanager
def variables(changes):
    """The environment has these variables inside the `with`, and not in processes started later."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def require(package, flag):
    """Raise UserError if an optional package is missing."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{flag} needs the package {package}, which is not installed; "
            "pip install -r requirements-extra.txt"
        ) from error


@contextlib.contextmanager
def _hidden(hidden):
    """What is written to file descriptor 2 is not seen inside the `with`; `sys.stderr` is."""
    if not hidden or "keras" in sys.modules:  # it writes only once
        yield
        return
    terminal = os.dup(2)
    sys.stderr = open(terminal, "w", buffering=1, errors="backslashreplace")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
