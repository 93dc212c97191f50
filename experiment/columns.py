"""What the CSVs hold: the settings of a row, and what was measured."""

import dataclasses
import math
import operator
from dataclasses import dataclass
from typing import NamedTuple

from experiment import settings
from experiment.settings import BaselineSettings, TrialSettings
from pruning.exports import FORMATS

RENAMED = {"tensorflow": "backend_version"}  # columns of older rows
COUNT = "Int64"  # pandas' type of whole numbers that may be missing
DIGITS = 6  # of what follows from other columns; accuracies on 10,000 images have 4


def measured(meaning, default=dataclasses.MISSING):
    """A field that is measured.

    Args:
        meaning: what the column holds, for `docs/results.md`.
        default: value in rows from before the column was added.
    """
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of a trial."""

    parameters: int = measured("Number of weights of the pruned network.")
    accuracy: float = measured(
        "Accuracy on the test images after retraining, 0..1; with `control` that of the network "
        "trained from new weights."
    )
    pruned_accuracy: float = measured(
        "Accuracy on the test images right after pruning, 0..1; of an iterative schedule after the "
        "last cut."
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
    finished_at: str = measured("Date and time at which the row was finished, in UTC.")
    keras: str = measured("Version of Keras.")
    backend_version: str = measured("Version of the package of the backend.")
    model_bytes: float = measured("Size of the pruned `.keras` file in bytes.", math.nan)
    latency_ms: float = measured(
        "Median time of Keras' `predict_on_batch` for one test image, pruned, in milliseconds.",
        math.nan,
    )
    baseline_latency_ms: float = measured(
        "The same of the baseline, in turns with the pruned network.", math.nan
    )
    throughput: float = measured(
        "Images per second of the pruned network in batches of `batch_size`.", math.nan
    )
    baseline_throughput: float = measured(
        "The same of the baseline, in turns with the pruned network.", math.nan
    )
    peak_memory_mb: float = measured(
        "Most memory of the program while the row was made, in 10^6 bytes; empty if the system is "
        "not Linux.",
        math.nan,
    )
    machine: str = measured(
        "Processor, number of its cores that the program may use, system, and number of GPUs.", ""
    )


def _compared(what, compare):
    """Function of a row, or of a DataFrame of rows, that compares the baseline with the result."""

    def comparison(row):
        before, after = row.get(f"baseline_{what}"), row.get(what)
        if before is None or after is None:
            return math.nan
        return round(compare(before, after), DIGITS)

    return comparison


def _part_removed(before, after):
    return 1 - after / before


class Table(NamedTuple):
    """What a CSV holds.

    Attributes:
        columns: `{name: type}`, in their order.
        settings: what shapes a result: no two rows agree in all of these columns.
        added: `{name: value, or function of the row}`: the columns that older rows lack, and what
            these meant.
    """

    columns: dict
    settings: list
    added: dict

    @property
    def unmeasured(self):
        """The columns that may hold no number."""
        counts = [name for name, kind in self.columns.items() if kind == COUNT]
        removed = [name for name in self.columns if name.removesuffix("_removed") in counts]
        return removed + [name for name, value in self.added.items() if value != value]

    @property
    def kinds(self):
        """What the record of a row holds, as `store.Entry` takes it."""
        kinds = {name: int if kind == COUNT else kind for name, kind in self.columns.items()}
        added = {name: kinds.pop(name) for name in self.added}
        return kinds, added, self.unmeasured


def _types(fields):
    return {
        name: COUNT if field.type == int | None else field.type for name, field in fields.items()
    }


def _added(fields):
    """What older rows meant by the columns that may be missing in them."""
    defaults = {n: field.metadata.get("default", field.default) for n, field in fields.items()}
    return {n: value for n, value in defaults.items() if value is not dataclasses.MISSING}


_DERIVED = {  # from other columns, in older rows too: meaning, function of the row
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
_BASELINE = settings.fields(BaselineSettings)
_TRIAL = settings.fields(TrialSettings)
_MEASURED = settings.fields(Measured)
BASELINE_SETTINGS = list(_BASELINE)
MEASURED = [name for name, value in _added(_MEASURED).items() if value != value]  # on each machine
_OF_AN_EXPORT = {  # and what it holds, of one format
    "bytes": "Size of the {} file in bytes; of a folder that of all its files.",
    "accuracy": "Accuracy of the {} file on the test images, 0..1.",
    "latency_ms": "Median time of the {} file for one test image, in milliseconds.",
}
EXPORTED = [f"{each.column}_{what}" for each in FORMATS.values() for what in _OF_AN_EXPORT]
_OF_EXPORTS = {  # and what rows without exports hold
    **dict.fromkeys([*EXPORTED, "export_threads"], math.nan),
    **{f"{each.column}_io": "" for each in FORMATS.values() if each.quantised},
    "failed_exports": "",
}
OF_EXPORTS = list(_OF_EXPORTS)
MEANINGS = {  # of the columns of exports and of what is measured
    **{name: meaning for name, (meaning, _) in _DERIVED.items()},
    **{name: field.metadata["help"] for name, field in _MEASURED.items()},
    **{
        f"{each.column}_{what}": meaning.format(f"`{each.name}`")
        for each in FORMATS.values()
        for what, meaning in _OF_AN_EXPORT.items()
    },
    "export_threads": "Number of threads that the exported files computed on.",
    **{
        f"{each.column}_io": f"What the `{each.name}` file takes and gives: float32 or int8."
        for each in FORMATS.values()
        if each.quantised
    },
    "failed_exports": "Formats that could not be written, or whose answers were wrong, and why.",
}
SIZES = ["parameters", "macs", "baseline_parameters", "baseline_macs"]
SIZES += ["parameters_removed", "macs_removed"]  # the same as those
SUMMARISED = [
    *("accuracy", "accuracy_drop", "pruned_accuracy", "baseline_accuracy"),
    *("retrain_seconds", "baseline_seconds"),
    *MEASURED,
    *EXPORTED,
]
TRIALS = Table(
    columns={
        **_types(_TRIAL),
        **dict.fromkeys(_DERIVED, float),
        **_types(_MEASURED),
        **{name: type(value) for name, value in _OF_EXPORTS.items()},
    },
    settings=list(_TRIAL),
    added=_added(_TRIAL)
    | {name: function for name, (_, function) in _DERIVED.items()}
    | _added(_MEASURED)
    | _OF_EXPORTS,
)
SENSITIVITY = Table(
    columns={
        **_types(_BASELINE),
        **dict.fromkeys(["criterion", "coupled", "images", "layers"], str),
        **dict.fromkeys(["pruning_ratio", "accuracy", "baseline_accuracy"], float),
        **dict.fromkeys(["finished_at", "keras", "backend_version"], str),
    },
    settings=[*BASELINE_SETTINGS, "criterion", "coupled", "images", "layers", "pruning_ratio"],
    added=_added(_BASELINE),
)
NORMS = Table(
    columns={**_types(_BASELINE), "layer": str, "filter": int, "l1_norm": float},
    settings=[*BASELINE_SETTINGS, "layer", "filter"],
    added=_added(_BASELINE),
)
