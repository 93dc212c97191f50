"""scnnb/training.py: what a training depends on, what it prints, and how accuracy is measured."""

import gc
import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from scnnb import backup, training
from scnnb.augmentation import AUGMENTATIONS


@pytest.fixture
def dataset():
    """16 images, bright ones of class 1 and dark ones of class 0, for training and test."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 16).astype(np.int32)
    images = rng.uniform(0, 0.3, (16, 8, 8, 1)) + 0.7 * labels[:, None, None, None]
    return SimpleNamespace(
        train_images=images.astype("float32"),
        train_labels=labels,
        test_images=images.astype("float32"),
        test_labels=labels,
    )


OPTIONS = {
    "epochs": 2,
    "batch_size": 4,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "augment": "",
}


def network(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dropout(0.5),
            layers.Dense(2, "softmax"),
        ]
    )


def trained(dataset, *, seed, **changes):
    model = network(seed)
    training.train(model, dataset, **OPTIONS | changes)
    return b"".join(weight.tobytes() for weight in model.get_weights())


@pytest.mark.parametrize("augment", ["", *AUGMENTATIONS])
@pytest.mark.usefixtures("eager")
def test_the_weights_depend_on_the_seed_only(dataset, augment):
    weights = trained(dataset, seed=1, augment=augment)
    assert trained(dataset, seed=1, augment=augment) == weights
    assert trained(dataset, seed=2, augment=augment) != weights


@pytest.mark.usefixtures("eager")
def test_an_augmented_training_uses_every_image_once_per_epoch(dataset, monkeypatch):
    """Without shifts and flips, the images are those of the dataset, in another order."""
    seen = []

    def record(images, rng, black):
        seen.append(images)
        return images

    monkeypatch.setitem(AUGMENTATIONS, "crop-flip", record)
    trained(dataset, seed=1, augment="crop-flip", epochs=2, batch_size=6)
    seen = seen[-6:]  # Keras reads some batches before the training begins
    assert [len(images) for images in seen] == [6, 6, 4] * 2
    images = np.concatenate(seen)
    expected = np.sort(dataset.train_images.sum(axis=(1, 2, 3)))
    first, second = images[:16].sum(axis=(1, 2, 3)), images[16:].sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(np.sort(first), expected)
    np.testing.assert_array_equal(np.sort(second), expected)
    assert (first != second).any()


@pytest.mark.usefixtures("eager")
def test_test_images_are_never_augmented(dataset, monkeypatch):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, "softmax")])
    options = {"epochs": 1, "batch_size": 4, "optimizer": "adam", "learning_rate": 0.01}
    training.train(model, dataset, **options, augment="crop-flip")
    monkeypatch.setitem(AUGMENTATIONS, "crop-flip", None)
    answers = np.argmax(model(dataset.test_images).numpy(), axis=-1)
    assert training.accuracy(model, dataset.test_images, dataset.test_labels) == np.mean(
        answers == dataset.test_labels
    )


@pytest.mark.usefixtures("eager")
def test_each_argument_changes_the_trained_weights(dataset):
    usual = trained(dataset, seed=1)
    for change in (
        {"epochs": 1},
        {"batch_size": 5},
        {"optimizer": "sgd"},
        {"learning_rate": 0.02},
        {"augment": "flip"},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
    ):
        assert trained(dataset, seed=1, **change) != usual, change


def test_a_training_learns_an_easy_dataset(dataset):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, "softmax")])
    history = training.train(
        model,
        dataset,
        epochs=60,
        batch_size=4,
        optimizer="adam",
        learning_rate=0.01,
        augment="",
    )
    assert training.accuracy(model, dataset.test_images, dataset.test_labels) == 1
    assert [row["epoch"] for row in history] == [*range(1, 61)]
    assert history[-1]["training_accuracy"] == 1 > history[0]["training_accuracy"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert {row["learning_rate"] for row in history} == {0.01}
    assert all(row["seconds"] > 0 for row in history)


def test_after_every_epoch_the_accuracy_on_validation_images_is_that_of_the_model(dataset):
    validation, expected = (dataset.train_images[:9], dataset.train_labels[:9]), []

    def end(epoch, logs):
        expected.append(training.accuracy(watch.model, *validation))

    watch = keras.callbacks.LambdaCallback(on_epoch_end=end)
    options = OPTIONS | {"epochs": 8, "learning_rate": 0.03}
    model, without = network(seed=1), network(seed=1)
    keras.utils.set_random_seed(1)
    history = training.train(model, dataset, **options, validation=validation, callbacks=[watch])
    assert [row["validation_accuracy"] for row in history] == expected
    assert len(set(expected)) > 1
    keras.utils.set_random_seed(1)
    training.train(without, dataset, **options)
    for one, other in zip(model.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_sgd_gets_momentum_and_weight_decay():
    config = training.OPTIMIZERS["sgd"](0.5, 0.01, 0.75, True).get_config()
    expected = {"learning_rate": 0.5, "weight_decay": 0.01, "momentum": 0.75, "nesterov": True}
    assert config | expected == config


@pytest.mark.usefixtures("eager")
def test_in_a_file_there_is_one_line_per_epoch(dataset, capsys):
    trained(dataset, seed=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf"epoch {number}/2  loss \d+\.\d{{4}}  training accuracy \d\.\d{{4}}  \d+\.\d s", line
        )


@pytest.mark.usefixtures("eager")
def test_in_a_file_the_time_left_is_at_the_end_of_the_line(dataset, tmp_path, capsys):
    texts = []

    def left():  # called after the epoch is in the backup
        texts.append(f"{10 * (2 - backup.progress(file)[0])} min left" if texts else "")
        return texts[-1]

    file = tmp_path / "a.npz"
    trained(dataset, seed=1, backup=file, callbacks=[training.EpochLines(left)])
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"epoch 1/2  loss .*  training accuracy .*  \d+\.\d s", first)
    assert re.fullmatch(r"epoch 2/2  loss .*  training accuracy .*  \d+\.\d s  0 min left", second)


@pytest.mark.usefixtures("eager")
def test_on_a_terminal_the_time_left_is_on_the_line_below_the_bar(dataset, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    times = iter(["about 12 min left", ""])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        trained(dataset, seed=1, callbacks=[training.EpochLines(lambda: next(times))])
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in terminal.getvalue().split("\n")]
    epoch1, bar1, left, epoch2, bar2, after = lines
    assert (epoch1, left, epoch2, after) == ("Epoch 1/2", "about 12 min left", "Epoch 2/2", "")
    for bar in (bar1, bar2):
        assert re.split("[\r\b]+", bar)[-1].startswith("4/4 ")


@pytest.mark.usefixtures("eager")
def test_a_diverged_training_is_an_error(dataset):
    with pytest.raises(ValueError, match="training diverged: expected a finite loss, got .*; give"):
        trained(dataset, seed=1, learning_rate=1e30)


@pytest.mark.parametrize("pixels", [1, 3, 4, 100])
def test_accuracy_is_the_part_of_right_answers_for_every_batch_size(monkeypatch, pixels):
    monkeypatch.setattr(training, "EVALUATION_PIXELS", pixels)
    model = keras.Sequential(
        [
            keras.Input((1, 1, 3)),
            layers.Flatten(),  # the image is the answer
            layers.Dropout(0.9),  # must do nothing outside of training
        ]
    )
    answers = np.array([0, 1, 2, 2, 1, 0, 0])
    images = np.eye(3, dtype="float32")[answers].reshape(7, 1, 1, 3)
    dataset = SimpleNamespace(test_images=images, test_labels=np.array([0, 1, 2, 2, 2, 2, 0]))
    assert training.accuracy(model, dataset.test_images, dataset.test_labels) == 5 / 7


def test_the_optimizer_of_a_finished_training_is_removed_from_memory():
    """Adam's moments take 48 MB here. Measured after the first training, which fills caches."""
    keras.utils.set_random_seed(0)
    images = keras.Input((40, 50, 1))
    hidden = layers.Dense(3000, "relu")(layers.Flatten()(images))
    model = keras.Model(images, layers.Dense(2, "softmax")(hidden))
    small = SimpleNamespace(
        train_images=np.ones((8, 40, 50, 1), np.float32), train_labels=np.zeros(8, np.int32)
    )
    resident = []
    for _ in range(4):
        options = {"epochs": 1, "batch_size": 8, "optimizer": "adam", "learning_rate": 0.001}
        training.train(model, small, **options, augment="")
        gc.collect()
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
        except OSError:
            pytest.skip("this system does not report the memory of a process")
        resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    assert resident[-1] - resident[0] < 48
