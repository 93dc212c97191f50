"""The record: CSVs with one row per setting."""

import hashlib
import math
import os
import sys
from pathlib import Path
from typing import NamedTuple

import filelock
import pandas as pd

from pruning.exports import FORMATS


class NotARecordError(ValueError):
    """A file is not a CSV of the table it should be."""


COUNT = "Int64"  # pandas' type of whole numbers that may be missing


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
    def required(self):
        """The columns that every row has, however old."""
        return [name for name in self.columns if name not in self.added]

    @property
    def unmeasured(self):
        """The columns that may hold no number."""
        counts = [name for name, kind in self.columns.items() if kind == COUNT]
        return counts + [name for name, value in self.added.items() if value != value]


_BASELINE = {  # what shapes the baseline, in the columns from the beginning
    "dataset": str,
    "model": str,
    "seed": int,
    "learning_rate": float,
    "batch_size": int,
    "epoch1": int,
    "optimizer": str,
    "augment": str,
}
MEASURED = [  # of each row, on its machine
    "model_bytes",
    "latency_ms",
    "baseline_latency_ms",
    "throughput",
    "baseline_throughput",
    "peak_memory_mb",
]
EXPORTED = [
    f"{file_format.column}_{what}"
    for file_format in FORMATS.values()
    for what in ("bytes", "accuracy", "latency_ms")
]
_OF_EXPORTS = [*EXPORTED, "export_threads"]
_INT8_IO = [f"{each.column}_io" for each in FORMATS.values() if each.quantised]
_VERSIONS = {"finished_at": str, "keras": str, "tensorflow": str}
_ADDED_TO_BASELINE = {  # what shapes it, too, and what older rows meant
    "precision": "float32",
    "content": "",  # not known: such a row stays beside one of known content
    "pixels": "0..1",
}
BASELINE_SETTINGS = [*_BASELINE, *_ADDED_TO_BASELINE]
TRIALS = Table(
    columns={
        "dataset": str,
        "model": str,
        "pruning_ratio": float,
        "seed": int,
        "parameters": int,
        "accuracy": float,
        "pruned_accuracy": float,
        "baseline_parameters": int,
        "baseline_accuracy": float,
        "macs": COUNT,
        "baseline_macs": COUNT,
        "criterion": str,
        "strategy": str,
        "schedule": str,
        "learning_rate": float,
        "batch_size": int,
        "epoch1": int,
        "epoch2": int,
        "optimizer": str,
        "baseline_seconds": float,
        "retrain_seconds": float,
        **_VERSIONS,
        "coupled": str,
        "layer_ratios": str,
        "retrain_learning_rate": float,
        "control": str,
        "augment": str,
        **dict.fromkeys(MEASURED, float),
        "machine": str,
        "precision": str,
        **dict.fromkeys(_OF_EXPORTS, float),
        **dict.fromkeys(_INT8_IO, str),
        "failed_exports": str,
        "content": str,
        "pixels": str,
    },
    settings=[
        *BASELINE_SETTINGS,
        "pruning_ratio",
        "criterion",
        "strategy",
        "schedule",
        "epoch2",
        "coupled",
        "layer_ratios",
        "retrain_learning_rate",
        "control",
    ],
    added={
        "coupled": "joint",
        "layer_ratios": "",
        "retrain_learning_rate": lambda row: row.get("learning_rate"),
        "control": "",
        "augment": "",
        **dict.fromkeys(MEASURED, math.nan),
        "machine": "",
        **_ADDED_TO_BASELINE,
        **dict.fromkeys(_OF_EXPORTS, math.nan),
        **dict.fromkeys(_INT8_IO, ""),
        "failed_exports": "",
    },
)
SIZES = ["parameters", "macs", "baseline_parameters", "baseline_macs"]
SUMMARISED = [
    "accuracy",
    "pruned_accuracy",
    "baseline_accuracy",
    "retrain_seconds",
    "baseline_seconds",
    *MEASURED,
    *EXPORTED,
]
SENSITIVITY = Table(
    columns={
        **_BASELINE,
        "criterion": str,
        "coupled": str,
        "images": str,
        "layers": str,
        "pruning_ratio": float,
        "accuracy": float,
        "baseline_accuracy": float,
        **_VERSIONS,
        **dict.fromkeys(_ADDED_TO_BASELINE, str),
    },
    settings=[*BASELINE_SETTINGS, "criterion", "coupled", "images", "layers", "pruning_ratio"],
    added=_ADDED_TO_BASELINE,
)
NORMS = Table(
    columns={
        **_BASELINE,
        "layer": str,
        "filter": int,
        "l1_norm": float,
        **dict.fromkeys(_ADDED_TO_BASELINE, str),
    },
    settings=[*BASELINE_SETTINGS, "layer", "filter"],
    added=_ADDED_TO_BASELINE,
)


def check(path, table=TRIALS):
    """Find out before any training whether rows can be appended to the CSV; call it under its lock.

    Args:
        path: pathlib.Path of the CSV file.
        table: what it holds.

    Raises:
        NotARecordError: the file is not such a CSV.
        OSError: the folder cannot be written to.
    """
    partial = _partial(_target(path))
    partial.touch()
    partial.unlink()
    read_rows(path, table)


