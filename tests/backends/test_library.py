"""The library has the same results on TensorFlow, JAX and PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

from tests.silenced import error, images_for, randomise

ROOT = Path(__file__).parent.parent.parent
# network: the largest accepted difference, as a part of the largest value
ROUNDING = {"parts": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 0.05, "bfloat16": 0.05}
THERE = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name not in THERE,
            reason=f"{name} is not installed; pip install -r tests/backends/requirements.txt",
        ),
    )
    for name in ("tensorflow", "jax", "torch")
]
OTHERS = BACKENDS[1:]  # each is compared with TensorFlow


class Answers(NamedTuple):
    """The results of `tests/backends/library.py` on a backend: numbers and arrays by name."""

    facts: dict
    arrays: dict

    def of(self, kind):
        """The arrays whose names begin with the kind."""
        return {name: values for name, values in self.arrays.items() if name.startswith(kind)}


def conv(filters, size=1, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def parts():
    """Depthwise, shared, nested, coupled, grouped and separable convolutions in one network."""
    images = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(conv(8, 3, name="conv1")(images)))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    shared = conv(8, 3, name="shared")
    x = shared(layers.ReLU()(shared(conv(8, name="before")(x))))
    inside = [conv(6, 3, name="inner", activation="relu"), conv(8, name="outer")]
    block = keras.Sequential([keras.Input((8, 8, 8)), *inside], name="block")
    x = layers.Add()([block(x), conv(8, name="projection")(x), block(layers.ReLU()(x))])
    x = layers.Concatenate()([conv(8, 3, groups=2, name="grouped")(x), conv(4, name="branch")(x)])
    x = layers.MaxPooling2D(2)(layers.SeparableConv2D(6, 3, activation="relu")(x))
    x = layers.Dense(7, activation="relu")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(5, "softmax")(x))


def of_precision(policy):
    images = keras.Input((8, 8, 3))
    x = conv(6, 3, name="conv1", dtype=policy)(images)
    x = layers.ReLU(dtype=policy)(layers.BatchNormalization(dtype=policy)(x))
    x = conv(5, 3, name="conv2", dtype=policy)(x)
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    return keras.Model(images, layers.Dense(4, dtype=policy)(x))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """`{backend: Answers}` of the installed backends."""
    folder = tmp_path_factory.mktemp("backends")
    model = randomise(parts())
    model.save(folder / "parts.keras")
    for policy in [name for name in ROUNDING if name != "parts"]:
        randomise(of_precision(policy)).save(folder / f"{policy}.keras")
    np.save(folder / "images.npy", images_for(model, 60))
    np.save(folder / "labels.npy", np.random.default_rng(2).integers(0, 5, 60))
    processes = {name: start(name, folder) for name in THERE}
    for process in processes.values():  # all networks are stored before any is loaded
        process.stdout.readline()
    for process in processes.values():
        process.stdin.close()
    for name, process in processes.items():
        assert process.wait() == 0, (folder / f"{name}.txt").read_text()
        process.stdout.close()
    return {
        name: Answers(
            json.loads((folder / f"{name}.json").read_text()), dict(np.load(folder / f"{name}.npz"))
        )
        for name in THERE
    }


def start(backend, folder):
    with open(folder / f"{backend}.txt", "w") as messages:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.backends.library", folder],
            cwd=ROOT,
            env=os.environ | {"KERAS_BACKEND": backend},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
        )


def assert_equal(arrays, expected):
    """The arrays have the same names and exactly the same values."""
    assert arrays.keys() == expected.keys() and arrays
    for name, values in expected.items():
        np.testing.assert_array_equal(arrays[name], values, err_msg=name)


def assert_near(arrays, expected, rounding):
    """The arrays have the same names; values differ by a part of the largest of each array."""
    assert arrays.keys() == expected.keys() and len(arrays) >= 2
    for name, values in expected.items():
        largest = rounding * np.abs(values).max()  # a map of one value has no deviation
        np.testing.assert_allclose(arrays[name], values, rtol=0, atol=largest, err_msg=name)


@pytest.mark.parametrize("backend", OTHERS)
def test_costs_stages_plans_and_accuracies_are_equal(backend, answers):
    results, expected = (dict(answers[name].facts) for name in (backend, "tensorflow"))
    for facts in (results, expected):
        del facts["relative error, effect"]
    assert results == expected
    assert len({row["accuracy"] for row in results["sensitivity, l1"][1]}) > 3


@pytest.mark.parametrize("backend", OTHERS)
def test_the_same_filters_are_kept_with_the_same_weights(backend, answers):
    weights, expected = answers[backend].of("weight"), answers["tensorflow"].of("weight")
    assert_equal(weights, expected)
    shapes = {name: values.shape for name, values in weights.items() if "kernel" in name}
    assert len(shapes) > 100 and len(set(shapes.values())) > 20


@pytest.mark.parametrize("backend", OTHERS)
def test_kernels_have_the_same_scores(backend, answers):
    expected = answers["tensorflow"].of("kernel score")
    assert_equal(answers[backend].of("kernel score"), expected)


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", ROUNDING)
def test_feature_maps_have_the_same_scores_within_rounding(backend, name, answers):
    results, expected = (answers[each].of(f"score of {name}") for each in (backend, "tensorflow"))
    assert_near(results, expected, ROUNDING[name])


@pytest.mark.parametrize("backend", OTHERS)
def test_changes_of_the_loss_are_equal_within_rounding(backend, answers):
    results, expected = (answers[each].of("change of") for each in (backend, "tensorflow"))
    assert results.keys() == expected.keys() and len(results) > 8
    for each, scores in expected.items():
        rounding = ROUNDING["parts"] * max(values.max() for values in expected.values())
        np.testing.assert_allclose(results[each], scores, rtol=0, atol=rounding, err_msg=each)
    assert sum(np.ptp(scores) > 0 for scores in expected.values()) > 8


@pytest.mark.parametrize("backend", OTHERS)
def test_scales_are_equal(backend, answers):
    expected = answers["tensorflow"].of("scale of")
    assert_equal(answers[backend].of("scale of"), expected)


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", ROUNDING)
def test_new_statistics_are_equal_within_rounding(backend, name, answers):
    kind = f"statistic of {name}:"
    results, expected = (answers[each].of(kind) for each in (backend, "tensorflow"))
    assert_near(results, expected, ROUNDING[name])
    assert all(np.ptp(values) > 0 for values in expected.values())


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", ROUNDING)
def test_compensated_biases_are_equal_within_rounding(backend, name, answers):
    kind = f"compensated {name}:"
    results, expected = (answers[each].of(kind) for each in (backend, "tensorflow"))
    assert_near(results, expected, ROUNDING[name])
    if name == "parts":
        plain = answers[backend].of("weight of parts, l1:")
        changed = [
            each.partition(": ")[2]
            for each, values in plain.items()
            if not np.array_equal(values, results[each.replace("weight of parts, l1:", kind)])
        ]
        assert len(changed) > 5 and all(each.endswith("bias") for each in changed)


@pytest.mark.parametrize("backend", OTHERS)
def test_a_stored_network_has_the_same_outputs_on_every_backend(backend, answers):
    for reader, author in [*((backend, other) for other in THERE), ("tensorflow", backend)]:
        for name, rounding in ROUNDING.items():
            expected = answers[author].arrays[f"answer of {name}"]
            outputs = answers[reader].arrays[f"answer to {author}'s {name}"]
            assert error([outputs], [expected]) < rounding, (reader, author, name)


@pytest.mark.parametrize("backend", OTHERS)
def test_a_pruned_network_equals_the_silenced_one(backend, answers):
    difference, effect = answers[backend].facts["relative error, effect"]
    assert difference < 1e-5 and effect > 1e-2
