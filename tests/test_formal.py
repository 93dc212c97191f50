"""formal.py as its users call it: rows, files and printed lines of complete runs."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from experiment import record, store
from experiment.columns import MEASURED, ON_REQUEST, TRIALS
from tests.program import finish, run, start

ROOT = Path(__file__).parent.parent
SAMPLE = str(ROOT / "tests" / "fashion_sample.npz")
SHORT = ("0.001", "100", "1", "2")  # lr, batchSz, Epoch1, Epoch2


def results(rows):
    """The rows without the columns that differ from run to run."""
    rows = rows.sort_values("pruning_ratio", ignore_index=True)
    measured = ["baseline_seconds", "retrain_seconds", "finished_at", *MEASURED]
    return rows.drop(columns=measured)


@pytest.fixture(scope="module")
def sweep(few, tmp_path_factory):
    """A finished sweep over two percentages: its folder, its arguments, and the result of `run`."""
    folder = tmp_path_factory.mktemp("sweep")
    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1))
    x = layers.Conv2D(6, 3, 2, name="conv2")(layers.Conv2D(4, 3, 2, name="conv1")(images))
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(folder / "small.keras")
    arguments = (few, *SHORT, "--model", folder / "small.keras")
    return folder, arguments, run(folder, *arguments, 0.4, 0.0)


def test_a_sweep_writes_a_row_for_each_percentage(sweep):
    folder, _, (status, _, err) = sweep
    assert (status, err) == (0, "")
    rows = pd.read_csv(folder / "results" / "few.csv")
    assert list(rows.columns) == [name for name in TRIALS.columns if name not in ON_REQUEST]
    assert rows["pruning_ratio"].tolist() == [0.4, 0.0]
    assert rows["parameters"].tolist() == [117, 332]
    assert rows["baseline_parameters"].tolist() == [332] * 2
    assert rows["macs"].tolist() == [
        13**2 * 2 * 9 + 6**2 * 3 * 2 * 9 + 3 * 10,
        13**2 * 4 * 9 + 6**2 * 6 * 4 * 9 + 6 * 10,
    ]
    assert rows["accuracy"].between(0, 1).all()
    assert rows["pruned_accuracy"][1] == rows["baseline_accuracy"][1]


def test_the_output_into_a_file_is_lines_of_plain_text(sweep):
    _, _, (_, out, _) = sweep
    assert not re.search(r"[^\n -~]", out)
    assert "few: 40 training and 40 test images (28, 28, 1), 10 classes" in out
    assert re.findall(r"^epoch (./.)  loss ", out, re.MULTILINE) == ["1/1", *["1/2", "2/2"] * 2]
    part, points = r"\d+\.\d\d %", r"\([+-]\d+\.\d\d points\)"
    assert re.search(
        r"\npruned 40 % by l1 \(seed 0\): filters 10 -> 5 \(-50\.0 %\), parameters 332 -> 117 "
        r"\(-64\.8 %\), MACs 13.9 k -> 5,016 \(-64\.0 %\)\n"
        rf"test accuracy: baseline {part}, after pruning {part} {points}, after retraining {part} "
        rf"{points}\n1 of 2 trials done, ",
        out,
    )
    assert "conv1" not in out


def test_a_sweep_writes_figures_and_models_that_keras_alone_can_load(sweep):
    folder, (few, *_), (_, out, _) = sweep
    assert out.splitlines()[-1].startswith("written in results/: ")
    assert out.endswith(
        " few.png, few-layers.png, few-history.png and .pdf (figures); models in results/*/\n"
    )
    assert (folder / "results" / "few.png").read_bytes().startswith(b"\x89PNG")
    (models,) = (folder / "results").glob("few_small.keras_lr0.001_batch100_epochs1_seed0_*")
    assert not list((folder / "results").rglob("*partial*"))
    for name in ("few.pdf", "few-layers.png", "few-layers.pdf", "few-history.png"):
        assert (folder / "results" / name).exists()
    table = pd.read_csv(models / "pruned0.4_retrained2_layers.csv").set_index("layer")
    assert table["filters_after"].dropna().to_dict() == {"conv1": 2, "conv2": 3}
    assert table["parameters_after"]["total"] == 117
    registered = keras.saving.get_custom_objects()  # other tests register their own layers
    assert all(name.startswith(("tests>", "mine>")) for name in registered)
    model = keras.models.load_model(models / "pruned0.4_retrained2.keras")
    with np.load(few) as stored:
        images, labels = stored["x_test"][..., None] / np.float32(255), stored["y_test"]
    accuracy = (model(images).numpy().argmax(-1) == labels).mean()
    rows = pd.read_csv(folder / "results" / "few.csv")
    assert (model.count_params(), accuracy) == (117, rows["accuracy"][0])


def test_a_finished_row_is_printed_and_not_computed_again(sweep, call):
    folder, arguments, _ = sweep
    csv = folder / "results" / "few.csv"
    before = csv.read_text()
    csv.with_suffix(".png").unlink()
    status, out, err = call(folder, *arguments, 0.4)
    assert (status, err) == (0, "")
    assert re.search(
        r"seed 0 pruned0\.4_retrained2 was finished at 20.*; it is not trained again:\n"
        r"pruned 40 % by l1 \(seed 0\): ",
        out,
    )
    assert "epoch " not in out
    assert not re.search("^conv1", out, re.M)
    assert csv.read_text() == before
    assert csv.with_suffix(".png").exists()
    _, out, _ = call(folder, *arguments, 0.4, 0.0, "--verbose")
    assert re.findall("(. of 2 trials done.*)", out) == ["2 of 2 trials done, 0 epochs left"]
    assert re.search(r"^conv1 +4 -> 2 +40 -> 20 +50\.0 ", out, re.M)


@pytest.mark.slow
def test_calls_at_the_same_time_share_a_baseline_and_write_the_rows_of_the_sweep(sweep, tmp_path):
    folder, arguments, _ = sweep
    processes = [start(tmp_path, *arguments, ratio) for ratio in (0.4, 0.0, 0.4)]
    ended = [finish(process) for process in processes]
    assert [(status, err) for status, _, err in ended] == [(0, "")] * 3
    said = "".join(out for _, out, _ in ended)
    assert said.count("training the baseline") == 1
    assert said.count("; retraining, 2 epochs") == 2
    together = record.read_rows(tmp_path / "results" / "few.csv")
    alone = record.read_rows(folder / "results" / "few.csv")
    pd.testing.assert_frame_equal(results(together), results(alone))


def test_a_run_waits_for_another_run_that_computes_the_same_trial(sweep, call, monkeypatch):
    folder, arguments, _ = sweep
    (models,) = (folder / "results").glob("*_lr0.001_batch100_*")
    other, printed = filelock.FileLock(models / "pruned0.4_retrained2.lock"), []

    def waiting(line):
        printed.append(line)
        other.release()  # the other run ends

    monkeypatch.setattr(store, "print", waiting, raising=False)
    with other:
        status, out, err = call(folder, *arguments, 0.4)
    assert (status, err) == (0, "")
    assert printed == ["waiting for another run that computes pruned0.4_retrained2"]
    assert "pruned0.4_retrained2 was finished at" in out


@pytest.mark.slow
def test_scnnb_has_the_parameters_of_the_paper_and_learns(tmp_path):
    status, _, err = run(tmp_path, SAMPLE, *SHORT, 0.4, 0.0)
    assert (status, err) == (0, "")
    rows = pd.read_csv(tmp_path / "results" / "fashion_sample.csv")
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


def test_a_file_that_is_not_a_dataset_is_a_one_line_error(tmp_path, call):
    (tmp_path / "own.npz").write_bytes(b"")
    status, _, err = call(tmp_path, "own.npz", *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: own\.npz: expected an \.npz file, [^\n]*\n", err)


def test_a_letter_that_the_terminal_cannot_show_is_printed_as_its_code(tmp_path):
    code = (
        "import sys, formal, types; formal.import_keras = lambda gpus: None;"
        "formal.arguments.parse = lambda argv: (print(sys.argv[1]), types.SimpleNamespace(ray=0));"
        "formal.experiment = lambda given, options: None; formal.main()"
    )
    name = "\u6a21\u578b.npz"
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "\\u6a21\\u578b.npz\n"


def test_a_folder_that_cannot_be_written_to_is_a_one_line_error(tmp_path, call):
    (tmp_path / "results").write_text("a file where the folder should be")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: [^\n]*results[^\n]*\n", err)
    assert "epoch" not in out


def test_a_terminal_shows_one_progress_bar_per_epoch_and_the_time_left_below(
    few, small, call, monkeypatch
):
    ours, theirs = pty.openpty()
    arguments = (few, "0.001", 10, 2, 1, 0.4, "--model", small)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read_all, ours)
        with open(theirs, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            status, _, err = call(small.parent, *arguments)
        seen = reading.result()
    os.close(ours)
    assert (status, err) == (0, "")
    time_left = "(less than|about) .* left"
    lines = [
        line for line in seen.decode().split("\r\n") if re.search(f"/4.*loss|{time_left}$", line)
    ]
    assert [bool(re.fullmatch(time_left, line)) for line in lines] == [False, True] * 3
    for bar in lines[::2]:
        assert re.match("\x1b.*4/4.* loss: [0-9.]+ *$", re.split("[\r\b]+", bar)[-1])


def read_all(terminal):
    """The bytes that are written to a terminal until it is closed."""
    seen = b""
    with contextlib.suppress(OSError):  # Linux raises an error at the end of a closed terminal
        while chunk := os.read(terminal, 1000):
            seen += chunk
    return seen


@pytest.mark.usefixtures("untrained")
def test_a_network_whose_macs_cannot_be_counted_is_pruned_without_them(few, tmp_path, call):
    images = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, 2, name="conv1")(images)
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "any.keras")
    arguments = (few, 0.001, 20, 1, 1, 0.5, "--model", "any.keras")
    status, out, err = call(tmp_path, *arguments, "--csv", "a.csv")
    assert (status, err) == (0, "")
    assert out.count("MACs are not counted: conv1 (Conv2D): its MACs cannot be counted") == 1
    rows = record.read_rows(tmp_path / "a.csv")
    assert rows[["macs", "baseline_macs"]].isna().all(axis=None)
    assert rows["parameters"].tolist() == [1 * 9 * 2 + 2 + 2 * 10 + 10]
    _, out, _ = call(tmp_path, *arguments[:5], 0.5, 0.7, *arguments[6:], "--dry-run")
    assert re.search("1 epoch left, (about|less than)", out)
