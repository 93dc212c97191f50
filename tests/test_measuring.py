"""experiment/measuring.py: size, accuracy and latency of an exported file."""

import keras
import numpy as np
import pytest
from keras import layers

import pruning
from experiment import measuring
from pruning.exports.onnx import ONNX


@pytest.fixture
def one_hot(tmp_path):
    """An exported network whose output is the image, and images of classes 0, 1, 2, 2, 1."""
    images = keras.Input((1, 1, 3))
    path = tmp_path / "one_hot.onnx"
    pruning.export(keras.Model(images, layers.Flatten()(images)), path, "onnx")
    return path, np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 1]].reshape(5, 1, 1, 3)


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_accuracy_is_right_for_every_batch_size(one_hot, monkeypatch, batch):
    monkeypatch.setattr(measuring, "BATCH", batch)
    path, images = one_hot
    labels = np.array([0, 1, 2, 0, 0])
    measured, wrong = measuring.measure(path, ONNX, images, labels, images.reshape(5, 3), threads=1)
    assert wrong == ""
    assert measured["accuracy"] == 3 / 5
    assert measured["bytes"] == path.stat().st_size
    assert 0 < measured["latency_ms"] < 1000


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (0.00005, ""),
        (
            0.0002,
            "differs from Keras by up to 2.0e-04, and gives another class for 0.00% of the im",
        ),
        (2.0, "differs from Keras by up to 2.0e.00, and gives another class for 20.00% of the "),
        (np.nan, "differs from Keras by up to nan, "),
    ],
)
def test_a_file_that_differs_from_keras_has_a_fault(one_hot, change, fault):
    path, images = one_hot
    expected = images.reshape(5, 3).copy()
    expected[0, 1] += change  # class 0 becomes class 1 by 2.0
    _, wrong = measuring.measure(path, ONNX, images, np.zeros(5), expected, threads=1)
    assert wrong.startswith(fault.replace("e.00", "e+00")) and bool(wrong) == bool(fault)


def test_several_outputs_cannot_be_measured(tmp_path):
    images, path = keras.Input((1, 1, 3)), tmp_path / "two.onnx"
    pruning.export(keras.Model(images, [2 * images, 3 * images]), path, "onnx")
    with pytest.raises(ValueError, match="two.onnx: expected one input, .* got several; such"):
        measuring.measure(path, ONNX, np.ones((5, 1, 1, 3), "float32"), None, None, threads=1)
