"""formal.py in long studies: several seeds, killed runs, the time left, full disks."""

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from experiment import record
from experiment.columns import MEASURED, TRIALS
from pruning import timing
from scnnb import backup
from tests.program import finish, run, start

ROOT = Path(__file__).parent.parent
SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
DIFFERS = ["baseline_seconds", "retrain_seconds", "finished_at", *MEASURED]


@pytest.fixture
def random_network(tmp_path):
    """The path of a network with dropout, for the images of `few`."""
    x = images = keras.Input((28, 28, 1))
    for name in ("conv1", "conv2"):
        x = layers.BatchNormalization()(layers.Conv2D(4, 3, 2, name=name)(x))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, layers.Dense(10, activation="softmax")(x)).save(tmp_path / "random.keras")
    return tmp_path / "random.keras"


def results(csv):
    """The rows without the columns that differ from run to run, in the order of their settings."""
    rows = record.read_rows(csv).sort_values(TRIALS.settings, ignore_index=True)
    return rows.drop(columns=DIFFERS)


def test_every_seed_has_its_rows_and_the_summary_has_their_means(few, small, call):
    arguments = (few, *SHORT, 0.5, "--model", small, "--criterion", "l1", "random")
    status, out, err = call(small.parent, *arguments, "--seeds", 3, 0)
    assert (status, err) == (0, "")
    assert out.count("training the baseline of seed") == 2
    assert "4 of 4 trials done, 0 epochs left" in out
    rows = record.read_rows(small.parent / "results" / "few.csv")
    assert rows["seed"].tolist() == [3, 3, 0, 0]
    assert rows["criterion"].tolist() == ["l1", "random"] * 2
    assert (rows["model_bytes"] > 10_000).all()
    assert (rows[MEASURED] > 0).all(axis=None)
    assert rows["machine"].str.contains(" cores, ").all()
    means = pd.read_csv(small.parent / "results" / "few-summary.csv")
    assert means["n"].tolist() == [2, 2]
    expected = rows.groupby("criterion")["accuracy"].mean()
    assert means["accuracy_mean"].tolist() == pytest.approx(expected.tolist())


@pytest.mark.usefixtures("untrained")
def test_a_target_has_a_row_without_a_ratio_and_is_found_again(few, small, call):
    arguments = (few, *SHORT, "--model", small, "--target", "macs", 1, 0.5)
    for _ in range(2):
        status, out, err = call(small.parent, *arguments)
        assert (status, err) == (0, "")
    for name in ("pruned0.0_retrained1", "pruned_macs0.5_retrained1"):
        assert f"seed 0 {name} was finished at " in out
    assert "\npruned to 50 % of the MACs by l1 (seed 0): filters 10 -> 6 (-40.0 %), " in out
    written = pd.read_csv(small.parent / "results" / "few.csv", dtype=str, keep_default_na=False)
    assert written["pruning_ratio"].tolist() == ["0.0", ""]
    assert written["target"].tolist() == ["", "macs 0.5"]
    _, out, _ = call(small.parent, *arguments, "--dry-run")
    assert "\npruned to 50 % of the MACs (ratio 0.333333): parameters 332 -> " in out


@pytest.mark.usefixtures("untrained")
def test_a_row_has_the_size_of_its_model_file(few, small, call):
    call(small.parent, few, *SHORT, 0.5, "--model", small)
    (row,) = record.read_rows(small.parent / "results" / "few.csv").to_dict("records")
    (file,) = (small.parent / "results").glob("*/pruned0.5_retrained1.keras")
    assert row["model_bytes"] == file.stat().st_size
    assert not list((small.parent / "results").rglob("*backup*"))


