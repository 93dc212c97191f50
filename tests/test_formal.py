"""formal.py as its users call it: the command line in processes of its own."""

import contextlib
import json
import math
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image

import data
import formal
import pruning
import scnnb
from pruning import activations, report
from scnnb import training

ROOT = Path(__file__).parent.parent
SAMPLE = str(ROOT / "tests" / "fashion_sample.npz")
SHORT = ("0.001", "100", "1", "2")  # lr, batchSz, Epoch1, Epoch2
RIGHT = ["fashion", "0.001", "128", "35", "30", "0.4"]


def start(folder, *arguments, **options):
    command = [sys.executable, str(ROOT / "formal.py"), *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **streams | options)


def run(folder, *arguments):
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


@pytest.fixture
def call(monkeypatch, capsys):
    """The same in this process, which has imported Keras already."""

    def main(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["formal.py", *map(str, arguments)])
        status = formal.main()
        return status, *capsys.readouterr()

    return main


def results(rows):
    """The rows without what differs from run to run."""
    rows = rows.sort_values("pruning_ratio", ignore_index=True)
    return rows.drop(columns=["baseline_seconds", "retrain_seconds", "finished_at"])


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """One finished sweep over two percentages: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("sweep")
    return folder, run(folder, SAMPLE, *SHORT, 0.4, 0.0)


def test_a_sweep_ends_well_and_writes_a_row_per_percentage(sweep):
    folder, (status, _, err) = sweep
    assert (status, err) == (0, "")
    rows = pd.read_csv(folder / "results" / "fashion_sample.csv")
    assert list(rows.columns) == list(report.TRIALS.columns)
    assert rows["pruning_ratio"].tolist() == [0.4, 0.0]
    assert rows["parameters"].tolist() == [2_404_404, 4_047_370]
    assert rows["baseline_parameters"].tolist() == [4_047_370] * 2
    assert rows["macs"].tolist() == [
        28**2 * 19 * 9 + 14**2 * 38 * 19 * 9 + 1862 * 1280 + 12800,
        7_865_344,
    ]
    assert rows["accuracy"].between(0.3, 1).all()
    assert rows["pruned_accuracy"][1] == rows["baseline_accuracy"][1]
    assert rows["pruned_accuracy"][0] != rows["baseline_accuracy"][0]


def test_what_it_prints_when_redirected_is_plain_lines(sweep):
    _, (_, out, _) = sweep
    assert not re.search(r"[^\n -~]", out)
    assert "fashion_sample: 1,000 training and 500 test images (28, 28, 1), 10 classes" in out
    assert re.findall(r"^epoch (./.)  loss ", out, re.MULTILINE) == ["1/1", *["1/2", "2/2"] * 2]
    assert re.search(r"conv1 +32 -> 19 +320 -> 190\n", out)
    assert re.search(
        r"4,047,370 -> 2,404,404 parameters, test accuracy 0\.\d{4} baseline, 0\.\d{4} right after "
        r"pruning, 0\.\d{4} after retraining\n",
        out,
    )


def test_it_leaves_a_figure_and_models_that_stock_keras_loads(sweep):
    folder, _ = sweep
    assert (folder / "results" / "fashion_sample.png").read_bytes().startswith(b"\x89PNG")
    (models,) = (folder / "results").glob(
        "fashion_sample_scnnb_adam_lr0.001_batch100_epochs1_seed0_*"
    )
    assert not list((folder / "results").rglob("*partial*"))
    code = (
        "import keras, numpy, sys; data = numpy.load(sys.argv[2]);"
        "model = keras.models.load_model(sys.argv[1]);"
        "answers = model(data['x_test'][..., None] / numpy.float32(255)).numpy().argmax(-1);"
        "print(model.count_params(), (answers == data['y_test']).mean())"
    )
    stored = str(models / "pruned0.4_retrained2.keras")
    done = subprocess.run(
        [sys.executable, "-c", code, stored, SAMPLE], capture_output=True, text=True, check=True
    )
    rows = pd.read_csv(folder / "results" / "fashion_sample.csv")
    parameters, accuracy = done.stdout.split()
    assert (int(parameters), float(accuracy)) == (2_404_404, rows["accuracy"][0])


def test_a_finished_row_is_shown_and_not_computed_again(sweep, call):
    folder, _ = sweep
    csv = folder / "results" / "fashion_sample.csv"
    before = csv.read_text()
    csv.with_suffix(".png").unlink()
    status, out, err = call(folder, SAMPLE, *SHORT, 0.4)
    assert (status, err) == (0, "")
    assert re.search(
        r"pruned0\.4_retrained2 is finished since 20.*: 4,047,370 -> 2,404,404 parameters", out
    )
    assert "epoch " not in out
    assert csv.read_text() == before
    assert csv.with_suffix(".png").exists()


def test_calls_side_by_side_share_one_baseline_and_write_the_rows_of_the_sweep(sweep, tmp_path):
    folder, _ = sweep
    processes = [start(tmp_path, SAMPLE, *SHORT, ratio) for ratio in (0.4, 0.0, 0.4)]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    said = "".join(out for out, _ in outputs)
    assert said.count("training the baseline") == 1
    assert said.count("retraining, epochs") == 2
    together = report.read_rows(tmp_path / "results" / "fashion_sample.csv")
    alone = report.read_rows(folder / "results" / "fashion_sample.csv")
    pd.testing.assert_frame_equal(results(together), results(alone))


def test_fresh_computes_again_and_replaces_the_row(sweep, call):
    folder, _ = sweep
    csv = folder / "results" / "fashion_sample.csv"
    before = report.read_rows(csv)
    status, out, _ = call(folder, SAMPLE, *SHORT, 0.4, "--fresh")
    assert status == 0
    assert "training the baseline" in out
    after = report.read_rows(csv)
    pd.testing.assert_frame_equal(results(after), results(before))
    assert (after["finished_at"] != before["finished_at"]).any()


def test_other_content_under_the_same_name_is_never_taken_for_it(sweep, tmp_path, call):
    folder = shutil.copytree(sweep[0], tmp_path / "copy")
    with np.load(SAMPLE) as stored:
        arrays = {key: value[::-1] for key, value in stored.items()}
    np.savez(tmp_path / "fashion_sample.npz", **arrays)
    csv = tmp_path / "own.csv"
    rows = []
    for file in (SAMPLE, tmp_path / "fashion_sample.npz", SAMPLE):
        status, out, _ = call(folder, file, *SHORT, 0.4, "--csv", csv)
        assert status == 0
        assert ("training the baseline" in out) == (file != SAMPLE)
        rows.append(report.read_rows(csv))
    pd.testing.assert_frame_equal(rows[0], rows[2])
    assert rows[0]["finished_at"][0] != rows[1]["finished_at"][0]
    assert csv.with_suffix(".png").exists()


def test_every_setting_shapes_the_baseline_and_stands_in_the_row(sweep, call):
    folder, _ = sweep
    status, out, err = call(
        folder, SAMPLE, "0.02", "50", "2", "1", "0.9", "--optimizer", "sgd", "--seed", "3"
    )
    assert (status, err) == (0, "")
    assert re.findall(r"^epoch (./.)  loss ", out, re.MULTILINE) == ["1/2", "2/2", "1/1"]
    names = ["optimizer", "learning_rate", "batch_size", "epoch1", "epoch2", "seed"]
    rows = report.read_rows(folder / "results" / "fashion_sample.csv")
    assert rows[names].iloc[-1].tolist() == ["sgd", 0.02, 50, 2, 1, 3]
    name = "fashion_sample_scnnb_sgd_lr0.02_batch50_epochs2_seed3_*/pruned0.9_retrained1.keras"
    assert len(list((folder / "results").glob(name))) == 1


def test_a_changed_network_or_file_has_another_folder(tmp_path):
    settings = {"model": "mine", "optimizer": "adam", "learning_rate": 0.1}
    settings |= {"batch_size": 1, "epoch1": 1, "seed": 0, "augment": ""}
    dataset = data.load(SAMPLE)
    one, other = (scnnb.NETWORKS["scnnb"](shape, 10) for shape in ((28, 28, 1), (32, 28, 1)))
    folder = formal._folder(dataset, settings, one, "scnnb")
    assert formal._folder(dataset, settings, one, "scnnb") == folder
    assert formal._folder(dataset, settings, other, "scnnb") != folder
    augmented = formal._folder(dataset, settings | {"augment": "crop-flip"}, one, "scnnb")
    assert augmented.name == folder.name.replace("_batch1_", "_batch1_crop-flip_")
    assert folder.name.startswith("fashion_sample_mine_adam_lr0.1_batch1_epochs1_seed0_")
    file = str(tmp_path / "mine.keras")
    one.save(file)
    stored = formal._folder(dataset, settings, one, file)
    one.get_layer("conv1").bias.assign(range(32))
    one.save(file)
    assert len({folder, stored, formal._folder(dataset, settings, one, file)}) == 3


@pytest.mark.parametrize("name", ["scnnb", "resnet20"])
def test_the_names_of_a_network_do_not_depend_on_what_was_built_before(name):
    dataset = data.load(SAMPLE)
    assert formal.build(name, dataset).to_json() == formal.build(name, dataset).to_json()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The path of a dataset of 40 images, for networks that take long."""
    file = tmp_path_factory.mktemp("few") / "few.npz"
    with np.load(SAMPLE) as stored:
        np.savez(file, **{key: value[:40] for key, value in stored.items()})
    return file


