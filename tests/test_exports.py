"""pruning/exports.py: files of every format, as their own runtimes read them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
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


@pytest.mark.parametrize("name", exports.FORMATS)
def test_a_network_with_augmentation_in_mixed_precision_runs_in_every_format(name, tmp_path):
    def sequential(*augmentation, policy):
        with_policy = [layers.Conv2D(4, 3, dtype=policy), layers.ReLU(dtype=policy)]
        answer = [layers.GlobalAveragePooling2D(), layers.Dense(5, "softmax")]
        return keras.Sequential([keras.Input((16, 16, 3)), *augmentation, *with_policy, *answer])

    augmentation = [layers.RandomFlip(), layers.RandomRotation(0.1)]
    model = sequential(*augmentation, layers.GaussianNoise(0.1), policy="mixed_float16")
    randomised(model).save(tmp_path / "stored.keras")
    model = keras.models.load_model(tmp_path / "stored.keras")
    plain = sequential(policy="float32")
    plain.set_weights(model.get_weights())
    path, _ = exported(model, tmp_path, name)
    tolerance = 0.1 if name == "litert-int8" else 1e-5
    answers = runtimes.load(path, name, threads=1)(IMAGES)
    np.testing.assert_allclose(answers, plain(IMAGES), atol=tolerance)


@pytest.mark.parametrize("name", exports.FORMATS)
def test_several_inputs_and_outputs_are_in_the_order_of_the_model(name, tmp_path):
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model([first, second], [first - 2 * second, first + second, 3 * second])
    path = exports.path_of(tmp_path / "several", name)
    one, two = np.random.default_rng(0).random((2, 40, 2), np.float32)
    pruning.export(model, path, name, images=[one, two])
    found = runtimes.load(path, name, threads=1)([one, two])
    tolerance = 0.05 if name == "litert-int8" else 1e-5
    for answer, expected in zip(found, [one - 2 * two, one + two, 3 * two], strict=True):
        np.testing.assert_allclose(answer, expected, atol=tolerance)


@pytest.mark.parametrize("images", [IMAGES, [IMAGES], [IMAGES, IMAGES[:5]]])
def test_images_that_do_not_fit_the_inputs_are_refused(tmp_path, images):
    inputs = [keras.Input((16, 16, 3)) for _ in range(2)]
    model = keras.Model(inputs, layers.Add()(inputs))
    with pytest.raises(ValueError, match="arrays of .* examples; give 2, one for each input"):
        pruning.export(model, tmp_path / "x.tflite", "litert-int8", images=images)


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
        exported(model, tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_subclassed_network_is_refused(tmp_path):
    class Own(keras.Model):
        def call(self, images):
            return 2 * images

    model = Own(name="own")
    model(IMAGES)
    with pytest.raises(ValueError, match="^own cannot be written as litert: it is a subclassed"):
        exported(model, tmp_path, "litert")


def test_a_full_disk_is_told_whoever_finds_it(models, tmp_path, monkeypatch):
    def fill(model, partial, *options):
        raise tf.errors.ResourceExhaustedError(None, None, f"{partial}; No space left on device")

    monkeypatch.setitem(exports._WRITERS, "saved-model", fill)
    with pytest.raises(OSError) as caught:
        exported(models[0], tmp_path, "saved-model")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(("level", "shown"), [(None, ""), ("3", ""), ("0", "printed")])
def test_what_is_printed_is_hidden_unless_all_is_asked_for(capfd, monkeypatch, level, shown):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with exports.quiet():
        print("printed")
        os.write(2, b"printed")
    print("after")
    os.write(2, b"after")
    out, err = capfd.readouterr()
    assert (out.replace("\n", ""), err) == (f"{shown}after", f"{shown}after")


@pytest.mark.slow
def test_an_export_that_succeeds_prints_nothing(tmp_path):
    code = """
import sys, keras, numpy, pruning
from pruning import exports
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
for stream in (sys.stdout, sys.stderr):
    print("begin", file=stream, flush=True)
for name in exports.FORMATS:
    pruning.export(model, "x" + name + ".tflite", name, images=numpy.ones((3, 8, 8, 3)))
"""
    variables = {"PYTHONPATH": str(Path(exports.__file__).parent.parent)}
    variables |= {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):  # importing TensorFlow may print
        assert text.partition("begin\n")[2] == ""


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