def test_a_dry_run_prints_the_finished_and_remaining_part_and_changes_nothing(
    few, small, call, monkeypatch
):
    arguments = (few, "0.001", 40, 3, 2, 0.0, 0.5, "--model", small)
    status, out, err = call(small.parent, *arguments, "--dry-run")
    assert (status, err) == (0, "")
    assert "0 of 2 trials done, 7 epochs left; the time is known after the first epoch\n" in out
    assert not (small.parent / "results").exists()

    stop_after(monkeypatch, 7)  # 3 of the baseline, 2 of the first trial, 2 of its control
    status, out, err = call(small.parent, *arguments, "--control", "scratch")
    assert status == 130
    ends = re.findall(r"^epoch ./.  .* s(  .* left)?$", out, re.MULTILINE)
    assert len(ends) == 6  # the run is stopped before the seventh is printed
    assert ends[0] == ""  # of one step, which is traced, so the time left is not known
    assert all(ends[1:])
    before = stamps(small.parent / "results")
    status, out, err = call(small.parent, *arguments, "--seeds", 0, 1, "--dry-run")
    assert (status, err) == (0, "")
    lines = out.splitlines()[2:]
    done = r"done, test accuracy \d+\.\d\d %"
    assert re.fullmatch(f"seed 0  baseline  +{done}", lines[0])
    assert re.fullmatch(rf"seed 0  pruned0\.0_retrained2  +{done}", lines[1])
    assert re.fullmatch(r"seed 0  pruned0\.5_retrained2  +2 epochs left", lines[2])
    assert re.fullmatch("seed 1  baseline  +3 epochs left", lines[3])
    time_left = "(less than a minute|about .+)"
    assert re.fullmatch(f"1 of 4 trials done, 9 epochs left, {time_left}", lines[-1])
    assert stamps(small.parent / "results") == before
    status, out, err = call(small.parent, *arguments, "--control", "scratch", "--dry-run")
    assert re.search(r"pruned0\.0_scratch_retrained2 +epoch 2 of 5\n", out)
    assert "1 of 4 trials done, 10 epochs left" in out


def stamps(folder):
    stats = {file: file.stat() for file in folder.rglob("*")}
    return {file: (stat.st_mtime_ns, stat.st_size) for file, stat in stats.items()}


def stop_after(monkeypatch, epochs):
    """Raise KeyboardInterrupt, as Ctrl-C does, after the backups of so many epochs."""
    original, ended = backup.Backup.on_epoch_end, []

    def end(self, epoch, logs=None):
        original(self, epoch, logs)
        ended.append(epoch)
        if len(ended) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(backup.Backup, "on_epoch_end", end)


@pytest.mark.slow
def test_a_run_stopped_after_any_epoch_writes_the_same_rows_when_it_is_repeated(
    few, random_network, call, monkeypatch
):
    folder = random_network.parent
    arguments = (few, "0.01", 20, 2, 2, 0.5, "--model", random_network, "--control", "scratch")
    arguments += ("--schedule", "iterative", "--augment", "flip")
    (folder / "unbroken").mkdir()
    assert call(folder / "unbroken", *arguments)[0] == 0
    expected = results(folder / "unbroken" / "results" / "few.csv")
    (stages,) = (folder / "unbroken" / "results").glob("*/*_stages.csv")
    epochs = 0
    for stop in (1, 2, 1, 1, 3):  # baseline, its end and stages 1, 2, control
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            status, out, err = call(folder, *arguments)
        assert (status, err) == (
            130,
            "formal.py: stopped; finished rows are kept, and the same command continues the run\n",
        )
        epochs += len(re.findall("^epoch ", out, re.MULTILINE))
    status, out, err = call(folder, *arguments)
    assert (status, err) == (0, "")
    epochs += len(re.findall("^epoch ", out, re.MULTILINE))
    assert epochs + 5 == 2 + 2 + 2 + 4  # no epoch is repeated; the 5 at a stop are not printed
    pd.testing.assert_frame_equal(results(folder / "results" / "few.csv"), expected)
    (resumed,) = (folder / "results").glob("*/*_stages.csv")
    assert resumed.read_text() == stages.read_text()
    assert not list((folder / "results").rglob("*backup*"))


