"""Rows for CSVs of trials and sensitivities."""

COMPARED = {  # of the row below: 1 - 2404404 / 4047370, 1 - 3803832 / 7865344, 0.9 - 0.3
    "parameters_removed": 0.405934,
    "macs_removed": 0.516381,
    "accuracy_drop": 0.6,
}
EXPORTS = ["litert", "litert_int8", "onnx", "saved_model"]


def row(**changes):
    return {
        "dataset": "fashion",
        "model": "scnnb",
        "pruning_ratio": 0.4,
        "target": "",
        "seed": 0,
        "parameters": 2404404,
        "accuracy": 0.1 + 0.2,
        "pruned_accuracy": 1 / 3,
        "baseline_parameters": 4047370,
        "baseline_accuracy": 0.9,
        "macs": 3803832,
        "baseline_macs": 7865344,
        "criterion": "l1",
        "strategy": "independent",
        "compensate": "",
        "schedule": "one-shot",
        "steps": 0,
        "learning_rate": 1e-05,
        "batch_size": 128,
        "epoch1": 35,
        "epoch2": 30,
        "optimizer": "adam",
        "baseline_seconds": 700.1,
        "retrain_seconds": 500.2,
        "finished_at": "2026-01-01T00:00:00+00:00",
        "keras": "3.15.1",
        "backend_version": "2.21.0",
        "backend": "tensorflow",
        "ranking": "uniform",
        "keep": 0.0,
        "coupled": "joint",
        "combine": "sum",
        "dense": "",
        "round_to": 1,
        "layer_ratios": "",
        "retrain_learning_rate": 1e-05,
        "lr_schedule": "constant",
        "warmup": 0,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "nesterov": "",
        "retrain_schedule": "constant",
        "distill": 0.0,
        "distill_temperature": 0.0,
        "control": "",
        "augment": "",
        "label_smoothing": 0.0,
        "class_weights": "",
        "precision": "float32",
        "content": "0123456789ab",
        "pixels": "0..255",
        "normalize": "",
        "validation": 0.0,
        "epoch_taken": "",
        "best_epoch": 7,
        "validation_accuracy": 0.75,
        "model_bytes": 9666403.0,
        "latency_ms": 1.5,
        "baseline_latency_ms": 2.5,
        "throughput": 4000.5,
        "baseline_throughput": 3000.5,
        "peak_memory_mb": 1200.5,
        "machine": "AMD EPYC, 2 cores, Linux",
    } | changes


def exported(size=1.0, **changes):
    """The columns of exports: the first format has `size` MB, the others 2, 3, 4 times that."""
    columns = {"export_threads": 2.0, "litert_int8_io": "float32", "failed_exports": "onnx: no"}
    for number, name in enumerate(EXPORTS, 1):
        columns[f"{name}_bytes"] = size * number * 1e6
        columns |= {f"{name}_accuracy": 0.9 - number / 10, f"{name}_latency_ms": 0.1 * number}
    return columns | changes


def recalibrated(images=10_000):
    """The columns of `--recalibrate`."""
    return {
        "recalibration_images": images,
        "recalibrated_baseline_accuracy": 0.8,
        "recalibrated_pruned_accuracy": 0.6,
        "recalibrated_accuracy": 0.7,
    }


def sensitivities(accuracies, **changes):
    """Rows of one layer, with 0.1, 0.2, ... of its filters removed."""
    row = {"dataset": "fashion", "model": "scnnb", "seed": 0, "learning_rate": 0.001}
    row |= {"batch_size": 128, "epoch1": 35, "optimizer": "adam", "criterion": "l1"}
    row |= {
        "augment": "",
        "content": "0123456789ab",
        "pixels": "0..255",
        "normalize": "",
        "validation": 0.0,
        "epoch_taken": "",
        "backend": "jax",
        "lr_schedule": "constant",
        "warmup": 0,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "nesterov": "",
        "label_smoothing": 0.0,
        "class_weights": "",
        "precision": "float32",
        "coupled": "joint",
        "combine": "sum",
        "dense": "",
        "images": "test",
        "baseline_accuracy": 0.9,
    }
    row |= {"finished_at": "2026", "keras": "3", "backend_version": "2"} | changes
    return [
        row | {"pruning_ratio": number / 10, "accuracy": accuracy}
        for number, accuracy in enumerate(accuracies, 1)
    ]
