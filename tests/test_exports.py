"""pruning/exports.py: files of every format, as their own runtimes read them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import pruning
import scnnb
from pruning import exports, runtimes

IMAGES = np.random.default_rng(0).random((40, 16, 16, 3), np.float32)


def network():
    """A network with what pruning goes through: addition, BatchNormalization, Flatten, Dense."""
    images = keras.Input((16, 16, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(images)))
    x = layers.MaxPooling2D()(layers.Add()([x, layers.Conv2D(8, 3, padding="same")(x)]))
    return keras.Model(images, layers.Dense(5, "softmax")(layers.Flatten()(x)))


def randomised(model):
    """Every weight random, statistics of BatchNormalization positive."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        values = rng.normal(0, 0.3, weight.shape)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model


@pytest.fixture(scope="module")
def models():
    whole = randomised(network())
    return whole, pruning.prune(whole, 0.5)


def exported(model, folder, name, **options):
    path = exports.path_of(folder / "model0.5", name)
    options = {"images": IMAGES} | options
    return path, pruning.export(model, path, name, **options)


@pytest.mark.parametrize("name", exports.FORMATS)
def test_a_pruned_network_answers_the_same_in_its_runtime_and_is_smaller(models, tmp_path, name):
    sizes = {}
    for model in models:
        path, size = exported(model, tmp_path, name)
        assert size == exports.bytes_of(path)
        sizes[model] = size
        answer = runtimes.load(path, name, threads=2)
        tolerance = 0.1 if name == "litert-int8" else 1e-5
        np.testing.assert_allclose(answer(IMAGES), model(IMAGES), atol=tolerance)
    whole, pruned = sizes.values()
    assert pruned < whole
    assert len(list(tmp_path.iterdir())) == 1  # nothing partial is left


def test_int8_is_int8_inside_and_float32_or_int8_outside(models, tmp_path):
    _, model = models
    float_bytes = exported(model, tmp_path, "litert")[1]
    answers = []
    for int8_io, outside in ((False, np.float32), (True, np.int8)):
        path, size = exported(model, tmp_path, "litert-int8", int8_io=int8_io)
        assert size < float_bytes
        interpreter = Interpreter(str(path))
        interpreter.allocate_tensors()
        (entering,), (leaving,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert entering["dtype"] == leaving["dtype"] == outside
        inside = {tensor["dtype"] for tensor in interpreter.get_tensor_details()} - {outside}
        assert inside <= {np.int8, np.int32}
        answers.append(runtimes.load(path, "litert-int8", threads=1)(IMAGES))
    np.testing.assert_allclose(*answers, atol=0.01)


def test_a_file_is_replaced_when_the_new_one_is_whole(models, tmp_path, monkeypatch):
    def fail_half_way(model, partial, *options):
        Path(partial).write_text("half")
        raise RuntimeError("no such operation\nand much more")

    for name in ("litert", "saved-model"):
        path, _ = exported(models[0], tmp_path, name)
        before = exports.bytes_of(path)
        with monkeypatch.context() as patch:
            patch.setitem(exports._WRITERS, name, fail_half_way)
            with pytest.raises(
                ValueError, match=f"cannot be written as {name}: no such operation$"
            ):
                exported(models[1], tmp_path, name)
        assert exports.bytes_of(path) == before
        assert exported(models[1], tmp_path, name)[1] == exports.bytes_of(path) < before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "images", "message"),
    [
        ("tflite", IMAGES, "format 'tflite' came; give litert, litert-int8, onnx, saved-model"),
        ("litert-int8", None, "litert-int8 came without images; give some hundred training images"),
        ("litert-int8", IMAGES[:0], "litert-int8 came without images"),
    ],
)
def test_what_cannot_be_written_is_refused(models, tmp_path, name, images, message):
    with pytest.raises(ValueError, match=message):
        pruning.export(models[0], tmp_path / "x", name, images=images)
    assert not list(tmp_path.iterdir())


def application(name):
    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    build = getattr(keras.applications, name)
    return build(input_shape=(32, 32, 3), weights=None, classes=10, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*scnnb.NETWORKS, "MobileNetV2", "ResNet50"])
def test_every_network_of_the_zoo_and_two_applications_run_pruned_in_every_format(name, tmp_path):
    keras.utils.set_random_seed(0)
    zoo = name in scnnb.NETWORKS
    model = scnnb.NETWORKS[name]((32, 32, 3), 10) if zoo else application(name)
    pruned = pruning.prune(model, 0.4)
    images = np.random.default_rng(0).random((30, 32, 32, 3), np.float32)
    expected = keras.ops.convert_to_numpy(pruned(images))
    labels = expected.argmax(axis=-1)
    for kind in exports.FORMATS:
        path = exports.path_of(tmp_path / "pruned", kind)
        pruning.export(pruned, path, kind, images=images)
        measured, wrong = runtimes.measure(path, kind, images, labels, expected, threads=2)
        assert wrong == "", kind
        assert measured["accuracy"] == 1 or kind == "litert-int8"
    int8, float32 = (
        exports.bytes_of(exports.path_of(tmp_path / "pruned", kind))
        for kind in ("litert-int8", "litert")
    )
    assert int8 < 0.5 * float32