def test_an_iterative_run_stopped_in_a_stage_has_the_results_of_an_uninterrupted_one(
    few, random_network, call, monkeypatch
):
    folder = random_network.parent
    arguments = (few, "0.01", 20, 1, 1, 0.5, "--model", random_network, "--schedule", "iterative")
    (folder / "unbroken").mkdir()
    assert call(folder / "unbroken", *arguments)[0] == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 2)  # the baseline and the stage of the first convolution
        assert call(folder, *arguments)[0] == 130
    assert call(folder, *arguments)[0] == 0
    resumed, unbroken = (where / "results" for where in (folder, folder / "unbroken"))
    pd.testing.assert_frame_equal(results(resumed / "few.csv"), results(unbroken / "few.csv"))
    assert histories(resumed) == histories(unbroken)
    (trial,) = (rows for name, rows in histories(resumed).items() if "baseline" not in name)
    assert [(row["stage"], row["epoch"]) for row in trial] == [(1, 1), (2, 1)]
    (file,) = (file.relative_to(unbroken) for file in unbroken.glob("*/pruned0.5_*.keras"))
    weights = [keras.models.load_model(part / file).get_weights() for part in (resumed, unbroken)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def histories(folder):
    """`{file name: rows}` of the histories, without the column that differs from run to run."""
    tables = {file.name: pd.read_csv(file) for file in folder.glob("*/*_history.csv")}
    assert len(tables) == 2
    return {n: table.drop(columns="seconds").to_dict("records") for n, table in tables.items()}


def test_fresh_ignores_the_backups_of_a_stopped_run(few, small, call, monkeypatch):
    arguments = (few, "0.001", 40, 2, 2, 0.5, "--model", small)
    for stop in (1, 3):
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            assert call(small.parent, *arguments)[0] == 130
    status, out, err = call(small.parent, *arguments, "--fresh")
    assert (status, err) == (0, "")
    assert "continuing after" not in out
    assert re.findall("(. of 1 trials done, .*)", out) == ["1 of 1 trials done, 0 epochs left"]
    assert len(re.findall("^epoch ", out, re.MULTILINE)) == 4


@pytest.mark.usefixtures("untrained")
def test_the_measured_batch_is_not_larger_than_a_training_batch(
    few, small, call, monkeypatch, tmp_path
):
    with np.load(few) as stored:
        arrays = {name: value[:30] if "train" in name else value for name, value in stored.items()}
    np.savez(tmp_path / "thirty.npz", **arrays)  # training images; 40 test images
    sizes = []

    def seconds_per_call(calls, images):
        sizes.append(len(images))
        return [0.5, 2.0]

    monkeypatch.setattr(timing, "seconds_per_call", seconds_per_call)
    for batch, images in ((4, 4), (10_000_000, 30)):
        arguments = ("thirty.npz", "0.001", batch, 1, 1, 0.5, "--model", small)
        status, out, err = call(tmp_path, *arguments)
        assert (status, err) == (0, "")
        assert sizes[-2:] == [1, images]
        row = record.read_rows(tmp_path / "results" / "thirty.csv").iloc[-1]
        assert row["throughput"] == images / 0.5
        assert row["baseline_throughput"] == images / 2


@pytest.mark.parametrize("suffix", ["keras", "json"])
@pytest.mark.usefixtures("untrained")
def test_a_damaged_baseline_is_set_aside_and_trained_again(few, small, call, suffix):
    arguments = (few, *SHORT, 0.5, "--model", small)
    call(small.parent, *arguments)
    results_folder = small.parent / "results"
    expected = results(results_folder / "few.csv")
    (file,) = results_folder.glob(f"*/baseline.{suffix}")
    file.write_bytes(file.read_bytes()[:-20])
    (trial,) = results_folder.glob("*/pruned0.5_retrained1.json")
    trial.write_text("")
    (results_folder / "few.csv").unlink()
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert re.search(rf"baseline\.{suffix} is damaged; set aside as baseline\.{suffix}\.dam", out)
    assert "training the baseline of seed 0" in out
    assert file.with_name(f"baseline.{suffix}.damaged1").exists()
    pd.testing.assert_frame_equal(results(results_folder / "few.csv"), expected)


@pytest.mark.usefixtures("untrained")
def test_a_disk_without_room_for_the_models_is_an_error_before_training(
    few, small, call, monkeypatch
):
    usage = type("Usage", (), {"free": 12_000})  # the baseline has 332 parameters
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    arguments = (few, *SHORT, 0.5, "--model", small)
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")  # 4 bytes * (6 * 332 + 332 + 117) are 9,764
    usage.free = 9_000
    status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, "--seed", 1)
    assert status == 1
    assert re.fullmatch(r"formal\.py: results/: expected 0 MB .*, got 0 MB; free some .*\n", err)
    assert "epoch " not in out


