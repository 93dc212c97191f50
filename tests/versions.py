"""What older versions of the tested ranges, or some backends of Keras, cannot do."""

import keras
import pytest

VERSION = tuple(map(int, keras.__version__.split(".")[:2]))


def from_keras(version, reason):
    """The mark of a test that needs a version of Keras, `(major, minor)`, and why."""
    return pytest.mark.skipif(version > VERSION, reason=f"before Keras {version}: {reason}")


def not_on(backend, reason):
    """The mark of a test that does not hold on a backend of Keras, and why."""
    return pytest.mark.skipif(keras.backend.backend() == backend, reason=f"{backend}: {reason}")