def read_rows(path, table=TRIALS):
    """All rows of the CSV.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        table: what it holds.

    Returns:
        DataFrame with the columns of the table, in order of writing. Columns that an older file
        lacks hold what its rows were made with. Numbers are finite and at least 0, accuracies at
        most 1; what was not measured is no number.

    Raises:
        NotARecordError: the file is not such a CSV.
    """
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in table.columns.items()})
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise ValueError("it is no file")
        # text stays text, a dataset called "NA" or "001" too; floats keep every bit
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        if rows.isna().to_numpy().any() or not path.read_bytes().endswith(b"\n"):
            raise ValueError("its last row is cut short")
        added = [name for name in table.added if name not in rows.columns]
        if sorted([*rows.columns, *added]) != sorted(table.columns):
            raise ValueError(f"its columns are {', '.join(rows.columns)}")
        floats = [name for name in [*MEASURED, *_OF_EXPORTS] if name in rows.columns]
        rows[floats] = rows[floats].replace("", "nan")  # what was not measured
        counts = [name for name, kind in table.columns.items() if kind == COUNT]
        rows[counts] = rows[counts].astype(object).map(lambda value: value or None)
        rows = rows.assign(**{name: table.added[name] for name in added})
        rows = rows[list(table.columns)].astype(table.columns)
        _check_numbers(rows, table)
        return rows
    except (ValueError, OverflowError) as error:
        raise NotARecordError(
            f"{path} is not a record of this program ({' '.join(str(error).split())})"
        ) from error


def append_rows(path, rows, table=TRIALS):
    """Append the rows to the CSV that are not there; a row of the same settings gives way to one.

    Runs side by side wait for each other, and the file is replaced as a whole, so that every
    row arrives once and a reader never sees half a file.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        rows: list of dicts with the columns of the table as keys; older rows may lack those that
            were added since.
        table: what the CSV holds.

    Raises:
        ValueError: a row has other columns.
        NotARecordError: the file is not such a CSV.
    """
    rows = [_completed(row, table) for row in rows]
    with lock(path):
        before = read_rows(path, table)
        new = pd.DataFrame(rows, columns=list(table.columns)).astype(table.columns)
        known = pd.MultiIndex.from_frame(before[table.settings])
        replaced = known.isin(pd.MultiIndex.from_frame(new[table.settings]))
        if before[replaced].reset_index(drop=True).equals(new):
            return
        _put(pd.concat([before[~replaced], new]), path)


def write_summary(path, summary):
    """Write mean, sample standard deviation and number of the rows that differ in the seed only.

    Args:
        path: pathlib.Path of a CSV of the table `TRIALS`.
        summary: pathlib.Path of the CSV to write.
    """
    with lock(path):
        rows = read_rows(path)
        _put(summarised(rows), summary)


def summarised(rows):
    """One row per setting, whatever the seed: `n`, and of what was measured mean and deviation.

    Args:
        rows: DataFrame as `read_rows` gives it.

    Returns:
        DataFrame with the settings but the seed, `parameters`, `macs`, `baseline_parameters`,
        `baseline_macs`, `n`, and `<column>_mean`, `<column>_std` of accuracies and costs. The
        standard deviation is that of a sample (n - 1), not a number for a single row; so is a mean
        of rows of which one was not measured.
    """
    keys = [name for name in TRIALS.settings if name != "seed"]
    groups = rows.groupby([*keys, *SIZES], sort=False, dropna=False)
    columns = {"n": groups.size()}
    for name in SUMMARISED:
        columns[f"{name}_mean"] = groups[name].agg(lambda values: values.mean(skipna=False))
        columns[f"{name}_std"] = groups[name].agg(lambda values: values.std(skipna=False))
    return pd.DataFrame(columns).reset_index()


def shortened(layer_ratios):
    """A column `layer_ratios` in a few characters: the name, or a checksum of the ratios."""
    if layer_ratios.startswith("{"):
        return hashlib.sha256(layer_ratios.encode()).hexdigest()[:8]
    return layer_ratios


def lock(path):
    """The lock of the CSV and of what is made from it, so that runs side by side take turns."""
    return filelock.FileLock(f"{_target(path)}.lock")


def _check_numbers(rows, table):
    for name, kind in table.columns.items():
        if kind is str:
            continue
        right = rows[name].between(0, 1 if name.endswith("accuracy") else sys.float_info.max)
        if name in table.unmeasured:
            right |= rows[name].isna()
        if not right.all():
            raise ValueError(f"it holds {name} {rows[name][~right].iloc[0]}")


def _completed(row, table):
    """The row with what the columns it lacks meant."""
    meant = {n: value(row) if callable(value) else value for n, value in table.added.items()}
    row = meant | row
    if set(row) != set(table.columns):
        raise ValueError(f"row has the columns {', '.join(row)}; give {', '.join(table.columns)}")
    return row


def _put(rows, path):
    path = _target(path)
    partial = _partial(path)
    try:
        with open(partial, "w", newline="", encoding="utf-8") as file:
            rows.to_csv(file, index=False)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the name without the content
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _target(path):
    """What a symbolic link leads to, which is replaced instead of the link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _partial(path):
    return path.with_name(f"{path.name}.partial")
