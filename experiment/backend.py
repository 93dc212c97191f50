"""Import Keras on the chosen backend, and check the packages that a flag needs."""

import contextlib
import importlib
import logging
import os
import sys

from experiment.errors import UserError

WITHOUT_GPUS = {  # backend: environment variables that hide the GPUs when it is imported
    "tensorflow": {},
    "jax": {"JAX_PLATFORMS": "cpu"},
    "torch": {"KERAS_TORCH_DEVICE": "cpu"},
}


def chosen():
    """The backend in KERAS_BACKEND, or `tensorflow` if the variable is not set.

    Raises:
        ValueError: Keras cannot train on that backend.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in WITHOUT_GPUS:
        raise ValueError(
            f"KERAS_BACKEND: expected tensorflow, jax or torch, got {name!r}; set one of them, or "
            "unset it for tensorflow"
        )
    return name


def import_keras(gpus=True):
    """Import Keras on the chosen backend, and hide the messages of TensorFlow's C++ code.

    While it is loaded, that code ignores TF_CPP_MIN_LOG_LEVEL and writes to file descriptor 2. If
    the variable is 0, nothing is hidden. Python's own warnings are shown, except JAX's warning of
    a GPU that it cannot use.

    Args:
        gpus: whether this process may use GPUs.

    Raises:
        UserError: a package is missing.
    """
    name = os.environ["KERAS_BACKEND"] = chosen()  # else Keras reads ~/.keras/keras.json
    hidden = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    if hidden:
        logging.getLogger("jax").setLevel(logging.ERROR)
    if name != "tensorflow":
        sys.modules["tensorflow"] = None  # type: ignore  # else Keras imports it to set its seed
    with _hidden(hidden), variables({} if gpus else WITHOUT_GPUS[name]):
        try:
            import keras  # takes seconds, so it is imported after the arguments are checked
        except ImportError as error:
            raise UserError(
                f"KERAS_BACKEND={name}: Keras cannot be imported ({error}); install the missing "
                "package, or set another backend: tensorflow, jax or torch"
            ) from error
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    if name == "tensorflow" and not gpus:
        sys.modules["tensorflow"].config.set_visible_devices([], "GPU")


def version():
    """The version of the backend."""
    return sys.modules[chosen()].__version__


@contextlib.contextmanager
def variables(changes):
    """Set these environment variables inside the `with`; after it, they are as before."""
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
    """Check that the optional package of a flag is installed.

    Raises:
        UserError: it is not installed.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{flag} requires the package {package}, which is not installed; "
            "pip install -r requirements-extra.txt"
        ) from error


@contextlib.contextmanager
def _hidden(hidden):
    """Inside the `with`, hide the output to file descriptor 2, but not that to `sys.stderr`."""
    if not hidden or "keras" in sys.modules:  # TensorFlow writes only at the first import
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
