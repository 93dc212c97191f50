"""experiment/measuring.py: size, accuracy and latency of an exported file."""

import keras
import numpy as np
import pytest
from keras import layers

import pruning
from experiment import measuring
from pruning.exports import FORMATS
from pruning.exports.onnx import ONNX
from scnnb import endings
from scnnb.endings import Ending

HOW = {"classes": Ending(3, False).classes, "threads": 1}


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
    measured, wrong = measuring.measure(path, ONNX, images, labels, images.reshape(5, 3), **HOW)
    assert wrong == ""
    assert measured["accuracy"] == 3 / 5
    assert measured["bytes"] == path.stat().st_size
    assert 0 < measured["latency_ms"] < 1000


@pytest.mark.parametrize("file_format", ["litert-int8", "onnx"])
@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_the_classes_of_a_file_with_one_output_are_those_of_its_ending(
    tmp_path, activation, file_format
):
    """The logit of an image is 2 times its pixel: class 1 from the probability 1/2 on."""
    pixels = np.array([-1.0, -0.5, -0.2, 0.2, 0.5, 1.0], np.float32).reshape(6, 1, 1, 1)
    images, kind = keras.Input((1, 1, 1)), FORMATS[file_format]
    dense = layers.Dense(1, activation, kernel_initializer=keras.initializers.Constant(2))
    model = keras.Model(images, dense(layers.Flatten()(images)))
    path = kind.path_of(tmp_path / "one")
    pruning.export(model, path, file_format, images=pixels)
    how = {"classes": endings.of(model).classes, "threads": 1}
    labels = np.array([0, 0, 0, 1, 1, 0])
    measured, wrong = measuring.measure(path, kind, pixels, labels, model(pixels).numpy(), **how)
    assert (measured["accuracy"], wrong) == (5 / 6, "")


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
    _, wrong = measuring.measure(path, ONNX, images, np.zeros(5), expected, **HOW)
    assert wrong.startswith(fault.replace("e.00", "e+00")) and bool(wrong) == bool(fault)


def test_several_outputs_cannot_be_measured(tmp_path):
    images, path = keras.Input((1, 1, 3)), tmp_path / "two.onnx"
    pruning.export(keras.Model(images, [2 * images, 3 * images]), path, "onnx")
    with pytest.raises(ValueError, match="two.onnx: expected one input, .* got several; such"):
        measuring.measure(path, ONNX, np.ones((5, 1, 1, 3), "float32"), None, None, **HOW)