def test_another_network_is_trained_and_pruned_by_its_name(few, tmp_path, call):
    status, out, err = call(tmp_path, few, "0.001", 40, 1, 1, 0.5, "--model", "alexnet")
    assert (status, err) == (0, "")
    assert re.search(r"conv5 +256 -> 128 ", out)
    (row,) = report.read_rows(tmp_path / "results" / "few.csv").to_dict("records")
    assert (row["model"], row["coupled"]) == ("alexnet", "joint")


def test_augment_shapes_the_baseline_and_stands_in_the_row(few, tmp_path, call):
    losses = []
    for options in ([], ["--augment"], ["--augment"]):
        status, out, err = call(tmp_path, few, "0.001", 15, 1, 1, 0.5, *options)
        assert (status, err) == (0, "")
        losses.append(re.findall(r"loss (\S+)", out))
    assert [len(each) for each in losses] == [2, 2, 0]
    assert losses[0][0] != losses[1][0]
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert rows["augment"].tolist() == ["", "crop-flip"]
    assert len(list((tmp_path / "results").glob("few_scnnb_*_batch15_crop-flip_epochs1_*"))) == 1


def test_a_folder_of_images_is_trained_on_as_an_npz_file_is(tmp_path, call):
    with np.load(SAMPLE) as stored:
        for part in ("train", "test"):
            pairs = zip(stored[f"x_{part}"][:40], stored[f"y_{part}"][:40], strict=True)
            for number, (image, label) in enumerate(pairs):
                file = tmp_path / "own" / part / str(label) / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)
    status, out, err = call(tmp_path, "own", "0.001", 20, 1, 1, 0.5)
    assert (status, err) == (0, "")
    assert "own: 40 training and 40 test images (28, 28, 1), 10 classes" in out
    assert (tmp_path / "results" / "own.csv").exists()


