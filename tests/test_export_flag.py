"""formal.py --export: rows, files and messages."""

import contextlib
import dataclasses
import errno
import importlib
import math

import keras
import pandas as pd
import pytest
from keras import layers

import formal
from pruning import report
from pruning.exports import FORMATS, measuring
from pruning.exports.writing import bytes_of

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
NAMES = ["litert", "litert-int8", "onnx", "saved-model"]


@pytest.fixture
def export(few, small, call):
    """Calls formal.py with these options: `export(*options)` -> status, stdout, stderr, rows."""

    def run(*options):
        result = call(small.parent, few, *SHORT, 0.0, 0.5, "--model", small, *options)
        return *result, report.read_rows(small.parent / "results" / "few.csv")

    return run


def test_every_row_holds_size_accuracy_and_latency_of_every_format(export, small):
    status, out, err, rows = export("--export", *NAMES)
    assert (status, err) == (0, "")
    assert out.count("training the baseline") == 1
    assert (rows[report.EXPORTED] > 0).all(axis=None), rows[report.EXPORTED].to_dict("records")
    assert rows["failed_exports"].tolist() == ["", ""]
    assert rows["litert_int8_io"].tolist() == ["float32"] * 2
    for column in ("litert", "onnx", "saved_model"):
        assert rows[f"{column}_accuracy"].tolist() == rows["accuracy"].tolist()
        assert rows[f"{column}_bytes"][1] < rows[f"{column}_bytes"][0]
    for stem, row in (
        ("pruned0.0_retrained1", rows.iloc[0]),
        ("pruned0.5_retrained1", rows.iloc[1]),
    ):
        (stored,) = (small.parent / "results").glob(f"*/{stem}.keras")
        for name in NAMES:
            path = FORMATS[name].path_of(stored.with_name(stem))
            assert bytes_of(path) == row[f"{name.replace('-', '_')}_bytes"]
    assert len(list((small.parent / "results").glob("*/baseline*"))) >= 2 + len(NAMES)
    means = pd.read_csv(small.parent / "results" / "few-summary.csv")
    assert means["onnx_bytes_mean"].tolist() == rows["onnx_bytes"].tolist()


def test_finished_rows_are_exported_without_training_again(export, small):
    _, _, _, before = export()
    assert before[report.EXPORTED].isna().all(axis=None)
    status, out, err, rows = export("--export", "litert")
    assert (status, err) == (0, "")
    assert "epoch 1/1" not in out
    assert out.count(".tflite: ") == 3  # two rows and the baseline
    assert (rows["litert_bytes"] > 0).all() and rows["onnx_bytes"].isna().all()
    pd.testing.assert_frame_equal(rows[before.columns[:20]], before[before.columns[:20]])
    files = sorted((small.parent / "results").glob("*/*.tflite"))
    stamps = [file.stat().st_mtime_ns for file in files]
    status, out, _, again = export("--export", "litert")
    assert ".tflite: " not in out
    assert [file.stat().st_mtime_ns for file in files] == stamps
    pd.testing.assert_frame_equal(again, rows)
    files[0].unlink()
    assert export("--export", "litert")[1].count(".tflite: ") == 1


@pytest.mark.slow
def test_int8_files_are_made_anew_for_another_input(export):
    assert export("--export", "litert-int8")[3]["litert_int8_io"].tolist() == ["float32"] * 2
    _, out, _, rows = export("--export", "litert-int8", "--int8-io")
    assert rows["litert_int8_io"].tolist() == ["int8"] * 2
    assert out.count("_int8.tflite: ") == 3


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_a_failed_export_until_it_does_not(export, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "TOLERANCE", -1.0)
        status, out, err, rows = export("--export", "onnx")
    assert status == 1
    assert err.startswith("formal.py: failed: pruned0.0_retrained1: onnx: differs from Keras")
    assert out.count("EXPORT FAILED: ") == 3
    assert rows["failed_exports"].str.startswith("onnx: differs from Keras by up to ").all()
    assert (rows["onnx_accuracy"] > 0).all()
    status, _, err, rows = export("--export", "onnx")
    assert (status, err) == (0, "")
    assert rows["failed_exports"].tolist() == ["", ""]


@pytest.mark.slow
def test_a_format_that_cannot_be_written_costs_no_other(export, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("no such operation; sorry\nand much more")

    change_onnx(monkeypatch, writer=refuse)
    status, out, err, rows = export("--export", "onnx", "litert")
    assert status == 1
    told = r"onnx: functional_?\d* cannot be written as onnx: no such operation, sorry"
    assert rows["failed_exports"].str.fullmatch(told).all()
    assert rows["onnx_bytes"].isna().all() and (rows["litert_bytes"] > 0).all()


def change_onnx(monkeypatch, **changes):
    """Have ONNX written or loaded by another function."""
    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(FORMATS["onnx"], **changes))


def fail(error):
    """A function that raises the error."""

    def failing(*arguments, **options):
        raise error

    return failing


