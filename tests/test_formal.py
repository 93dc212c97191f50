"""formal.py as its users call it: the command line in processes of its own."""

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import keras
import pandas as pd
import pytest
from keras import layers

import formal
from pruning import cost, report
from scnnb import training
from tests.program import FORMAL, HANGS, finish, run, start

ROOT = Path(__file__).parent.parent
SAMPLE = str(ROOT / "tests" / "fashion_sample.npz")
STOPPED = "formal.py: stopped; finished rows stay, the same call goes on\n"
SHORT = ("0.001", "100", "1", "2")  # lr, batchSz, Epoch1, Epoch2


def results(rows):
    """The rows without what differs from run to run."""
    rows = rows.sort_values("pruning_ratio", ignore_index=True)
    measured = ["baseline_seconds", "retrain_seconds", "finished_at", *report.MEASURED]
    return rows.drop(columns=measured)


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
    ended = [finish(process) for process in processes]
    assert [(status, err) for status, _, err in ended] == [(0, "")] * 3
    said = "".join(out for _, out, _ in ended)
    assert said.count("training the baseline") == 1
    assert said.count("retraining, epochs") == 2
    together = report.read_rows(tmp_path / "results" / "fashion_sample.csv")
    alone = report.read_rows(folder / "results" / "fashion_sample.csv")
    pd.testing.assert_frame_equal(results(together), results(alone))


def test_a_run_waits_for_the_one_that_makes_the_same(sweep):
    folder, _ = sweep
    (models,) = (folder / "results").glob("*_adam_lr0.001_batch100_*")
    with filelock.FileLock(models / "pruned0.4_retrained2.lock"):
        process = start(folder, SAMPLE, *SHORT, 0.4)
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1] == "waiting for another run that makes pruned0.4_retrained2\n"
        assert process.poll() is None
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert "pruned0.4_retrained2 is finished since" in out


def test_ctrl_c_ends_a_run_by_that_signal_with_one_line_and_keeps_the_finished_row(
    few, small, tmp_path, call
):
    assert call(tmp_path, few, "0.001", 20, 1, 1, 0.4, "--model", small)[0] == 0
    process = start(tmp_path, few, "0.001", 20, 1, 10**9, 0.5, "--model", small)  # takes years
    for line in process.stdout:  # flushed at once, or this would never see it
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == -signal.SIGINT
    assert err == STOPPED
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert rows["pruning_ratio"].tolist() == [0.4]
    assert not list(tmp_path.rglob("*partial*"))


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@SIGNALS
def test_a_signal_during_the_run_ends_it_tidily_and_by_that_signal(tmp_path, number):
    code = (
        "import formal, pathlib, signal, time\n"
        "def experiment(args):\n"
        "    formal._lock(pathlib.Path('made'))\n"
        "    try:\n"
        "        print('ready')\n"
        "        time.sleep(3600)\n"
        "    except KeyboardInterrupt as stopped:\n"
        "        raise ImportError('as of a package in C') from stopped\n"
        "    finally:\n"
        "        print('tidied')\n"
        "formal.experiment, formal._import_keras = experiment, lambda: None\n"
        "formal.parse = lambda argv: None\n"
        "formal.end(formal.main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, out, err) == (-number, "tidied\n", STOPPED)
    assert filelock.FileLock(tmp_path / "made.lock").acquire(timeout=0)


@pytest.fixture
def slow_import(tmp_path):
    """The variables by which the import of Keras says that it began, and lasts."""
    (tmp_path / "keras.py").write_text(
        "import time\nprint('importing', flush=True)\n"
        "try:\n    time.sleep(3600)\nexcept KeyboardInterrupt:\n    pass\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


@SIGNALS
def test_a_signal_during_the_import_of_keras_ends_by_it(few, tmp_path, slow_import, number):
    with start(tmp_path, few, *SHORT, 0.4, variables=slow_import) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=HANGS)
    assert (process.returncode, err) == (-number, STOPPED)


def test_a_hang_up_is_ignored_under_nohup(few, tmp_path, slow_import):
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with start(tmp_path, few, *SHORT, 0.4, variables=slow_import, **ignore) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANGS)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    "level", ["2", *(pytest.param(level, marks=pytest.mark.slow) for level in "013")]
)
def test_what_tensorflow_writes_as_it_starts_is_seen_at_level_0_only(level):
    done = subprocess.run(
        [sys.executable, "-c", "import formal; formal._import_keras()"],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": level},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert (done.stderr != "") == (level == "0")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_ctrl_c_ends_a_loop_of_a_shell(few, tmp_path, slow_import):
    loop = f"for p in 0.4 0.5; do {sys.executable} {FORMAL} {few} {' '.join(SHORT)} $p; done"
    with subprocess.Popen(
        ["bash", "-c", f"{loop}; echo went on"],
        cwd=tmp_path,
        env=os.environ | slow_import,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        assert shell.stdout.readline() == "importing\n"
        os.killpg(shell.pid, signal.SIGINT)  # as a terminal does
        out, err = shell.communicate(timeout=HANGS)
    assert (shell.returncode, out, err) == (-signal.SIGINT, "", STOPPED)


def test_a_bug_inside_keeps_its_traceback(few, small, call, monkeypatch, tmp_path):
    def wrong(*arguments, **options):
        raise ValueError("operands could not be broadcast together")

    for module, name in ((training, "accuracy"), (cost, "training_seconds")):
        with monkeypatch.context() as patch, pytest.raises(ValueError, match="could not be broad"):
            patch.setattr(module, name, wrong)
            call(small.parent, few, "0.001", 40, 1, 1, 0.4, "--model", small)
    code = "import formal; formal.parse = lambda argv: [].index(0); formal.end(formal.main())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ValueError: 0 is not in list\n")


def test_what_the_system_says_of_a_file_or_disk_is_one_line_and_any_other_error_is_not():
    said = [OSError(13, "Permission denied", "a.csv"), OSError(28, "No space left on device")]
    assert all(map(formal._is_the_users, [*said, MemoryError(), formal.UserError("diverged")]))
    bugs = [OSError("no words of the system"), OSError(9, "Bad file descriptor"), ValueError("a")]
    assert not any(map(formal._is_the_users, bugs))


def test_a_file_that_is_no_dataset_ends_with_1_and_one_line(tmp_path, call):
    (tmp_path / "own.npz").write_bytes(b"")
    status, _, err = call(tmp_path, "own.npz", *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: own\.npz: it is not an \.npz file; [^\n]*\n", err)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", None])
