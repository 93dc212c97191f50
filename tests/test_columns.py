"""experiment/columns.py: what the CSVs hold."""

import pandas as pd

from experiment import record, summary
from experiment.columns import TRIALS
from tests.rows import exported, recalibrated, row


def test_the_columns_are_these_in_this_order(tmp_path):
    record.append_rows(tmp_path / "a.csv", [row(**exported(), **recalibrated())])
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header == (
        "dataset,model,optimizer,learning_rate,lr_schedule,warmup,weight_decay,momentum,nesterov,"
        "batch_size,augment,label_smoothing,class_weights,precision,epoch_taken,epoch1,pixels,normalize,validation,backend,"
        "seed,content,pruning_ratio,target,layer_ratios,ranking,keep,coupled,combine,dense,round_to,criterion,strategy,compensate,schedule,steps,control,epoch2,"
        "retrain_learning_rate,retrain_schedule,distill,distill_temperature,parameters_removed,macs_removed,accuracy_drop,parameters,accuracy,"
        "pruned_accuracy,baseline_parameters,baseline_accuracy,macs,baseline_macs,baseline_seconds,retrain_seconds,finished_at,keras,"
        "backend_version,model_bytes,latency_ms,baseline_latency_ms,throughput,baseline_throughput,"
        "peak_memory_mb,validation_accuracy,best_epoch,machine,litert_bytes,litert_accuracy,litert_latency_ms,litert_int8_bytes,"
        "litert_int8_accuracy,litert_int8_latency_ms,onnx_bytes,onnx_accuracy,onnx_latency_ms,"
        "saved_model_bytes,saved_model_accuracy,saved_model_latency_ms,export_threads,"
        "litert_int8_io,failed_exports,recalibration_images,recalibrated_baseline_accuracy,"
        "recalibrated_pruned_accuracy,recalibrated_accuracy"
    )


def test_columns_of_formats_that_nobody_asked_for_stay_out_of_the_files(tmp_path):
    csv = tmp_path / "a.csv"
    onnx = {name: value for name, value in exported().items() if name.startswith("onnx")}
    record.append_rows(csv, [row()])
    assert header(csv)[-1] == "machine"
    record.append_rows(csv, [row(pruning_ratio=0.5, **onnx), row(seed=2)])
    assert header(csv)[-4:] == ["machine", *onnx]
    assert list(record.read_rows(csv).columns) == [*TRIALS.columns]
    assert record.read_rows(csv)["onnx_bytes"].tolist()[1] == 3e6
    means, _ = summary.write(csv)
    assert "onnx_bytes_mean" in header(means) and "litert_bytes_mean" not in header(means)
    # the deviation of a single row is empty, its column is there
    record.append_rows(tmp_path / "b.csv", [row(**onnx)])
    means, _ = summary.write(tmp_path / "b.csv")
    assert "onnx_bytes_std" in header(means) and "litert_bytes_std" not in header(means)


def test_columns_of_recalibration_are_there_if_a_row_has_them(tmp_path):
    csv = tmp_path / "a.csv"
    empty = {"recalibrated_pruned_accuracy": float("nan")}
    rows = [
        row(pruning_ratio=0.5),
        row(seed=1, **recalibrated(10_000)),
        row(seed=2, **recalibrated(99) | empty),
    ]
    record.append_rows(csv, rows)
    names = [*recalibrated()]
    assert header(csv)[-5:] == ["machine", *names]
    lines = [line.split(",")[-4:] for line in csv.read_text().splitlines()[1:]]
    assert lines == [["", "", "", ""], ["10000", "0.8", "0.6", "0.7"], ["99", "0.8", "", "0.7"]]
    before = csv.read_bytes()
    record.append_rows(csv, rows)
    assert csv.read_bytes() == before
    means, _ = summary.write(csv)
    assert [name for name in header(means) if name.startswith("recal")] == [
        f"recalibrated_{name}_{what}"
        for name in ("baseline_accuracy", "accuracy")
        for what in ("mean", "std")
    ]


def header(csv):
    return csv.read_text().splitlines()[0].split(",")


def test_what_was_removed_and_lost_is_worked_out_in_older_rows_too(tmp_path):
    csv = tmp_path / "a.csv"
    numbers = {"parameters": 300, "baseline_parameters": 400, "macs": 1, "baseline_macs": 3}
    better = row(baseline_accuracy=0.5, accuracy=0.75, **numbers)
    record.append_rows(csv, [better, row(seed=1, macs=None, baseline_macs=None)])
    names = ["parameters_removed", "macs_removed", "accuracy_drop"]
    for _ in range(2):
        rows = record.read_rows(csv)[names]
        assert rows.iloc[0].tolist() == [0.25, 0.666667, -0.25]
        # 1 - 2404404 / 4047370 = 0.405934...; 0.9 - (0.1 + 0.2) without the noise of floats
        assert rows.iloc[1][["parameters_removed", "accuracy_drop"]].tolist() == [0.405934, 0.6]
        assert rows["macs_removed"].isna().tolist() == [False, True]
        older = pd.read_csv(csv, dtype=str).drop(columns=names, errors="ignore")
        older.to_csv(csv, index=False)
