"""pruning/exports/writing.py: what is put in place, and what is refused."""

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
    """Have files of this format written by another function."""
    patch.setitem(FORMATS, name, dataclasses.replace(FORMATS[name], writer=writer))


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path, monkeypatch):
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
        ("tflite", IMAGES, "format 'tflite' came; give litert, litert-int8, onnx, saved-model"),
        ("litert-int8", None, "litert-int8 came without images; give some hundred training images"),
        ("litert-int8", IMAGES[:0], "litert-int8 came without images"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, images, message):
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
def test_an_operation_that_the_runtime_does_not_have_is_refused(tmp_path, name, message):
    images = keras.Input((3, 3))
    model = keras.Model(images, keras.ops.inv(images))
    with pytest.raises(ValueError, match=message):
        pruning.export(model, FORMATS[name].path_of(tmp_path / "x"), name)
    assert not list(tmp_path.iterdir())


def networks():
    """Two networks of the same shapes that answer otherwise."""
    answer = [layers.Flatten(), layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((8, 8, 3)), *answer]), keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(-1), *answer]
    )


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "litert-int8"])
def test_a_file_that_answers_otherwise_is_refused_and_nothing_is_left(tmp_path, monkeypatch, name):
    right, other = networks()
    path = FORMATS[name].path_of(tmp_path / "x")
    writer = FORMATS[name].writer
    break_format(monkeypatch, name, lambda model, *how: writer(for_inference(other), *how))
    message = f"cannot be written as {name}: the file differs from Keras by up to .*% of the images"
    with pytest.raises(ValueError, match=message):
        pruning.export(right, path, name, images=IMAGES)
    assert not list(tmp_path.iterdir())
    assert pruning.export(right, path, name) == bytes_of(path)  # nothing is checked


def test_a_file_that_answers_otherwise_leaves_the_one_that_was_there(tmp_path, monkeypatch):
    right, other = networks()
    path = tmp_path / "x.onnx"
    pruning.export(right, path, "onnx", images=IMAGES)
    before, writer = path.read_bytes(), FORMATS["onnx"].writer
    break_format(monkeypatch, "onnx", lambda model, *how: writer(for_inference(other), *how))
    with pytest.raises(ValueError, match="the file differs from Keras"):
        pruning.export(right, path, "onnx", images=IMAGES)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_an_int8_file_of_other_shapes_or_that_does_not_run_is_refused(tmp_path, monkeypatch):
    path, writer = tmp_path / "x.tflite", FORMATS["litert-int8"].writer
    other = for_inference(network(filters=5))
    break_format(monkeypatch, "litert-int8", lambda model, *how: writer(other, *how))
    message = r"the file gives answers of \[\(40, 5\)\], where Keras gives \[\(40, 2\)\]"
    with pytest.raises(ValueError, match=message):
        pruning.export(network(), path, "litert-int8", images=IMAGES)
    break_format(
        monkeypatch, "litert-int8", lambda model, partial, *how: Path(partial).write_text("none")
    )
    with pytest.raises(ValueError, match="^sequential.* cannot be written as litert-int8: "):
        pruning.export(network(), path, "litert-int8", images=IMAGES)
    assert not list(tmp_path.iterdir())


def test_images_are_checked_in_the_type_that_the_network_takes(tmp_path):
    whole = (255 * IMAGES).astype(np.uint8)
    for images in (whole, IMAGES.astype(np.float64)):
        assert pruning.export(network(), tmp_path / "x.onnx", "onnx", images=images) > 0


def test_a_runtime_is_needed_only_to_check(tmp_path, monkeypatch):
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
def test_another_backend_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    message = "^KERAS_BACKEND is jax; export needs KERAS_BACKEND=tensorflow; save the model as .ke"
    with pytest.raises(ValueError, match=message):
        pruning.export(network(), tmp_path / "x", name, images=IMAGES)


def test_a_subclassed_network_is_refused(tmp_path):
    class Own(keras.Model):
        def call(self, images):
            return 2 * images

    model = Own(name="own")
    model(IMAGES)
    with pytest.raises(ValueError, match="^own cannot be written as litert: it is a subclassed"):
        pruning.export(model, tmp_path / "x.tflite", "litert")


def test_a_full_disk_is_told_whoever_finds_it(tmp_path, monkeypatch):
    def fill(model, partial, *options):
        raise tf.errors.ResourceExhaustedError(None, None, f"{partial}; No space left on device")

    break_format(monkeypatch, "saved-model", fill)
    with pytest.raises(OSError) as caught:
        pruning.export(network(), tmp_path / "x", "saved-model")
    assert caught.value.errno == errno.ENOSPC
