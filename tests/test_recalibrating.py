"""experiment/recalibrating.py and formal.py --recalibrate: rows, files and messages."""

import dataclasses
import math

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import data
import pruning
from experiment import recalibrating, record, samples, study
from experiment.columns import ON_REQUEST, RECALIBRATED
from experiment.errors import UserError
from experiment.here import Here
from experiment.nodes import Nodes
from experiment.runner import Job
from experiment.work import Shared
from scnnb import training
from scnnb.augmentation import AUGMENTATIONS
from tests import inline, studies
from tests.test_runner import finished

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
IMAGES = 30
SHARED = Shared("scnnb", [], False, IMAGES)


@pytest.fixture
def normalised(tmp_path):
    """The path of a network with BatchNormalization for the images of `few`."""
    keras.utils.set_random_seed(0)
    x = images = keras.Input((28, 28, 1))
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, 3, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.0)(x))
    answer = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    keras.Model(images, answer).save(tmp_path / "own.keras")
    return tmp_path / "own.keras"


@pytest.fixture
def trial(normalised, tmp_path, monkeypatch):
    """A stored Trial with its stored baseline; nothing is trained."""
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    recipe = studies.recipe(learning_rate=0.1, batch_size=16, epochs=1)
    *_, trial = studies.of_two_seeds(recipe, [0.5], 1).trials
    model = keras.models.load_model(normalised)
    for subject, network in ((trial.baseline, model), (trial, pruning.prune(model, 0.25))):
        subject.entry.save_model(network)
        subject.entry.save_record(finished(subject))
    return trial


@pytest.fixture(scope="module")
def dataset(few):
    """The images of `few`."""
    return data.load(few)


def recalibrated(row):
    """The columns of `--recalibrate`."""
    return [row[name] for name in ("recalibration_images", *RECALIBRATED)]


def changed(trial, **settings):
    """The trial with other settings."""
    return dataclasses.replace(trial, settings=dataclasses.replace(trial.settings, **settings))


def test_the_accuracies_are_those_of_networks_with_new_statistics(trial, dataset):
    baseline, retrained = (each.entry.read_model() for each in (trial.baseline, trial))
    stored = [each.entry.files() for each in (trial.baseline, trial)]
    row = recalibrating.recalibrate(trial, dataset, IMAGES)
    images, _ = samples.training_images(dataset, 1, IMAGES)
    accuracies = [
        training.accuracy(pruning.recalibrate(model, images, batch_size=16), *dataset.test)
        for model in (baseline, pruning.prune(baseline, 0.5), retrained)
    ]
    assert recalibrated(row) == [IMAGES, *accuracies]
    assert len(set(accuracies)) > 1
    assert trial.entry.read_record() == row
    assert finished(trial).items() <= row.items()
    name = trial.entry.model_file.name
    assert [trial.baseline.entry.files(), trial.entry.files()[name]] == [stored[0], stored[1][name]]


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_the_images_are_changed_as_in_the_training(trial, dataset, augment, monkeypatch):
    seen = []
    monkeypatch.setitem(AUGMENTATIONS, augment, lambda images, rng, black: images - 0.5)
    monkeypatch.setattr(
        pruning, "recalibrate", lambda model, images, batch_size: seen.append(images[:5]) or model
    )
    baseline = trial.settings.baseline
    recipe = dataclasses.replace(baseline.recipe, augment=augment)
    settings = {"baseline": dataclasses.replace(baseline, recipe=recipe)}
    recalibrating.recalibrate(changed(trial, **settings), dataset, IMAGES)
    plain, _ = samples.training_images(dataset, 1, IMAGES)
    assert len(seen) == 3
    for images in seen:
        np.testing.assert_array_equal(images, plain[:5] - 0.5)


def test_a_stored_number_of_images_is_stored():
    assert recalibrating.is_stored({"recalibration_images": 30}, 30)
    assert not recalibrating.is_stored({"recalibration_images": 30}, 40)
    assert not recalibrating.is_stored({}, 30)


