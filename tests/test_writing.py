"""pruning/exports/writing.py: which file is written, and what is an error."""

import dataclasses
import errno
import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import pruning
from pruning.exports import FORMATS
from pruning.exports.inference import for_inference
from pruning.exports.writing import bytes_of

IMAGES = np.random.default_rng(0).random((40, 8, 8, 3), np.float32)


def network(filters=2):
    middle = [layers.Conv2D(filters, 3), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *middle])


def break_format(patch, name, writer):
    """Replace the function that writes files of this format."""
    patch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], writer=writer))


def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path, monkeypatch):
    def fail_half_way(model, partial, *options):
        Path(partial).write_text("half")
        raise RuntimeError("no such operation\nand much more")

    for name in ("litert", "saved-model"):
        path = FORMATS[name].path_of(tmp_path / "model0.5")
        before = pruning.export(network(64), path, name)
        assert before == bytes_of(path)
        with monkeypatch.context() as patch:
            break_format(patch, name, fail_half_way)
            with pytest.raises(
                ValueError, match=f"cannot be written as {name}: no such operation$"
            ):
                pruning.export(network(), path, name)
        assert bytes_of(path) == before
        assert pruning.export(network(), path, name) == bytes_of(path) < before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "images", "message"),
    [
        ("tflite", IMAGES, "file_format: expected litert, litert-int8, .*, got 'tflite'"),
        ("litert-int8", None, "images: expected a few hundred training images for litert-int8"),
        ("litert-int8", IMAGES[:0], "images: expected a few hundred .*, got none"),
    ],
)
def test_an_unknown_format_and_missing_images_are_errors(tmp_path, name, images, message):
    with pytest.raises(ValueError, match=message):
        pruning.export(network(), tmp_path / "x", name, images=images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("litert", "as litert: LiteRT has no operation MatrixInverse$"),
        ("onnx", "as onnx: No Op registered for MatrixInverse "),
    ],
)
def test_an_operation_that_the_runtime_does_not_have_is_an_error(tmp_path, name, message):
    images = keras.Input((3, 3))
    model = keras.Model(images, keras.ops.inv(images))
    with pytest.raises(ValueError, match=message):
        pruning.export(model, FORMATS[name].path_of(tmp_path / "x"), name)
    assert not list(tmp_path.iterdir())


def networks():
    """Two networks of the same shapes that give different answers."""
    answer = [layers.Flatten(), layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((8, 8, 3)), *answer]), keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(-1), *answer]
    )


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "litert-int8"])
def test_a_file_that_gives_other_answers_is_an_error_and_is_deleted(tmp_path, monkeypatch, name):
    right, other = networks()
    path = FORMATS[name].path_of(tmp_path / "x")
    writer = FORMATS[name].writer
    break_format(monkeypatch, name, lambda model, *how: writer(for_inference(other), *how))
    message = f"cannot be written as {name}: the file differs from Keras by up to .*% of the "
    with pytest.raises(ValueError, match=message):
        pruning.export(right, path, name, images=IMAGES)
    assert not list(tmp_path.iterdir())
    assert pruning.export(right, path, name) == bytes_of(path)  # nothing is checked


def test_a_file_that_gives_other_answers_does_not_replace_the_old_file(tmp_path, monkeypatch):
    right, other = networks()
    path = tmp_path / "x.onnx"
    pruning.export(right, path, "onnx", images=IMAGES)
    before, writer = path.read_bytes(), FORMATS["onnx"].writer
    break_format(monkeypatch, "onnx", lambda model, *how: writer(for_inference(other), *how))
    with pytest.raises(ValueError, match="the file differs from Keras"):
        pruning.export(right, path, "onnx", images=IMAGES)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_an_int8_file_of_other_shapes_or_that_does_not_run_is_an_error(tmp_path, monkeypatch):
    path, writer = tmp_path / "x.tflite", FORMATS["litert-int8"].writer
    other = for_inference(network(filters=5))
    break_format(monkeypatch, "litert-int8", lambda model, *how: writer(other, *how))
    message = r"the file gives answers of shape \[\(40, 5\)\], but Keras gives \[\(40, 2\)\]"
    with pytest.raises(ValueError, match=message):
        pruning.export(network(), path, "litert-int8", images=IMAGES)
    break_format(
        monkeypatch, "litert-int8", lambda model, partial, *how: Path(partial).write_text("none")
    )
    with pytest.raises(ValueError, match="^sequential.* cannot be written as litert-int8: "):
        pruning.export(network(), path, "litert-int8", images=IMAGES)
    assert not list(tmp_path.iterdir())


def test_images_are_checked_in_the_type_that_the_network_takes(tmp_path):
    integers = (255 * IMAGES).astype(np.uint8)
    for images in (integers, IMAGES.astype(np.float64)):
        assert pruning.export(network(), tmp_path / "x.onnx", "onnx", images=images) > 0


def test_the_runtime_is_needed_only_to_check_the_file(tmp_path, monkeypatch):
    find = importlib.util.find_spec

    def without(*names):
        monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in names else find(n))

    path = tmp_path / "x"
    without("onnxruntime", "ai_edge_litert")
    assert pruning.export(network(), path, "onnx") > 0
    message = "checking the file on images needs onnxruntime, which is not installed; pip install"
    with pytest.raises(ImportError, match=message):
        pruning.export(network(), path, "onnx", images=IMAGES)
    message = "on images needs ai-edge-litert, which is not installed; pip install ai-edge-litert$"
    with pytest.raises(ImportError, match=message):
        pruning.export(network(), path, "litert-int8", images=IMAGES)
    without("tf2onnx")
    with pytest.raises(ImportError, match="^onnx needs tf2onnx, which is not installed; pip inst"):
        pruning.export(network(), path, "onnx")


@pytest.mark.parametrize("name", FORMATS)
def test_another_backend_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    message = "^KERAS_BACKEND: expected tensorflow for export, got jax; save the model as .keras"
    with pytest.raises(ValueError, match=message):
        pruning.export(network(), tmp_path / "x", name, images=IMAGES)


def test_a_subclassed_network_is_an_error(tmp_path):
    class Own(keras.Model):
        def call(self, images):
            return 2 * images

    model = Own(name="own")
    model(IMAGES)
    with pytest.raises(ValueError, match="^own cannot be written as litert: expected a Functional"):
        pruning.export(model, tmp_path / "x.tflite", "litert")


def test_a_full_disk_that_tensorflow_reports_is_an_os_error(tmp_path, monkeypatch):
    def fill(model, partial, *options):
        raise tf.errors.ResourceExhaustedError(None, None, f"{partial}; No space left on device")

    break_format(monkeypatch, "saved-model", fill)
    with pytest.raises(OSError) as caught:
        pruning.export(network(), tmp_path / "x", "saved-model")
    assert caught.value.errno == errno.ENOSPC
