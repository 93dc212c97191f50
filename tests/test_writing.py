"""pruning/exports/writing.py: what is put in place, and what is refused."""

import dataclasses
import errno
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import pruning
from pruning.exports import FORMATS
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
