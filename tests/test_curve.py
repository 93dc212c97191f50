"""formal.py, trial by trial: rows and files of complete runs."""

import re
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from experiment import curve, curve_figure, record, trainings
from experiment.columns import MEASURED, ON_REQUEST
from scnnb import precision

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2


def test_fresh_computes_again_and_replaces_the_row(few, small, call):
    rows = []
    for options, trained in (([], True), ([], False), (["--fresh"], True)):
        status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, *options)
        assert (status, err) == (0, "")
        assert ("training the baseline" in out) == trained
        (row,) = record.read_rows(small.parent / "results" / "few.csv").to_dict("records")
        rows.append(row)
    for row in rows:
        assert all(
            pd.isna(each) or each == ""
            for each in map(row.pop, [*ON_REQUEST, "validation_accuracy"])
        )
    assert rows[0] == rows[1]
    differ = dict.fromkeys(["baseline_seconds", "retrain_seconds", "finished_at", *MEASURED])
    assert rows[0] | differ == rows[2] | differ
    assert rows[0] != rows[2]


@pytest.mark.slow
def test_two_files_of_one_name_have_a_row_each(few, small, call):
    arrays = np.load(few)
    for name in ("a", "b"):
        (small.parent / name).mkdir()
        model = keras.models.load_model(small)
        model.layers[1].bias.assign([ord(name)] * 4)
        model.save(small.parent / name / "net.keras")
        reverse = slice(None, None, -1 if name == "b" else 1)
        np.savez(small.parent / name / "few.npz", **{k: v[reverse] for k, v in arrays.items()})
    for network, dataset in (("a", "a"), ("b", "a"), ("b", "b"), ("a", "a")):
        arguments = (f"{dataset}/few.npz", *SHORT, 0.5, "--model", f"{network}/net.keras")
        assert call(small.parent, *arguments)[::2] == (0, "")
    rows = record.read_rows(small.parent / "results" / "few.csv")
    assert rows["content"].nunique() == len(rows) == 3
    folders = {folder.name[-12:] for folder in (small.parent / "results").glob("*/")}
    assert folders == set(rows["content"])


@pytest.mark.usefixtures("untrained")
def test_other_content_under_the_same_name_is_never_taken_for_it(few, small, call):
    with np.load(few) as stored:
        arrays = {key: value[::-1] for key, value in stored.items()}
    other = small.parent / "few.npz"
    np.savez(other, **arrays)
    csv = small.parent / "own.csv"
    rows = []
    for file, trained in ((few, True), (other, True), (few, False)):
        status, out, _ = call(small.parent, file, *SHORT, 0.5, "--model", small, "--csv", csv)
        assert status == 0
        assert ("training the baseline" in out) == trained
        rows.append(record.read_rows(csv))
    pd.testing.assert_frame_equal(rows[0], rows[1][:1])
    pd.testing.assert_frame_equal(rows[1], rows[2])
    assert rows[1]["content"].nunique() == 2
    assert csv.with_suffix(".png").exists()


def test_every_setting_shapes_the_baseline_and_stands_in_the_row(few, small, call, monkeypatch):
    monkeypatch.setattr(precision, "CPU_INFO", Path("/nowhere"))  # this machine may lack bfloat16
    arguments = (few, "0.02", 20, 2, 1, 0.9, "--model", small, "--optimizer", "sgd", "--seed", 3)
    status, out, err = call(
        small.parent, *arguments, "--augment", "flip", "--precision", "bfloat16"
    )
    assert (status, err) == (0, "")
    assert re.findall(r"^epoch (./.)  loss ", out, re.MULTILINE) == ["1/2", "2/2", "1/1"]
    names = ["optimizer", "learning_rate", "batch_size", "epoch1", "epoch2", "seed"]
    names += ["augment", "precision"]
    results = small.parent / "results"
    (row,) = record.read_rows(results / "few.csv")[names].values.tolist()
    assert row == ["sgd", 0.02, 20, 2, 1, 3, "flip", "bfloat16"]
    name = "few_small.keras_sgd_lr0.02_batch20_flip_bfloat16_epochs2_seed3_*/pruned0.9_*1.keras"
    assert len(list(results.glob(name))) == 1


def test_a_file_system_without_locks_is_reported(few, small, call, monkeypatch):
    def acquire(*args, **kwargs):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", small)
    assert (status, err) == (1, "formal.py: FileSystem does not appear to support flock\n")