def test_a_full_disk_is_a_one_line_error_and_no_result_is_lost(few, small, call, monkeypatch):
    arguments = (few, "0.001", 40, 2, 2, 0.5, "--model", small)
    fsync, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) == 6:  # after the baseline's epochs, history, model and record
            raise OSError(28, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, _, err = call(small.parent, *arguments)
    advice = "free some disk space, and the same command continues the run"
    assert (status, err) == (1, f"formal.py: [Errno 28] No space left on device; {advice}\n")
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "baseline read from" in out


def test_each_training_has_a_tensorboard_log_with_the_name_of_its_model(few, small, call):
    pytest.importorskip("tensorboard")
    logs = small.parent / "logs"
    call(small.parent, few, *SHORT, 0.5, "--model", small, "--tensorboard", logs)
    (folder,) = (file.parent for file in (small.parent / "results").glob("*/baseline.keras"))
    folders = {file.parent.relative_to(logs) for file in logs.rglob("events*")}
    assert folders == {
        Path(folder.name) / name / "train" for name in ("baseline", "pruned0.5_retrained1")
    }


def test_tensorboard_that_is_not_installed_is_an_error_before_training(
    few, small, call, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, "--tensorboard", "x")
    assert status == 1
    assert err == (
        "formal.py: --tensorboard requires the package tensorboard, which is not installed; "
        "pip install -r requirements-extra.txt\n"
    )
    assert "epoch " not in out


# formal.py, killed after a given number of changes to files of results/. At other moments, a kill
# would leave the same files.
KILLED = """
import os, signal, sys
changes = int(sys.argv.pop(1))

def count(event, arguments):
    global changes
    writes = event in ("os.rename", "os.remove") or event == "open" and "w" in str(arguments[1])
    if writes and str(arguments[0]).startswith("results"):
        changes -= 1
        if changes < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
import formal
sys.exit(formal.main())
"""


@pytest.mark.slow
def test_a_run_killed_20_times_ends_with_the_rows_of_an_uninterrupted_one(few, random_network):
    folder = random_network.parent
    arguments = (few, "0.01", 10, 5, 5, 0.0, 0.5, "--model", random_network, "--seeds", 0, 1)
    (folder / "unbroken").mkdir()
    status, _, err = run(folder / "unbroken", *arguments)
    assert (status, err) == (0, "")
    rng, printed = random.Random(0), ""
    for _ in range(20):
        command = [sys.executable, "-c", KILLED, rng.randrange(4, 16), *arguments]
        process = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        printed += process.stdout
    status, out, err = run(folder, *arguments)
    assert (status, err) == (0, "")
    assert printed.count("continuing after epoch") >= 10
    assert "damaged" not in printed + out
    pd.testing.assert_frame_equal(
        results(folder / "results" / "few.csv"),
        results(folder / "unbroken" / "results" / "few.csv"),
    )
    assert not list((folder / "results").rglob("*backup*"))


@pytest.mark.slow
def test_eight_calls_at_once_write_every_row_once(few, small):
    folder = small.parent
    arguments = (few, *SHORT, 0.0, 0.25, 0.5, "--model", small, "--seeds", 0, 1)
    processes = [start(folder, *arguments) for _ in range(8)]
    processes[0].send_signal(signal.SIGKILL)
    ended = [finish(process) for process in processes]
    assert [(status, err) for status, _, err in ended[1:]] == [(0, "")] * 7
    rows = record.read_rows(folder / "results" / "few.csv")
    assert sorted(zip(rows["seed"], rows["pruning_ratio"], strict=True)) == [
        (seed, ratio) for seed in (0, 1) for ratio in (0.0, 0.25, 0.5)
    ]
    printed = "".join(out for _, out, _ in ended[1:])
    # the killed run may have trained a baseline
    assert printed.count("training the baseline of seed") <= 2
    assert run(folder, *arguments)[0] == 0
    assert not os.path.exists(folder / "results" / "few.csv.partial")
