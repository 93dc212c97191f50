"""Trainings of baselines and trials, in complete runs."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import data
import pruning
from data.split import split
from experiment import record
from scnnb import training
from tests.silenced import randomise

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2


@pytest.mark.slow
def test_augment_changes_every_training(few, small, call):
    losses = []
    for options in ([], ["--augment", "crop-flip"], ["--augment", "crop-flip"]):
        status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, *options)
        assert (status, err) == (0, "")
        losses.append(re.findall(r"loss (\S+)", out))
    assert [len(each) for each in losses] == [2, 2, 0]
    assert all(one != other for one, other in zip(*losses[:2], strict=True))
    rows = record.read_rows(small.parent / "results" / "few.csv")
    assert rows["augment"].tolist() == ["", "crop-flip"]


def test_every_training_gets_its_weights_epochs_and_learning_rate(few, small, call, monkeypatch):
    trainings = []
    original = keras.models.load_model(small).get_layer("conv1").get_weights()[0]

    def train(model, dataset, *, epochs, learning_rate, augment, label_smoothing, **others):
        assert augment and label_smoothing == 0.1 and others["class_weights"] == "balanced"
        old = np.isin(model.get_layer("conv1").get_weights()[0], original).all()
        trainings.append((model.count_params(), epochs, learning_rate, old, others["teacher"]))
        return [{"epoch": 1, "loss": 1.0, "training_accuracy": 0.0, "seconds": 1.0, "taken": 1}]

    monkeypatch.setattr(training, "train", train)
    arguments = (few, "0.01", 40, 7, 3, 0.5, "--model", small, "--retrain-lr", "0.02")
    for schedule in ("one-shot", "iterative"):
        options = ("--schedule", schedule, "--control", "scratch", "--augment", "flip")
        options += ("--label-smoothing", "0.1", "--class-weights", "balanced", "--distill", "0.5")
        call(small.parent, *arguments, *options)
    teachers = [teacher for *_, teacher in trainings if teacher]
    assert {teacher[1:] for teacher in teachers} == {(0.5, 4.0)}
    assert {teacher.model.count_params() for teacher in teachers} == {332}
    assert [(*training, bool(teacher)) for *training, teacher in trainings] == [
        (332, 7, 0.01, True, False),
        (117, 3, 0.02, True, True),
        (117, 10, 0.01, False, False),
        (204, 3, 0.02, True, True),
        (117, 3, 0.02, True, True),
    ]  # the second control is the first
    (folder,) = (small.parent / "results").glob("few_*")
    histories = {file.name: file.read_text() for file in folder.glob("*_history.csv")}
    once = "epoch,loss,training_accuracy,seconds,taken\n1,1.0,0.0,1.0,1\n"
    assert histories == {
        "baseline_history.csv": once,
        "pruned0.5_retrained3_lr0.02_distill0.5_history.csv": once,
        "pruned0.5_scratch_retrained3_history.csv": once,
        "pruned0.5_iterative_retrained3_lr0.02_distill0.5_history.csv": (
            "stage,epoch,loss,training_accuracy,seconds,taken\n"
            "1,1,1.0,0.0,1.0,1\n2,1,1.0,0.0,1.0,1\n"
        ),
    }


def test_without_epochs_of_retraining_a_trial_is_pruned_and_measured(few, small, call):
    arguments = (few, "0.01", 40, 1, 0, 0.0, 0.5, "--model", small, "--schedule", "iterative")
    status, out, err = call(small.parent, *arguments, "--control", "scratch")
    assert (status, err) == (0, "")
    assert "retraining" not in out
    assert len(re.findall("^stage .* after pruning$", out, re.MULTILINE)) == 4
    rows = record.read_rows(small.parent / "results" / "few.csv")
    pruned = rows[rows["control"] == ""]
    assert (pruned["accuracy"] == pruned["pruned_accuracy"]).all()
    assert (pruned["retrain_seconds"] == 0).all()
    assert rows["parameters"].tolist() == [332, 332, 117, 117]
    assert len(re.findall("^epoch 1/1 ", out, re.MULTILINE)) == 3  # baseline and two controls
    files = (small.parent / "results").glob("*/*_history.csv")
    assert {file.name.split("_")[0] for file in files if "scratch" not in file.name} == {"baseline"}


def test_validation_images_are_used_for_nothing_else(few, small, call, monkeypatch):
    prune, train, trained, judged = pruning.prune, training.train, [], []

    def watched_prune(*args, **options):
        judged.append(options["images"])
        return prune(*args, **options)

    def watched_train(model, dataset, *, validation, **options):
        trained.append((dataset, validation))
        return train(model, dataset, validation=validation, **options)

    monkeypatch.setattr(pruning, "prune", watched_prune)
    monkeypatch.setattr(training, "train", watched_train)
    arguments = (few, *SHORT, 0.5, "--model", small, "--criterion", "mean-l2", "--seed", 3)
    status, out, err = call(small.parent, *arguments, "--validation", 0.3)
    assert (status, err) == (0, "")
    own = split(data.load(few), 0.3, seed=3)
    taken = len(own.validation_labels)
    assert f"{taken} of the training images are for validation\n" in out
    for dataset, validation in trained:
        np.testing.assert_array_equal(dataset.train_images[:], own.train_images[:])
        np.testing.assert_array_equal(dataset.train_labels, own.train_labels)
        np.testing.assert_array_equal(validation[0][:], own.validation_images[:])
        np.testing.assert_array_equal(validation[1], own.validation_labels)
    assert len(trained) == 2
    np.testing.assert_array_equal(judged[-1][:], own.train_images[:])
    (row,) = record.read_rows(small.parent / "results" / "few.csv").to_dict("records")
    (history,) = (small.parent / "results").glob("*/pruned*_history.csv")
    assert (row["validation"], row["epoch_taken"]) == (0.3, "")
    assert row["validation_accuracy"] == pd.read_csv(history)["validation_accuracy"].item()


@pytest.mark.usefixtures("untrained")
def test_labels_reach_the_criterion_of_a_trial_and_three_criteria_have_a_row_each(
    few, tmp_path, call, monkeypatch
):
    images = keras.Input((28, 28, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 3, 4, name="conv1")(images))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = randomise(keras.Model(images, keras.layers.Dense(10, activation="softmax")(x)))
    model.save(tmp_path / "norm.keras")
    calls, prune = [], pruning.prune

    def watched(*args, **options):
        calls.append(options)
        return prune(*args, **options)

    monkeypatch.setattr(pruning, "prune", watched)
    names = ("taylor", "bn-scale", "fpgm")
    options = ("--model", "norm.keras", "--trained", "--seed", 3, "--criterion", *names)
    status, _, err = call(tmp_path, few, *SHORT, 0.5, *options)
    assert (status, err) == (0, "")
    rows = record.read_rows(tmp_path / "results" / "few.csv")
    assert rows["criterion"].tolist() == [*names]
    with np.load(few) as arrays:
        pairs = zip(arrays["x_train"], arrays["y_train"], strict=True)
        label_of = {image.tobytes(): label for image, label in pairs}
    (given,) = [each for each in calls if each["criterion"] == "taylor"]
    pixels = np.rint(given["images"][:][..., 0] * 255).astype(np.uint8)
    assert [label_of[image.tobytes()] for image in pixels] == given["labels"].tolist()
    assert len(pixels) == 40  # all, because there are fewer than 2,000
    folder = tmp_path / "results"
    for name in names:
        labelled = {"images": given["images"], "labels": given["labels"]}
        expected = prune(model, 0.5, criterion=name, **labelled).get_layer("conv1")
        (file,) = folder.glob(f"*/*{name}*.keras")
        stored = keras.models.load_model(file).get_layer("conv1")
        np.testing.assert_array_equal(stored.kernel, expected.kernel)


def test_a_class_too_small_for_validation_is_one_line_before_any_training(few, small, call):
    with np.load(few) as stored:
        arrays = dict(stored)
    arrays["y_train"] = np.where(arrays["y_train"] == 9, 0, arrays["y_train"])
    arrays["y_train"][0] = 9
    np.savez(small.parent / "one.npz", **arrays)
    status, out, err = call(
        small.parent, "one.npz", *SHORT, 0.5, "--model", small, "--validation", 0.1
    )
    assert status == 1
    assert err.startswith("formal.py: --validation 0.1: expected at least 2 training images of ")
    assert not (small.parent / "results").exists()


@pytest.mark.parametrize(
    ("error", "is_of_memory"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), True),  # JAX's
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), True),  # PyTorch's
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"), True),
        (RuntimeError("a fault"), False),
    ],
)
def test_too_little_memory_is_reported_in_one_line_on_every_backend(
    few, small, call, monkeypatch, error, is_of_memory
):
    def train(*args, **options):
        raise error

    monkeypatch.setattr(training, "train", train)
    arguments = (small.parent, few, *SHORT, 0.5, "--model", small)
    if not is_of_memory:
        with pytest.raises(RuntimeError, match="a fault"):
            call(*arguments)
        return
    status, _, err = call(*arguments)
    assert status == 1
    assert err == "formal.py: there is not enough memory; take a smaller batchSz\n"


@pytest.mark.usefixtures("untrained")
def test_training_images_reach_the_criterion_of_a_trial(few, small, call, monkeypatch):
    calls, prune = [], pruning.prune

    def asked(*args, **options):
        calls.append(options)
        return prune(*args, **options)

    monkeypatch.setattr(pruning, "prune", asked)
    options = ("--model", small, "--trained", "--seed", 3, "--coupled", "skip")
    call(small.parent, few, *SHORT, 0.5, *options, "--criterion", "mean-l2")
    names = ("criterion", "strategy", "coupled", "seed")
    assert [calls[-1][name] for name in names] == ["mean-l2", "independent", "skip", 3]
    with np.load(few) as arrays:
        np.testing.assert_array_equal(calls[-1]["images"][..., 0] * 255, arrays["x_train"])
