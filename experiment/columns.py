"""Columns of the CSV files: the settings of a row, and its measurements."""

import dataclasses
import math
import operator
from dataclasses import dataclass
from typing import NamedTuple

from experiment import fields
from experiment.settings import BaselineSettings, TrialSettings
from pruning.exports import FORMATS

RENAMED = {"tensorflow": "backend_version"}  # columns of older rows
COUNT = "Int64"  # pandas' type of whole numbers that may be missing
KINDS = {int | None: COUNT, float | None: float}  # type of a field: type of its column
DIGITS = 6  # of columns worked out from others; an accuracy on 10,000 images has 4


def measured(meaning, default=dataclasses.MISSING):
    """A measured field.

    Args:
        meaning: of the column, for `docs/results.md`.
        default: value in older rows, which lack the column.
    """
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of a trial."""

    parameters: int = measured("Number of weights of the pruned network.")
    accuracy: float = measured(
        "Accuracy on the test images after retraining, 0..1; with `control` that of the network "
        "trained from new weights."
    )
    pruned_accuracy: float = measured(
        "Accuracy on the test images right after pruning, 0..1; in an iterative or stepwise "
        "schedule, after the last stage is pruned."
    )
    baseline_parameters: int = measured("Number of weights of the baseline.")
    baseline_accuracy: float = measured("Accuracy of the baseline on the test images, 0..1.")
    macs: int | None = measured(
        "Multiply-accumulates of the pruned network for one image; empty if a layer cannot be "
        "counted."
    )
    baseline_macs: int | None = measured("Multiply-accumulates of the baseline for one image.")
    baseline_seconds: float = measured("Time of the baseline's training in seconds.")
    retrain_seconds: float = measured("Time of the retraining in seconds.")
    finished_at: str = measured("Date and time of the end of the trial, in UTC.")
    keras: str = measured("Version of Keras.")
    backend_version: str = measured("Version of the package of the backend.")
    model_bytes: float = measured("Size of the pruned `.keras` file in bytes.", math.nan)
    latency_ms: float = measured(
        "Median time of Keras' `predict_on_batch` for one test image, pruned network, in "
        "milliseconds.",
        math.nan,
    )
    baseline_latency_ms: float = measured(
        "The same for the baseline, measured in turns with the pruned network.", math.nan
    )
    throughput: float = measured(
        "Images per second of the pruned network in batches of `batch_size`.", math.nan
    )
    baseline_throughput: float = measured(
        "The same for the baseline, measured in turns with the pruned network.", math.nan
    )
    peak_memory_mb: float = measured(
        "Peak memory of the program during the trial, in 10^6 bytes; empty if the system is not "
        "Linux.",
        math.nan,
    )
    validation_accuracy: float = measured(
        "Accuracy of the network after retraining on the validation images, 0..1; empty without "
        "`--validation`.",
        math.nan,
    )
    best_epoch: int | None = measured(
        "With `--best-epoch`: epoch of the retraining whose weights were taken, from 1; in an "
        "iterative or stepwise schedule, of the last stage.",
        None,
    )
    machine: str = measured(
        "Processor, number of cores that the program may use, system, number of GPUs.", ""
    )


def _compared(what, compare):
    """Function of a row, or of a DataFrame, that compares the baseline with the pruned network."""

    def comparison(row):
        before, after = row.get(f"baseline_{what}"), row.get(what)
        if before is None or after is None:
            return math.nan
        return round(compare(before, after), DIGITS)

    return comparison


def _part_removed(before, after):
    return 1 - after / before


class Table(NamedTuple):
    """Columns of a CSV file.

    Attributes:
        columns: `{name: type}`, in their order.
        settings: names of the settings: no two rows agree in all of these columns.
        empty: names of the settings whose numbers may be missing.
        added: `{name: value, or function of the row}`: columns that older rows may lack, and their
            value in these rows.
    """

    columns: dict
    settings: list
    added: dict
    empty: list = []  # never changed

    @property
    def unmeasured(self):
        """Names of the columns whose numbers may be missing."""
        counts = [name for name, kind in self.columns.items() if kind == COUNT]
        removed = [name for name in self.columns if name.removesuffix("_removed") in counts]
        removed += [name for name, value in self.added.items() if value != value]
        return removed + self.empty

    @property
    def kinds(self):
        """Types of the record of a row, as `store.Entry` expects them."""
        kinds = {name: int if kind == COUNT else kind for name, kind in self.columns.items()}
        added = {name: kinds.pop(name) for name in self.added}
        return kinds, added, self.unmeasured


def _types(fields):
    return {name: KINDS.get(field.type, field.type) for name, field in fields.items()}


def _added(fields):
    """Values of the columns that older rows lack."""
    defaults = {n: field.metadata.get("default", field.default) for n, field in fields.items()}
    return {n: value for n, value in defaults.items() if value is not dataclasses.MISSING}


_DERIVED = {  # columns worked out from others: meaning, function of the row
    "parameters_removed": (
        "Part of the parameters that was removed, 0..1.",
        _compared("parameters", _part_removed),
    ),
    "macs_removed": (
        "Part of the multiply-accumulates that was removed, 0..1; empty if they are not counted.",
        _compared("macs", _part_removed),
    ),
    "accuracy_drop": (
        "`baseline_accuracy` - `accuracy`, in parts of 1: 0.01 is one point; below 0 if the pruned "
        "network is better.",
        _compared("accuracy", operator.sub),
    ),
}
_BASELINE = fields.of(BaselineSettings)
_TRIAL = fields.of(TrialSettings)
_MEASURED = fields.of(Measured)
BASELINE_SETTINGS = list(_BASELINE)
MEASURED = [  # differ between machines
    name
    for name, value in _added(_MEASURED).items()
    if value != value and not name.endswith("accuracy")
]
_OF_AN_EXPORT = {  # columns of one format, and their meanings
    "bytes": "Size of the {} file, or of all files of the folder, in bytes.",
    "accuracy": "Accuracy of the {} file on the test images, 0..1.",
    "latency_ms": "Median time of the {} file for one test image, in milliseconds.",
}
EXPORTED = [f"{each.column}_{what}" for each in FORMATS.values() for what in _OF_AN_EXPORT]
_OF_EXPORTS = {  # columns, and their values in rows without exports
    **dict.fromkeys([*EXPORTED, "export_threads"], math.nan),
    **{f"{each.column}_io": "" for each in FORMATS.values() if each.quantised},
    "failed_exports": "",
}
_OF_RECALIBRATION = {  # meanings of the columns of --recalibrate
    "recalibration_images": "Number of random training images from which `--recalibrate` estimated "
    "the statistics of BatchNormalization again, for the next three columns.",
    "recalibrated_baseline_accuracy": "`baseline_accuracy` with these statistics.",
    "recalibrated_pruned_accuracy": "`pruned_accuracy` with these statistics; empty with "
    "`control`, and in an iterative or stepwise schedule, whose last cut follows a retraining.",
    "recalibrated_accuracy": "`accuracy` with these statistics; the stored network has its own.",
}
_, *RECALIBRATED = _OF_RECALIBRATION
ON_REQUEST = [*_OF_EXPORTS, *_OF_RECALIBRATION]  # left out of files if no row has a value
MEANINGS = {  # of all columns that are not settings
    **{name: meaning for name, (meaning, _) in _DERIVED.items()},
    **{name: field.metadata["help"] for name, field in _MEASURED.items()},
    **{
        f"{each.column}_{what}": meaning.format(f"`{each.name}`")
        for each in FORMATS.values()
        for what, meaning in _OF_AN_EXPORT.items()
    },
    "export_threads": "Number of threads when the exported files were measured.",
    **{
        f"{each.column}_io": f"Type of input and output of the `{each.name}` file: float32 or int8."
        for each in FORMATS.values()
        if each.quantised
    },
    "failed_exports": "Formats that could not be written or gave wrong answers, and the reasons.",
    **_OF_RECALIBRATION,
}
SIZES = ["parameters", "macs", "baseline_parameters", "baseline_macs"]
SIZES += ["parameters_removed", "macs_removed"]  # the same as those
SUMMARISED = [
    *("accuracy", "accuracy_drop", "pruned_accuracy", "baseline_accuracy", "validation_accuracy"),
    *("retrain_seconds", "baseline_seconds"),
    *MEASURED,
    *EXPORTED,
    *RECALIBRATED,
]
TRIALS = Table(
    columns={
        **_types(_TRIAL),
        **dict.fromkeys(_DERIVED, float),
        **_types(_MEASURED),
        **{name: type(value) for name, value in _OF_EXPORTS.items()},
        "recalibration_images": COUNT,
        **dict.fromkeys(RECALIBRATED, float),
    },
    settings=list(_TRIAL),
    empty=[name for name, field in _TRIAL.items() if field.type == float | None],
    added=_added(_TRIAL)
    | {name: function for name, (_, function) in _DERIVED.items()}
    | _added(_MEASURED)
    | _OF_EXPORTS
    | {"recalibration_images": None, **dict.fromkeys(RECALIBRATED, math.nan)},
)
SENSITIVITY = Table(
    columns={
        **_types(_BASELINE),
        **dict.fromkeys(["criterion", "coupled", "combine", "dense", "images", "layers"], str),
        **dict.fromkeys(["pruning_ratio", "accuracy", "baseline_accuracy"], float),
        **dict.fromkeys(["finished_at", "keras", "backend_version"], str),
    },
    settings=[
        *BASELINE_SETTINGS,
        *("criterion", "coupled", "combine", "dense", "images", "layers", "pruning_ratio"),
    ],
    added=_added(_BASELINE) | {name: _added(_TRIAL)[name] for name in ("combine", "dense")},
)
NORMS = Table(
    columns={**_types(_BASELINE), "layer": str, "filter": int, "l1_norm": float},
    settings=[*BASELINE_SETTINGS, "layer", "filter"],
    added=_added(_BASELINE),
)
