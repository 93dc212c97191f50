"""Trainings of baselines and trials, in complete runs."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import pruning
from experiment import record
from scnnb import training

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
        trainings.append((model.count_params(), epochs, learning_rate, old))
        return [{"epoch": 1, "training_accuracy": 0.0, "seconds": 1.0}]

    monkeypatch.setattr(training, "train", train)
    arguments = (few, "0.01", 40, 7, 3, 0.5, "--model", small, "--retrain-lr", "0.02")
    for schedule in ("one-shot", "iterative"):
        options = ("--schedule", schedule, "--control", "scratch", "--augment", "flip")
        options += ("--label-smoothing", "0.1", "--class-weights", "balanced")
        call(small.parent, *arguments, *options)
    assert trainings == [
        (332, 7, 0.01, True),
        (117, 3, 0.02, True),
        (117, 10, 0.01, False),
        (204, 3, 0.02, True),
        (117, 3, 0.02, True),
    ]  # the second control is the first
    (folder,) = (small.parent / "results").glob("few_*")
    histories = {file.name: file.read_text() for file in folder.glob("*_history.csv")}
    once = "epoch,training_accuracy,seconds\n1,0.0,1.0\n"
    assert histories == {
        "baseline_history.csv": once,
        "pruned0.5_retrained3_lr0.02_history.csv": once,
        "pruned0.5_scratch_retrained3_history.csv": once,
        "pruned0.5_iterative_retrained3_lr0.02_history.csv": (
            "stage,epoch,training_accuracy,seconds\n1,1,0.0,1.0\n2,1,0.0,1.0\n"
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