def test_a_file_that_does_not_run_costs_no_row_and_no_other_format(export, monkeypatch):
    class InvalidGraph(Exception):
        """As onnxruntime has it, of no class that says more."""

    change_onnx(monkeypatch, loader=fail(InvalidGraph("no such node;\nsorry")))
    status, out, err, rows = export("--export", "onnx", "litert")
    assert status == 1
    why = "onnx: InvalidGraph: no such node, sorry"
    trials = ("pruned0.0_retrained1", "pruned0.5_retrained1", "baseline")
    assert err == f"formal.py: failed: {'; '.join(f'{name}: {why}' for name in trials)}\n"
    assert rows["failed_exports"].tolist() == [why] * 2
    assert rows["onnx_bytes"].isna().all() and (rows["litert_bytes"] > 0).all()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("bad  shape"), "bad shape"),
        (KeyError("name"), "KeyError: 'name'"),
        (AttributeError(), "AttributeError:"),
        (ValueError(), "ValueError"),
        (ImportError("no onnx"), "ImportError: no onnx"),
        (PermissionError(errno.EACCES, "no"), "PermissionError: [Errno 13] no"),
        (RuntimeError("word " * 1000), "RuntimeError: " + "word " * 56 + "..."),
    ],
)
def test_whatever_an_export_raises_is_told_in_one_line(error, why):
    assert formal._attempt(fail(error)) == (None, why)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "full"), 1, "full; make room, the same call goes on"),
        pytest.param(MemoryError("no memory"), 1, "no memory", marks=pytest.mark.slow),
        pytest.param(KeyboardInterrupt(), 130, "stopped; finished", marks=pytest.mark.slow),
    ],
)
def test_what_ends_the_program_in_an_export_costs_no_row(
    export, monkeypatch, error, status, message
):
    change_onnx(monkeypatch, writer=fail(error))
    ended, _, err, rows = export("--export", "onnx")
    assert ended == status
    assert message in err
    assert rows["pruning_ratio"].tolist() == [0.0]


class Inline:
    """A Cluster that calls at once, in this process; a call of exports dies."""

    places, full = 1, False

    def put(self, value):
        """The value itself."""
        return value

    def submit(self, name, function, *arguments):
        """Call it."""
        died = name.endswith("exports")
        made = None if died else function(*arguments, tell=lambda line: None)
        self.ended = [(name, made, "the worker died; sorry" if died else None)]

    def finished(self):
        """What the last call came to."""
        ended, self.ended = self.ended, []
        return ended


def test_a_node_that_dies_in_an_export_costs_no_row(few, small, call, monkeypatch):
    monkeypatch.setattr(formal, "_cluster", lambda args: contextlib.nullcontext(Inline()))
    status, out, err = call(
        small.parent, few, *SHORT, 0.5, "--model", small, "--export", "litert", "--ray"
    )
    assert status == 1
    assert err == (
        "formal.py: failed: seed 0 pruned0.5_retrained1 exports: litert: the worker died, sorry\n"
    )
    (row,) = report.read_rows(small.parent / "results" / "few.csv").to_dict("records")
    assert row["failed_exports"] == "litert: the worker died, sorry"
    assert row["accuracy"] >= 0


@pytest.mark.slow
def test_augmentation_and_mixed_precision_inside_the_network_are_exported(few, tmp_path, call):
    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1))
    x = layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(images))
    x = layers.Conv2D(4, 3, 2, name="conv1", dtype="mixed_float16")(x)
    x = layers.Conv2D(4, 3, 2, name="conv2", dtype="mixed_float16")(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, layers.Dense(10, "softmax")(x)).save(tmp_path / "own.keras")
    (tmp_path / "ratios.json").write_text('{"conv1": 0.5}')
    arguments = (few, *SHORT, 0.0, "--model", "own.keras", "--layer-ratios", "ratios.json")
    status, out, err = call(tmp_path, *arguments, "--export", *NAMES)
    assert (status, err) == (0, ""), out
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert (rows[report.EXPORTED] > 0).all(axis=None)


def test_what_int8_loses_is_told(export, monkeypatch):
    original = measuring.measure

    def lossy(*arguments, **options):
        measured, wrong = original(*arguments, **options)
        return measured | {"accuracy": 0.0}, wrong

    monkeypatch.setattr(measuring, "measure", lossy)
    monkeypatch.setattr(formal, "LOSS_TO_TELL", -1.0)  # so few images may all be wrong
    status, out, _, rows = export("--export", "litert-int8")
    assert status == 0
    assert rows["litert_int8_accuracy"].tolist() == [0.0, 0.0]
    lost = 100 * rows["accuracy"][1]
    assert f"ATTENTION: pruned0.5_retrained1_int8.tflite loses {lost:.1f} points" in out


@pytest.mark.slow
def test_a_missing_network_is_a_failed_export(export, small):
    export()
    (stored,) = (small.parent / "results").glob("*/pruned0.5_retrained1.keras")
    stored.unlink()
    status, _, err, rows = export("--export", "litert")
    assert status == 1
    assert "its .keras file is not there, call with --fresh" in err
    assert not math.isnan(rows["litert_bytes"][0]) and math.isnan(rows["litert_bytes"][1])


def test_a_missing_runtime_is_named_before_training(export, monkeypatch, few, small, call):
    original = importlib.import_module

    def without(name, *arguments):
        if name == "onnxruntime":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(importlib, "import_module", without)
    status, out, err = call(
        small.parent, few, *SHORT, 0.5, "--model", small, "--export", "litert", "onnx"
    )
    assert status == 1
    assert err == (
        "formal.py: --export onnx needs the package onnxruntime, which is not installed; "
        "pip install -r requirements-extra.txt\n"
    )
    assert "training the baseline" not in out
