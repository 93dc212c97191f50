"""Fixtures and settings for all tests."""

import functools
import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SAMPLE = Path(__file__).parent / "fashion_sample.npz"


def pytest_collection_finish():
    """Freeze what is imported, so that the gc.collect() before a training need not search it."""
    gc.freeze()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The path of a dataset of 40 real images of all ten classes."""
    file = tmp_path_factory.mktemp("few") / "few.npz"
    with np.load(SAMPLE) as stored:
        np.savez(file, **{key: value[:40] for key, value in stored.items()})
    return file


@pytest.fixture
def small(tmp_path):
    """The path of a network of two convolutions, 4 and 6 filters, for the images of `few`."""
    # imported late, because the process that gives the tests to others needs no Keras
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1))
    x = layers.Conv2D(6, 3, 2, name="conv2")(layers.Conv2D(4, 3, 2, name="conv1")(images))
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


def draw(csv, png):
    """Write an empty file in place of the figures of a CSV, which take seconds."""
    png.touch()
    return [png]


@pytest.fixture
def untrained(monkeypatch):
    """Leave the weights as they are where `call` would train them, which takes half a second."""
    from scnnb import training

    history = [{"epoch": 1, "loss": 1.0, "training_accuracy": 0.0, "seconds": 1.0, "taken": 1}]
    monkeypatch.setattr(training, "train", lambda *args, **options: history)


@pytest.fixture
def forgotten():
    """After the test, forget the rules and classes that were registered in it."""
    import keras

    from pruning import rules

    dicts = [rules.RULES, keras.saving.get_custom_objects()]
    before = [each.copy() for each in dicts]
    yield
    for each, content in zip(dicts, before, strict=True):
        each.clear()
        each.update(content)


@pytest.fixture
def eager(monkeypatch):
    """Train step by step, without a graph: to trace one takes longer than a few tiny steps."""
    import keras

    compile_eagerly = functools.partialmethod(keras.Model.compile, run_eagerly=True)
    monkeypatch.setattr(keras.Model, "compile", compile_eagerly)


@pytest.fixture
def call(monkeypatch, capsys, eager):
    """Call formal.py in this process: `call(folder, *arguments)` -> status, stdout, stderr.

    It trains without a graph, measures every time once, and draws no figure of the rows.
    """
    import formal
    from experiment import curve_figure
    from pruning import timing

    for name, number in {"WARM_UP": 0, "CALLS": 1, "LEAST_CALLS": 1}.items():
        monkeypatch.setattr(timing, name, number)
    monkeypatch.setattr(curve_figure, "draw", draw)

    def main(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["formal.py", *map(str, arguments)])
        status = formal.main()
        return status, *capsys.readouterr()

    return main