@pytest.mark.slow
def test_a_folder_of_images_is_trained_on_as_an_npz_file_is(few, small, call):
    with np.load(few) as stored:
        for part in ("train", "test"):
            pairs = zip(stored[f"x_{part}"], stored[f"y_{part}"], strict=True)
            for number, (image, label) in enumerate(pairs):
                file = small.parent / "own" / part / str(label) / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)
    status, out, err = call(small.parent, "own", *SHORT, 0.5, "--model", small)
    assert (status, err) == (0, "")
    assert "own: 40 training and 40 test images (28, 28, 1), 10 classes" in out
    assert (small.parent / "results" / "own.csv").exists()


def test_a_control_gets_a_row_and_an_iterative_schedule_its_stages(few, small, call):
    arguments = (few, *SHORT, 0.5, "--model", small, "--schedule", "iterative")
    options = ("--criterion", "random", "--control", "scratch")
    status, out, err = call(small.parent, *arguments, *options, "--retrain-lr", "0.002")
    assert (status, err) == (0, "")
    names = ["pruning_ratio", "criterion", "schedule", "control", "retrain_learning_rate"]
    rows = record.read_rows(small.parent / "results" / "few.csv")
    assert rows[names].values.tolist() == [
        [0.5, "random", "iterative", "", 0.002],
        [0.5, "", "", "scratch", 0.001],
    ]
    assert rows["parameters"].tolist() == [117] * 2
    assert out.count("training the baseline") == 1
    (file,) = (small.parent / "results").glob("*/pruned0.5_random_iterative_*_lr0.002_stages.csv")
    stages = pd.read_csv(file)
    assert stages["layers"].tolist() == ["conv1", "conv2"]
    assert stages["parameters"].tolist() == [204, 117]
    random = rows.iloc[0]
    assert stages.iloc[1][["pruned_accuracy", "accuracy"]].tolist() == [
        random["pruned_accuracy"],
        random["accuracy"],
    ]


@pytest.mark.usefixtures("untrained")
def test_a_stored_network_is_trained_further_or_taken_as_it_is(few, small, call):
    csv = small.parent / "own.csv"
    (small.parent / "ratios.json").write_text('{"conv*": 0.5, "conv2": 0}')
    options = ("--csv", csv, "--layer-ratios", small.parent / "ratios.json")
    arguments = (few, *SHORT, 0, "--model", small, *options)
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "training the baseline of seed 0, 1 epoch" in out
    status, out, err = call(small.parent, *arguments, "--trained", "--verbose")
    assert (status, err) == (0, "")
    assert "training the baseline" not in out
    assert re.search(r"conv1 +4 -> 2 .*\nconv2 +6 ", out)
    rows = record.read_rows(csv)
    assert rows["model"].tolist() == ["small.keras"] * 2
    assert rows["epoch1"].tolist() == [1, 0]
    assert rows["baseline_seconds"][1] == 0
    assert rows["layer_ratios"].tolist() == ['{"conv*": 0.5, "conv2": 0.0}'] * 2
    trained = small.parent.glob("results/*_small.keras_*/pruned0.0_*_retrained1.keras")
    assert len(list(trained)) == 2


@pytest.mark.usefixtures("untrained")
def test_figures_are_drawn_at_the_end_also_of_a_run_that_is_stopped(few, small, call, monkeypatch):
    results, drawn = small.parent / "results", []

    def count(csv, png):
        drawn.append(len(record.read_rows(csv)))
        return [png, png.with_name("few-layers.png")]

    monkeypatch.setattr(curve_figure, "draw", count)
    arguments = (few, *SHORT, 0.5, 0.0, 0.7, "--model", small)
    make_trial, made = trainings.make_trial, []

    def stop(*args):
        made.append(args)
        if len(made) == 3:
            raise KeyboardInterrupt
        return make_trial(*args)

    with monkeypatch.context() as patch:
        patch.setattr(trainings, "make_trial", stop)
        assert call(small.parent, *arguments)[0] == 130
    assert drawn == [2]
    status, out, _ = call(small.parent, *arguments)
    assert (status, drawn) == (0, [2, 3])
    assert out.splitlines()[-1] == (
        "written in results/: few.csv (rows), few.md (table), few-summary.csv (means), few.png, "
        "few-layers.png and .pdf (figures); models in results/*/"
    )
    assert (results / "few.md").read_text().count("| pruned, retrained ") == 2
    monkeypatch.setattr(curve, "SECONDS_BETWEEN_FIGURES", -1)  # each trial takes longer
    call(small.parent, *arguments)
    assert drawn == [2, 3, 3, 3, 3, 3]


def test_a_run_that_is_stopped_before_its_first_trial_draws_nothing(few, small, call, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(trainings, "make_trial", stop)
    status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", small)
    assert (status, err.count("\n")) == (130, 1)
    assert not list((small.parent / "results").glob("*.png"))
