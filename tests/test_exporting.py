"""experiment/exporting.py and formal.py --export: rows, files and messages."""

import dataclasses
import errno
import importlib
import math

import keras
import pandas as pd
import pytest
from keras import layers

import data
from experiment import cluster, exporting, record
from experiment.columns import EXPORTED, TRIALS
from experiment.store import Entry
from pruning.exports import FORMATS, checking
from pruning.exports.writing import bytes_of
from scnnb import training
from tests import inline

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
NAMES = ["litert", "litert-int8", "onnx", "saved-model"]


@pytest.fixture
def export(few, small, call):
    """Call formal.py with these options: `export(*options)` -> status, stdout, stderr, rows."""

    def run(*options, ratios=(0.0, 0.5)):
        result = call(small.parent, few, *SHORT, *ratios, "--model", small, *options)
        return *result, record.read_rows(small.parent / "results" / "few.csv")

    return run


@pytest.fixture
def stored(few, small):
    """Export a stored network: `stored(*names)` -> its record; its Entry is `stored.entry`."""
    model, dataset = keras.models.load_model(small), data.load(few)
    entry = Entry(small.parent / "baseline", ({"accuracy": float}, *TRIALS.kinds[1:]))
    entry.save_model(model)
    entry.save_record({"accuracy": training.accuracy(model, *dataset.test)})

    def export(*names, int8_io=False):
        return exporting.export(entry, dataset, 0, [FORMATS[n] for n in names], int8_io)

    export.entry = entry
    return export


def test_size_accuracy_and_latency_of_every_format_are_in_the_record(stored):
    measured = stored(*NAMES)
    assert all(measured[name] > 0 for name in EXPORTED if not name.endswith("accuracy")), measured
    assert measured["failed_exports"] == ""
    assert measured["litert_int8_io"] == "float32"
    for column in ("litert", "onnx", "saved_model"):
        assert measured[f"{column}_accuracy"] == measured["accuracy"]
    for name in NAMES:
        size = bytes_of(stored.entry.export_file(FORMATS[name]))
        assert measured[f"{name.replace('-', '_')}_bytes"] == size
    assert stored.entry.read_record() == measured


def test_only_missing_files_are_exported(stored):
    before = stored("litert")
    file = stored.entry.export_file(FORMATS["litert"])
    stamp = file.stat().st_mtime_ns
    assert stored("litert") == before
    assert file.stat().st_mtime_ns == stamp
    file.unlink()
    stored("litert")
    assert file.exists()


def test_an_int8_file_with_another_input_type_is_missing(stored):
    measured = {"litert_int8_bytes": 1.0, "litert_int8_io": "float32"}
    formats = [FORMATS["litert-int8"]]
    stored.entry.export_file(*formats).touch()
    assert exporting.missing(stored.entry, measured, formats, int8_io=False) == []
    assert exporting.missing(stored.entry, measured, formats, int8_io=True) == formats


def test_if_a_file_does_not_run_the_other_formats_are_exported(stored, monkeypatch, capsys):
    class InvalidGraph(Exception):
        """An error of onnxruntime, whose classes are not known here."""

    change_onnx(monkeypatch, loader=fail(InvalidGraph("no such node;\nsorry")))
    measured = stored("onnx", "litert")
    assert measured["failed_exports"] == "onnx: InvalidGraph: no such node, sorry"
    assert math.isnan(measured["onnx_bytes"]) and measured["litert_bytes"] > 0
    assert capsys.readouterr().out.startswith("EXPORT FAILED: baseline.onnx: InvalidGraph")


@pytest.mark.slow
def test_every_row_has_size_accuracy_and_latency_of_every_format(export, small):
    status, out, err, rows = export("--export", *NAMES)
    assert (status, err) == (0, "")
    assert out.count("training the baseline") == 1
    assert (rows[EXPORTED] > 0).all(axis=None), rows[EXPORTED].to_dict("records")
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


@pytest.mark.usefixtures("untrained")
def test_finished_rows_are_exported_without_training_again(export, small):
    _, _, _, before = export(ratios=[0.5])
    assert before[EXPORTED].isna().all(axis=None)
    status, out, err, rows = export("--export", "litert", ratios=[0.5])
    assert (status, err) == (0, "")
    assert "epoch 1/1" not in out
    assert out.count(".tflite: ") == 2  # the row and the baseline
    assert (rows["litert_bytes"] > 0).all() and rows["onnx_bytes"].isna().all()
    same = [name for name in before if name not in (*EXPORTED, "export_threads")]
    pd.testing.assert_frame_equal(rows[same], before[same])
    of_baseline, *files = sorted((small.parent / "results").glob("*/*.tflite"))
    stamps = [file.stat().st_mtime_ns for file in files]
    of_baseline.unlink()  # no row depends on it
    _, out, _, again = export("--export", "litert", ratios=[0.5])
    assert out.count(".tflite: ") == 1
    assert [file.stat().st_mtime_ns for file in files] == stamps
    pd.testing.assert_frame_equal(again, rows)


@pytest.mark.slow
def test_int8_files_are_exported_again_for_another_input_type(export):
    assert export("--export", "litert-int8")[3]["litert_int8_io"].tolist() == ["float32"] * 2
    _, out, _, rows = export("--export", "litert-int8", "--int8-io")
    assert rows["litert_int8_io"].tolist() == ["int8"] * 2
    assert out.count("_int8.tflite: ") == 3