def test_convolutions_that_meet_are_pruned_as_coupled_says(few, tmp_path, call):
    images = keras.Input((28, 28, 1))
    first, last = (layers.Conv2D(4, 3, padding="same", name=f"conv{n}") for n in (1, 3))
    x = first(images)
    x += last(layers.Conv2D(6, 1, name="conv2")(x))
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "mine.keras")
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", "mine.keras", "--coupled")
    for coupled, filters in (("joint", "4 -> 2"), ("shortcut", "4 -> 4"), ("skip", "4 -> 4")):
        status, out, err = call(tmp_path, *arguments, coupled)
        assert (status, err) == (0, "")
        assert re.findall(r"^conv. +(. -> .)", out, re.MULTILINE) == [filters, "6 -> 3", filters]
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert rows["coupled"].tolist() == ["joint", "shortcut", "skip"]
    assert out.count("baseline read from") == 1


@pytest.fixture
def small(tmp_path):
    """The path of a small network of two convolutions for `few`."""
    images = keras.Input((28, 28, 1))
    x = layers.Conv2D(6, 3, 2, name="conv2")(layers.Conv2D(4, 3, 2, name="conv1")(images))
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


def test_criteria_and_controls_get_a_row_each_and_a_schedule_its_stages(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.0, 0.5, "--model", small, "--schedule", "iterative")
    options = ("--criterion", "l1", "random", "mean-std", "--control", "scratch")
    status, out, err = call(small.parent, *arguments, *options, "--retrain-lr", "0.002")
    assert (status, err) == (0, "")
    names = ["pruning_ratio", "criterion", "schedule", "control", "retrain_learning_rate"]
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows[names].values.tolist() == [
        [0.0, "l1", "iterative", "", 0.002],  # by whatever criterion, nothing is removed
        [0.0, "", "", "scratch", 0.001],
        [0.5, "l1", "iterative", "", 0.002],
        [0.5, "random", "iterative", "", 0.002],
        [0.5, "mean-std", "iterative", "", 0.002],
        [0.5, "", "", "scratch", 0.001],
    ]
    assert rows["parameters"].tolist() == [332, 332, *[117] * 4]
    assert out.count("training the baseline") == 1
    (file,) = (small.parent / "results").glob("*/pruned0.5_random_iterative_*_lr0.002_stages.csv")
    stages = pd.read_csv(file)
    assert stages["layers"].tolist() == ["conv1", "conv2"]
    assert stages["parameters"].tolist() == [204, 117]
    random = rows.iloc[3]
    assert stages.iloc[1][["pruned_accuracy", "accuracy"]].tolist() == [
        random["pruned_accuracy"],
        random["accuracy"],
    ]


