"""Marks for tests that older versions or some backends of Keras cannot pass."""

import keras
import pytest

VERSION = tuple(map(int, keras.__version__.split(".")[:2]))


def from_keras(version, reason):
    """Mark that skips a test before a version of Keras, `(major, minor)`, with the reason."""
    return pytest.mark.skipif(version > VERSION, reason=f"before Keras {version}: {reason}")


def not_on(backend, reason):
    """Mark that skips a test on a backend of Keras, with the reason."""
    return pytest.mark.skipif(keras.backend.backend() == backend, reason=f"{backend}: {reason}")