@pytest.mark.slow
def test_a_file_that_differs_from_keras_is_a_failed_export_and_is_exported_again(
    export, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(checking, "TOLERANCE", -1.0)
        status, out, err, rows = export("--export", "onnx")
    assert status == 1
    assert err.startswith(
        "formal.py: failed: seed 0 pruned0.0_retrained1 exports: onnx: differs from Keras"
    )
    assert out.count("EXPORT FAILED: ") == 3
    assert rows["failed_exports"].str.startswith("onnx: differs from Keras by up to ").all()
    assert (rows["onnx_accuracy"] > 0).all()
    status, _, err, rows = export("--export", "onnx")
    assert (status, err) == (0, "")
    assert rows["failed_exports"].tolist() == ["", ""]


@pytest.mark.slow
def test_if_a_format_cannot_be_written_the_others_are_exported(export, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("no such operation; sorry\nand much more")

    change_onnx(monkeypatch, writer=refuse)
    status, out, err, rows = export("--export", "onnx", "litert")
    assert status == 1
    reason = r"onnx: functional_?\d* cannot be written as onnx: no such operation, sorry"
    assert rows["failed_exports"].str.fullmatch(reason).all()
    assert rows["onnx_bytes"].isna().all() and (rows["litert_bytes"] > 0).all()


def change_onnx(monkeypatch, **changes):
    """Replace the function that writes or loads ONNX."""
    monkeypatch.setitem(FORMATS, "onnx", dataclasses.replace(FORMATS["onnx"], **changes))


def fail(error):
    """A function that raises the error."""

    def failing(*arguments, **options):
        raise error

    return failing


@pytest.mark.slow
def test_if_a_file_does_not_run_all_rows_and_other_formats_are_there(export, monkeypatch):
    class InvalidGraph(Exception):
        """An error of onnxruntime, whose classes are not known here."""

    change_onnx(monkeypatch, loader=fail(InvalidGraph("no such node;\nsorry")))
    status, out, err, rows = export("--export", "onnx", "litert")
    assert status == 1
    why = "onnx: InvalidGraph: no such node, sorry"
    trials = ("pruned0.0_retrained1", "pruned0.5_retrained1", "baseline")
    assert (
        err
        == f"formal.py: failed: {'; '.join(f'seed 0 {name} exports: {why}' for name in trials)}\n"
    )
    assert rows["failed_exports"].tolist() == [why] * 2
    assert rows["onnx_bytes"].isna().all() and (rows["litert_bytes"] > 0).all()


@pytest.mark.parametrize(
    ("error", "reason"),
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
def test_the_reason_of_a_failed_export_is_one_line(error, reason):
    assert exporting._attempt(fail(error)) == (None, reason)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "full"), 1, "full; free some disk space, and the same command"),
        pytest.param(MemoryError("no memory"), 1, "no memory", marks=pytest.mark.slow),
        pytest.param(KeyboardInterrupt(), 130, "stopped; finished", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("untrained")
def test_an_error_in_an_export_that_ends_the_program_keeps_the_row(
    export, monkeypatch, error, status, message
):
    change_onnx(monkeypatch, writer=fail(error))
    ended, _, err, rows = export("--export", "onnx")
    assert ended == status
    assert message in err
    assert rows["pruning_ratio"].tolist() == [0.0]


@pytest.mark.usefixtures("untrained")
def test_a_node_that_dies_in_an_export_keeps_the_row(few, small, call, monkeypatch):
    monkeypatch.setattr(cluster, "Cluster", lambda *args, **options: inline.Cluster("exports"))
    status, out, err = call(
        small.parent, few, *SHORT, 0.5, "--model", small, "--export", "litert", "--ray"
    )
    assert status == 1
    why = "exports: litert: the worker died, sorry"
    failed = f"seed 0 pruned0.5_retrained1 {why}; seed 0 baseline {why}"
    assert err == f"formal.py: failed: {failed}\n"
    assert f"seed 0 pruned0.5_retrained1 {why}\n" in out
    (row,) = record.read_rows(small.parent / "results" / "few.csv").to_dict("records")
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
    rows = record.read_rows(tmp_path / "results" / "few.csv")
    assert (rows[EXPORTED] > 0).all(axis=None)


def test_the_accuracy_that_an_export_loses_is_reported(tmp_path, capsys):
    entry = Entry(tmp_path / "pruned0.5", ({}, {}, ()))
    measured = {"accuracy": 0.5, "litert_int8_accuracy": 0.375, "litert_accuracy": 0.5}
    exporting.report_loss(entry, measured, list(FORMATS.values()))
    message = "ATTENTION: pruned0.5_int8.tflite loses 12.5 points of accuracy\n"
    assert capsys.readouterr().out == message


def test_a_missing_network_is_a_failed_export(stored):
    stored.entry.model_file.unlink()
    measured = stored("litert", "onnx")
    why = "its .keras file is missing: call with --fresh"
    assert exporting.failures(measured) == {"litert": why, "onnx": why}
    assert "litert_bytes" not in measured


def test_a_missing_runtime_is_an_error_before_training(export, monkeypatch, few, small, call):
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
        "formal.py: --export onnx requires the package onnxruntime, which is not installed; "
        "pip install -r requirements-extra.txt\n"
    )
    assert "training the baseline" not in out