def test_a_damaged_csv_is_set_aside_and_written_anew(few, small, call, content):
    csv = small.parent / "own.csv"
    arguments = (few, "0.001", 40, 1, 1, 0.4, "--model", small, "--csv", csv)
    call(small.parent, *arguments)
    whole = csv.read_text()
    content = whole[:-3] if content is None else content  # cut short
    csv.write_text(content)
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert re.search(r"own\.csv is not a record of .*; set aside as own\.csv\.damaged1\n", out)
    assert csv.with_name("own.csv.damaged1").read_text() == content
    assert csv.read_text() == whole


def test_a_damaged_csv_behind_a_link_is_set_aside_where_it_is(few, small, call):
    csv, target = small.parent / "own.csv", small.parent / "kept" / "rows.csv"
    target.parent.mkdir()
    target.write_text("a,b\n1,2\n")
    csv.symlink_to(target)
    status, out, err = call(
        small.parent, few, "0.001", 40, 1, 1, 0.4, "--model", small, "--csv", csv
    )
    assert (status, err) == (0, "")
    assert "set aside as rows.csv.damaged1" in out
    assert csv.is_symlink() and len(report.read_rows(target)) == 1
    assert target.with_name("rows.csv.damaged1").read_text() == "a,b\n1,2\n"


def test_a_name_that_the_terminal_lacks_is_written_as_its_code(tmp_path):
    code = (
        "import sys, formal; formal._import_keras = lambda: None;"
        "formal.parse = lambda argv: print(sys.argv[1]); formal.experiment = repr; formal.main()"
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


def test_an_unwritable_place_ends_with_1_and_one_line(tmp_path, call):
    (tmp_path / "results").write_text("a file where the folder should be")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4)
    assert status == 1
    assert re.fullmatch(r"formal\.py: [^\n]*results[^\n]*\n", err)
    assert "epoch" not in out


def test_a_terminal_shows_the_bar_of_keras_once_per_epoch_and_the_time_left_below(
    few, small, tmp_path
):
    ours, theirs = pty.openpty()
    arguments = (few, "0.001", 10, 2, 1, 0.4, "--model", small)
    process = start(tmp_path, *arguments, stdout=theirs)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux ends a closed terminal with an error
        while chunk := os.read(ours, 1000):
            seen += chunk
    status, _, err = finish(process)
    os.close(ours)
    assert (status, err) == (0, "")
    time_left = "(less than|about) .* left"
    lines = [
        line for line in seen.decode().split("\r\n") if re.search(f"/4.*loss|{time_left}$", line)
    ]
    assert [bool(re.fullmatch(time_left, line)) for line in lines] == [False, True] * 3
    for bar in lines[::2]:
        assert re.match("\x1b.*4/4.* loss: [0-9.]+ *$", re.split("[\r\b]+", bar)[-1])


def test_a_network_whose_macs_cannot_be_counted_is_pruned_without_them(few, tmp_path, call):
    images = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 3, 2, name="conv1")(images)
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "any.keras")
    arguments = (few, 0.001, 20, 1, 1, 0.5, "--model", "any.keras")
    status, out, err = call(tmp_path, *arguments, "--csv", "a.csv")
    assert (status, err) == (0, "")
    assert out.count("MACs are left out: conv1 (Conv2D): its image size is not fixed") == 1
    rows = report.read_rows(tmp_path / "a.csv")
    assert rows[["macs", "baseline_macs"]].isna().all(axis=None)
    assert rows["parameters"].tolist() == [1 * 9 * 2 + 2 + 2 * 10 + 10]
    _, out, _ = call(tmp_path, *arguments[:5], 0.5, 0.7, *arguments[6:], "--dry-run")
    assert re.search("1 epoch left, (about|less than)", out)