@pytest.mark.parametrize("settings", [{"schedule": "iterative"}, {"schedule": "", "control": "s"}])
def test_a_cut_that_cannot_be_repeated_has_no_accuracy(trial, dataset, settings):
    row = recalibrating.recalibrate(changed(trial, **settings), dataset, IMAGES)
    assert math.isnan(row["recalibrated_pruned_accuracy"])
    assert row["recalibrated_accuracy"] > 0 < row["recalibrated_baseline_accuracy"]


@pytest.mark.parametrize("which", ["baseline", "trial"])
def test_a_missing_network_is_an_error(trial, dataset, which):
    file = (trial if which == "trial" else trial.baseline).entry.model_file
    file.unlink()
    with pytest.raises(UserError, match=f"{file.name}: it is missing; call with --fresh"):
        recalibrating.recalibrate(trial, dataset, IMAGES)


def test_statistics_that_are_not_finite_are_an_error(trial, dataset):
    model = trial.entry.read_model()
    model.layers[1].kernel.assign(math.inf * model.layers[1].kernel)
    trial.entry.save_model(model)
    trial.entry.save_record(finished(trial))
    with pytest.raises(UserError, match="expected finite values"):
        recalibrating.recalibrate(trial, dataset, IMAGES)


def test_an_error_is_one_of_the_job(trial, dataset):
    trial.entry.model_file.unlink()
    here = Here(dataset, SHARED, lambda entry: [])
    here.submit(job := Job("recalibration", trial))
    ((ended, row, error),) = here.finished()
    assert (ended, row, error) == (
        job,
        None,
        f"{trial.entry.model_file}: it is missing; call with --fresh",
    )


def test_a_node_recalibrates_as_this_process_does(trial, dataset):
    expected = recalibrating.recalibrate(trial, dataset, IMAGES)
    recalibrating.recalibrate(trial, dataset, 1)
    nodes = Nodes(inline.Cluster(), dataset, SHARED, None)
    nodes.submit(Job("recalibration", trial))
    ((_, row, error),) = nodes.finished()
    assert (row, error) == (expected, None)
    assert trial.entry.read_record() == expected


def test_a_node_that_dies_keeps_the_record(trial, dataset):
    before = trial.entry.files()
    nodes = Nodes(inline.Cluster("recalibration"), dataset, SHARED, None)
    nodes.submit(job := Job("recalibration", trial))
    assert nodes.finished() == [(job, None, "the worker died; sorry")]
    assert trial.entry.files() == before


@pytest.mark.usefixtures("untrained")
def test_a_finished_trial_is_recalibrated_once_without_training_again(
    few, normalised, call, monkeypatch
):
    def run(*options):
        shared = (few, *SHORT, 0.5, "--model", normalised, "--validation", 0.01)
        result = call(normalised.parent, *shared, *options)
        (row,) = record.read_rows(normalised.parent / "results" / "few.csv").to_dict("records")
        return *result, row

    _, _, _, before = run()
    monkeypatch.setattr(training, "train", None)  # a call is an error
    status, out, err, row = run("--recalibrate")
    assert (status, err) == (0, "")
    assert {n for n in row if row[n] != before[n] and not pd.isna(row[n])} <= {*ON_REQUEST}
    assert row["recalibration_images"] == 30  # of 40, without one of each class
    assert "pruned 50 % by l1 (seed 0), recalibrated on 30 images: test accuracy: " in out
    monkeypatch.setattr(pruning, "recalibrate", None)
    status, out, err, again = run("--recalibrate", 100)
    assert (status, err, recalibrated(again)) == (0, "", recalibrated(row))
    assert out.count(", recalibrated on 30 images: ") == 1


def test_a_network_without_batch_normalization_is_an_error_before_training(few, small, call):
    status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, "--recalibrate")
    assert (status, err) == (
        1,
        f"formal.py: --recalibrate does not fit --model {small}: it has no BatchNormalization\n",
    )
    assert "training the baseline" not in out
