"""pruning/exports/: files of every format, as their own runtimes read them."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import pruning
import scnnb
from experiment import measuring
from pruning import sensitivity
from pruning.exports import FORMATS
from pruning.exports.writing import bytes_of
from tests.versions import from_keras

IMAGES = np.random.default_rng(0).random((40, 16, 16, 3), np.float32)


def network():
    """A network with an Add, BatchNormalization, Flatten and Dense."""
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
    full = randomised(network())
    return full, pruning.prune(full, 0.5)


def exported(model, folder, name, **options):
    path = FORMATS[name].path_of(folder / "model0.5")
    options = {"images": IMAGES} | options
    return path, pruning.export(model, path, name, **options)


@pytest.mark.parametrize("name", FORMATS)
def test_a_pruned_network_answers_the_same_in_its_runtime_and_is_smaller(models, tmp_path, name):
    sizes = {}
    for model in models:
        path, size = exported(model, tmp_path, name)
        assert size == bytes_of(path)
        sizes[model] = size
        answer = FORMATS[name].load(path, threads=2)
        tolerance = 0.1 if name == "litert-int8" else 1e-5
        np.testing.assert_allclose(answer(IMAGES), model(IMAGES), atol=tolerance)
    full, pruned = sizes.values()
    assert pruned < full
    assert len(list(tmp_path.iterdir())) == 1  # nothing partial is left


@pytest.mark.parametrize("name", FORMATS)
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
    answers = FORMATS[name].load(path, threads=1)(IMAGES)
    np.testing.assert_allclose(answers, plain(IMAGES), atol=tolerance)


@pytest.mark.parametrize("invert", [False, True])
def test_a_normalization_given_or_adapted_is_part_of_an_onnx_file(invert, tmp_path):
    values = {"mean": [0.4, 0.5, 0.6], "variance": [0.2, 0.0, 4.0]}
    adapted = layers.Normalization()
    adapted.adapt(IMAGES)
    stack = [layers.Normalization(**values, invert=invert), layers.Conv2D(2, 3), layers.Flatten()]
    model = keras.Sequential([keras.Input((16, 16, 3)), adapted, *stack])
    path, _ = exported(model, tmp_path, "onnx")
    answers, expected = FORMATS["onnx"].load(path, threads=1)(IMAGES), model(IMAGES).numpy()
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


def test_values_that_are_no_weights_are_an_error_in_onnx_that_names_them(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 2)), layers.Normalization(axis=1)])
    model.layers[0].adapt(IMAGES[:, :4, :4, :2])
    with pytest.raises(ValueError, match="expected a file of 1 inputs, got .*normaliz"):
        pruning.export(model, tmp_path / "a.onnx", "onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=from_keras((3, 15), "LiteRT files name no inputs"))
        if "litert" in name
        else name
        for name in FORMATS
    ],
)
def test_several_inputs_and_outputs_are_in_the_order_of_the_model(name, tmp_path):
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model([first, second], [first - 2 * second, first + second, 3 * second])
    path = FORMATS[name].path_of(tmp_path / "several")
    one, two = np.random.default_rng(0).random((2, 40, 2), np.float32)
    pruning.export(model, path, name, images=[one, two])
    found = FORMATS[name].load(path, threads=1)([one, two])
    tolerance = 0.05 if name == "litert-int8" else 1e-5
    for answer, expected in zip(found, [one - 2 * two, one + two, 3 * two], strict=True):
        np.testing.assert_allclose(answer, expected, atol=tolerance)


@pytest.mark.slow
def test_an_export_that_succeeds_prints_nothing(tmp_path):
    code = """
import sys, keras, numpy, pruning
from pruning import sensitivity
from pruning.exports import FORMATS
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
for stream in (sys.stdout, sys.stderr):
    print("begin", file=stream, flush=True)
for name in FORMATS:
    pruning.export(model, "x" + name + ".tflite", name, images=numpy.ones((3, 8, 8, 3)))
"""
    variables = {"PYTHONPATH": str(Path(pruning.__file__).parent.parent)}
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
    for kind in FORMATS:
        path = FORMATS[kind].path_of(tmp_path / "pruned")
        pruning.export(pruned, path, kind, images=images)
        measured, wrong = measuring.measure(
            path,
            FORMATS[kind],
            images,
            labels,
            expected,
            classes=sensitivity.most_probable,
            threads=2,
        )
        assert wrong == "", kind
        assert measured["accuracy"] == 1 or kind == "litert-int8"
    int8, float32 = (
        bytes_of(FORMATS[kind].path_of(tmp_path / "pruned")) for kind in ("litert-int8", "litert")
    )
    assert int8 < 0.5 * float32
