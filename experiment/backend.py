"""The one late import of Keras, and packages that are only needed for a flag."""

import importlib
import os
import sys

from experiment.errors import UserError


def import_keras():
    """Import Keras on TensorFlow, without what TensorFlow's C++ part writes on the way.

    TF_CPP_MIN_LOG_LEVEL reaches that part only after it is loaded; before, it writes straight to
    file descriptor 2. If the variable is 0, nothing is hidden. Python's own warnings arrive in any
    case.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    hidden = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    hidden = hidden and "keras" not in sys.modules  # it writes only once
    if hidden:
        terminal = os.dup(2)
        sys.stderr = open(terminal, "w", buffering=1, errors="backslashreplace")
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
    try:
        import keras  # it takes seconds: not before the arguments are known to be right
    finally:
        if hidden:
            os.dup2(terminal, 2)
    keras.config.set_image_data_format("channels_last")  # whatever ~/.keras/keras.json says
    keras.config.set_floatx("float32")


def require(package, flag):
    """Raise UserError if an optional package is missing."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{flag} needs the package {package}, which is not installed; "
            "pip install -r requirements-extra.txt"
        ) from error