def test_every_training_gets_its_epochs_and_learning_rate(few, small, call, monkeypatch):
    trainings = []

    def train(model, dataset, *, epochs, learning_rate, **others):
        trainings.append((model.count_params(), epochs, learning_rate))
        return 1.0

    monkeypatch.setattr(training, "train", train)
    arguments = (few, "0.01", 40, 7, 3, 0.5, "--model", small, "--retrain-lr", "0.02")
    for schedule in ("one-shot", "iterative"):
        call(small.parent, *arguments, "--schedule", schedule, "--control", "scratch")
    assert trainings == [
        (332, 7, 0.01),
        (117, 3, 0.02),
        (117, 10, 0.01),
        (204, 3, 0.02),
        (117, 3, 0.02),
    ]  # the second control is the first


def test_greedy_prunes_other_filters_and_stands_in_the_row(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", small, "--strategy", "greedy")
    status, _, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert len(list((small.parent / "results").glob("*/pruned0.5_greedy_retrained1.keras"))) == 1
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows["strategy"].tolist() == ["greedy"]


def test_sensitivity_measures_each_layer_alone_and_retrains_nothing(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", small, "--sensitivity")
    status, out, err = call(small.parent, *arguments, "--criterion", "l1", "mean-l1")
    assert (status, err) == (0, "")
    assert out.count("epoch ") == 1  # the baseline's
    assert re.search(r"^18 evaluations in \d+\.\d s, \d+\.\d\d s each$", out, re.MULTILINE)
    results = small.parent / "results"
    rows = report.read_rows(results / "few-sensitivity.csv", report.SENSITIVITY)
    assert rows["criterion"].tolist() == ["l1"] * 18 + ["mean-l1"] * 18
    assert rows["layers"].tolist() == (["conv1"] * 9 + ["conv2"] * 9) * 2
    assert rows["pruning_ratio"].tolist() == [n / 10 for n in range(1, 10)] * 4
    assert set(rows["images"]) == {"test"}
    norms = report.read_rows(results / "few-sensitivity-norms.csv", report.NORMS)
    assert norms["layer"].tolist() == ["conv1"] * 4 + ["conv2"] * 6
    baseline = keras.models.load_model(next(results.glob("*/baseline.keras")))
    first = baseline.get_layer("conv1").kernel.numpy()[..., 0]
    assert norms["l1_norm"][0] == pytest.approx(np.abs(first).sum(), rel=1e-6)
    assert (results / "few-sensitivity.png").read_bytes().startswith(b"\x89PNG")

    before = (results / "few-sensitivity.csv").read_text()
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "sensitivity_l1_joint_test is finished since" in out
    assert (results / "few-sensitivity.csv").read_text() == before


def test_max_drop_writes_layer_ratios_measured_on_training_images(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.0, "--model", small)
    options = ("--sensitivity", "--max-drop", "0.05")
    status, out, err = call(small.parent, *arguments, *options)
    assert (status, err) == (0, "")
    rows = report.read_rows(small.parent / "results" / "few-sensitivity.csv", report.SENSITIVITY)
    assert set(rows["images"]) == {"training"}
    file = small.parent / "results" / "few-sensitivity-small.keras-l1-drop0.05.json"
    near = rows[rows["baseline_accuracy"] - rows["accuracy"] <= 0.05 + 1e-9]
    expected = {"conv1": 0.0, "conv2": 0.0} | dict(near.groupby("layers")["pruning_ratio"].max())
    assert json.loads(file.read_text()) == expected
    status, _, err = call(small.parent, *arguments, "--layer-ratios", file)
    assert (status == 0) == any(expected.values()), err


def test_the_flag_names_the_criteria_there_are():
    assert formal.CRITERIA == [*pruning.CRITERIA, *activations.CRITERIA]


@pytest.fixture
def stored(sweep, tmp_path):
    """The path of a trained network of the right shape."""
    (file,) = (sweep[0] / "results").glob("*_adam_lr0.001_batch100_*/pruned0.4_retrained2.keras")
    return shutil.copy(file, tmp_path / "mine.keras")


def test_a_stored_network_is_trained_further_or_taken_as_it_is(stored, tmp_path, call):
    csv = tmp_path / "own.csv"
    (tmp_path / "ratios.json").write_text('{"conv*": 0.5, "conv2": 0}')
    options = ("--model", stored, "--csv", csv, "--layer-ratios", tmp_path / "ratios.json")
    status, out, err = call(tmp_path, SAMPLE, "0.001", 100, 1, 1, 0, *options)
    assert (status, err) == (0, "")
    assert "training the baseline, epochs: 1" in out
    status, out, err = call(tmp_path, SAMPLE, "0.001", 100, 1, 1, 0, *options, "--trained")
    assert (status, err) == (0, "")
    assert "training the baseline" not in out
    assert re.search(r"conv1 +19 -> 9 .*\nnorm1.*\nconv2 +38 -> 38 ", out)
    rows = report.read_rows(csv)
    assert rows["model"].tolist() == ["mine.keras"] * 2
    assert rows["epoch1"].tolist() == [1, 0]
    assert rows["baseline_seconds"][1] == 0
    assert rows["layer_ratios"].tolist() == ['{"conv*": 0.5, "conv2": 0.0}'] * 2
    assert (
        len(list((tmp_path / "results").glob("*_mine.keras_*/pruned0.0_*_retrained1.keras"))) == 2
    )


def test_a_stored_network_that_does_not_fit_ends_with_1_and_one_line(tmp_path, call):
    images = keras.Input((28, 28, 1))
    flat = layers.Flatten()(layers.Conv2D(4, 3)(images))
    keras.Model(images, layers.Dense(7, activation="softmax")(flat)).save(tmp_path / "mine.keras")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, "--model", "mine.keras")
    assert status == 1
    assert err == "formal.py: mine.keras: its output is (None, 7); the dataset has 10 classes\n"
    assert "epoch" not in out


def test_what_cannot_be_pruned_is_told_before_training(tmp_path, call):
    (tmp_path / "ratios.json").write_text('{"conv9": 0.5}')
    options = ("--layer-ratios", tmp_path / "ratios.json")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, *options)
    assert status == 1
    assert re.fullmatch(
        r"formal\.py: 'conv9' matches no layer of the network; close to it: [^\n]+\n", err
    )
    assert "training the baseline" not in out


