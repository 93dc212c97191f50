"""What the CSVs hold: the settings of a row, and what was measured."""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

from experiment import settings
from experiment.settings import BaselineSettings, TrialSettings
from pruning.exports import FORMATS

RENAMED = {"tensorflow": "backend_version"}  # columns of older rows
COUNT = "Int64"  # pandas' type of whole numbers that may be missing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of a trial. A default is what rows of before the column was added hold.

    Attributes: accuracies are 0..1, on the test images; `pruned_accuracy` is right after the last
    cut. MACs are for one image, None if they cannot be counted.
    """

    parameters: int
    accuracy: float
    pruned_accuracy: float
    baseline_parameters: int
    baseline_accuracy: float
    macs: int | None
    baseline_macs: int | None
    baseline_seconds: float
    retrain_seconds: float
    finished_at: str
    keras: str
    backend_version: str
    model_bytes: float = math.nan
    latency_ms: float = math.nan
    baseline_latency_ms: float = math.nan
    throughput: float = math.nan  # images per second
    baseline_throughput: float = math.nan
    peak_memory_mb: float = math.nan
    machine: str = ""


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
        return counts + [name for name, value in self.added.items() if value != value]

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


_BASELINE = settings.fields(BaselineSettings)
_TRIAL = settings.fields(TrialSettings)
_MEASURED = settings.fields(Measured)
BASELINE_SETTINGS = list(_BASELINE)
MEASURED = [name for name, value in _added(_MEASURED).items() if value != value]  # on each machine
EXPORTED = [
    f"{each.column}_{what}"
    for each in FORMATS.values()
    for what in ("bytes", "accuracy", "latency_ms")
]
_OF_EXPORTS = {  # and what rows without exports hold
    **dict.fromkeys([*EXPORTED, "export_threads"], math.nan),
    **{f"{each.column}_io": "" for each in FORMATS.values() if each.quantised},
    "failed_exports": "",
}
SIZES = ["parameters", "macs", "baseline_parameters", "baseline_macs"]
SUMMARISED = [
    *("accuracy", "pruned_accuracy", "baseline_accuracy", "retrain_seconds", "baseline_seconds"),
    *MEASURED,
    *EXPORTED,
]
TRIALS = Table(
    columns={
        **_types(_TRIAL),
        **_types(_MEASURED),
        **{name: type(value) for name, value in _OF_EXPORTS.items()},
    },
    settings=list(_TRIAL),
    added=_added(_TRIAL) | _added(_MEASURED) | _OF_EXPORTS,
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