def test_a_run_waits_for_the_one_that_makes_the_same(sweep):
    folder, _ = sweep
    (models,) = (folder / "results").glob("*_adam_lr0.001_batch100_*")
    with filelock.FileLock(models / "pruned0.4_retrained2.lock"):
        process = start(folder, SAMPLE, *SHORT, 0.4)
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1] == "waiting for another run that makes pruned0.4_retrained2\n"
        assert process.poll() is None
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "pruned0.4_retrained2 is finished since" in out


def test_ctrl_c_ends_with_130_and_one_line_and_keeps_the_finished_row(tmp_path):
    process = start(tmp_path, SAMPLE, "0.001", 100, 1, 1, 0.4, 0.5)
    for line in process.stdout:  # flushed at once, or this would never see it
        if line.startswith("pruning 0.5"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "formal.py: stopped; finished rows stay, the same call goes on\n"
    rows = report.read_rows(tmp_path / "results" / "fashion_sample.csv")
    assert rows["pruning_ratio"].tolist() == [0.4]


def test_a_file_that_is_no_dataset_ends_with_1_and_one_line(tmp_path, call):
    (tmp_path / "own.npz").write_bytes(b"")
    status, _, err = call(tmp_path, "own.npz", *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: own\.npz: it is not an \.npz file; [^\n]*\n", err)


def test_a_foreign_csv_is_refused_before_training(tmp_path, call):
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, "--csv", "own.csv")
    assert status == 1
    assert "own.csv is not a record of this program" in err
    assert len(err.splitlines()) == 1
    assert "epoch" not in out


def test_an_unwritable_place_ends_with_1_and_one_line(tmp_path, call):
    (tmp_path / "results").write_text("a file where the folder should be")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: [^\n]*results[^\n]*\n", err)
    assert "epoch" not in out


def test_a_terminal_shows_the_progress_bar_of_keras(tmp_path):
    ours, theirs = pty.openpty()
    process = start(tmp_path, SAMPLE, "0.001", 500, 1, 1, 0.4, stdout=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux ends a closed terminal with an error
        while chunk := os.read(ours, 1000):
            seen += chunk
    _, err = process.communicate(timeout=60)
    os.close(ours)
    assert (process.returncode, err) == (0, "")
    assert b"\x08" in seen or b"\r" in seen.replace(b"\r\n", b"")
    assert b"2/2" in seen


def test_it_runs_with_its_output_closed(tmp_path):
    command = f"exec {sys.executable} {ROOT / 'formal.py'} missing.npz 1 1 1 1 0 >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("formal.py: argument dataset: 'missing.npz' came")


@pytest.mark.parametrize("python", [[sys.executable], [sys.executable, "-W", "error"]])
def test_wrong_arguments_and_help_are_answered_at_once(tmp_path, python):
    for arguments, status in ((["fashion", "nan", *RIGHT[2:]], 2), (["--help"], 0)):
        before = time.monotonic()
        done = subprocess.run(
            [*python, ROOT / "formal.py", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert time.monotonic() - before < 2  # TensorFlow alone takes longer
        assert done.returncode == status
        assert len(done.stderr.splitlines()) == (status == 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("position", "values"),
    [
        ("dataset", ["fashon", "", "missing.npz", "formal.py", ".", "tests", "a" * 300 + ".npz"]),
        ("lr", ["nan", "inf", "-inf", "0", "-1e-3", "-0.1", "fast", ""]),
        ("batchSz", ["0", "-1", "12.5", "1e3", "nan", "99999999999999999999"]),
        ("Epoch1", ["0", "-1", "12.5", "many"]),
        ("Epoch2", ["0", "-1", "12.5", "inf"]),
        ("filterPercentage", ["1", "1.0", "-0.1", "40", "nan", "inf", "-inf", "half"]),
    ],
)
def test_a_wrong_argument_is_named_with_what_came_and_what_is_accepted(position, values, capsys):
    names = ["dataset", "lr", "batchSz", "Epoch1", "Epoch2", "filterPercentage"]
    for value in values:
        arguments = RIGHT.copy()
        arguments[names.index(position)] = value
        with pytest.raises(SystemExit) as ended:
            formal.parse(arguments)
        assert ended.value.code == 2
        pattern = (
            rf"formal\.py: argument {position}: {value!r} came, but it must be .+; see --help\n"
        )
        assert re.fullmatch(pattern, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "argument --seed: '-1' came, but it must be a whole number"),
        (["--seed", "1.5"], "argument --seed: '1.5' came, but it must be a whole number"),
        (["--optimizer", "rmsprop"], r"argument --optimizer: invalid choice: 'rmsprop' \(choose"),
        (["--csv", "/" + "a" * 300 + "/a.csv"], "argument --csv: '/aa.*' came, but it must be"),
        (["--csv", "rows.txt"], "argument --csv: 'rows.txt' came, but it must be .* ends in .csv"),
        (["--see", "1"], "unrecognized arguments: --see"),
        (["--two\nlines"], "unrecognized arguments: --two lines"),
        (["0.5", "1.5"], "argument filterPercentage: '1.5' came"),
        (["--criterion", "l3"], r"argument --criterion: invalid choice: 'l3' \(choose from"),
        (["--retrain-lr", "0"], "argument --retrain-lr: '0' came, but it must be a number above"),
        (["--max-drop", "0.1"], "--max-drop came without --sensitivity; give both"),
        (["--sensitivity", "--max-drop", "1"], "argument --max-drop: '1' came, but it must be"),
        (["--sensitivity", "--control", "scratch"], "--control came with --sensitivity, which"),
        (["--sensitivity", "--retrain-lr", "0.1"], "--retrain-lr came with --sensitivity, which"),
        (
            ["--strategy", "greedy", "--criterion", "l2", "var-l2"],
            "greedy came with --criterion var-l2; .*: give l1, l2, largest, random; see",
        ),
    ],
)
def test_a_wrong_option_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse(RIGHT + arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, "[]", "{}", '{"conv1": 1}', '{"conv1": "half"}', '{"conv1": null}', "\xff"],
)
def test_a_file_that_holds_no_layer_ratios_is_a_wrong_argument(content, tmp_path, capsys):
    file = tmp_path / "ratios.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(SystemExit) as ended:
        formal.parse([*RIGHT, "--layer-ratios", str(file)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'ratios.json\' came, but it must be a file such as {"conv1": 0.5, "conv*": 0.2}' in line


def test_a_control_from_scratch_needs_the_epochs_of_the_baseline(small, capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse([*RIGHT, "--model", str(small), "--trained", "--control", "scratch"])
    assert ended.value.code == 2
    assert "--trained came with --control scratch, which needs Epoch1" in capsys.readouterr().err


def test_a_folder_is_a_dataset_if_it_holds_train_and_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for part, status in (("train", 2), ("test", None)):
        (tmp_path / part).mkdir()
        with contextlib.nullcontext() if status is None else pytest.raises(SystemExit):
            assert formal.parse([".", *RIGHT[1:]]).dataset == "."
    (line,) = capsys.readouterr().err.splitlines()
    assert "or the path of an .npz file or a folder with train/ and test/ that exists;" in line
    with pytest.raises(SystemExit):
        formal.parse(["", *RIGHT[1:]])


def test_digits_are_not_flipped(capsys):
    assert formal.parse(["mnist", *RIGHT[1:]]).augment is False
    assert formal.parse(["cifar100", *RIGHT[1:], "--augment"]).augment is True
    with pytest.raises(SystemExit) as ended:
        formal.parse(["mnist", *RIGHT[1:], "--augment"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--augment came with dataset mnist, and digits do not survive a flip; leave" in line


def test_a_missing_argument_is_named(capsys):
    with pytest.raises(SystemExit):
        formal.parse(RIGHT[:5])
    assert "required: filterPercentage; see --help" in capsys.readouterr().err


def test_the_usage_line_keeps_the_six_names(capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse(["--help"])
    assert ended.value.code == 0
    usage = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert "dataset lr batchSz Epoch1 Epoch2 filterPercentage [filterPercentage ...]" in usage


def test_right_arguments_are_taken_in_any_order_with_options():
    args = formal.parse(["--seed", "7", *RIGHT, "--optimizer", "sgd", "0.5"])
    assert args.filterPercentage == [0.4, 0.5]
    assert (args.dataset, args.lr, args.batchSz, args.Epoch1, args.Epoch2) == (
        "fashion",
        0.001,
        128,
        35,
        30,
    )
    assert math.copysign(1, formal.parse([*RIGHT[:5], "-0.0"]).filterPercentage[0]) == 1
    assert (args.seed, args.optimizer, args.csv, args.fresh) == (7, "sgd", None, False)
    assert (args.model, args.trained, args.coupled) == ("scnnb", False, "joint")
    assert args.layer_ratios is None
    assert formal.parse([*RIGHT, "--layer-ratios", "vgg16-A"]).layer_ratios == "vgg16-A"
