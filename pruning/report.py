"""The record: CSVs with one row per setting."""

import hashlib
import os
from typing import NamedTuple

import filelock
import pandas as pd


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


_BASELINE = {  # what shapes the baseline
    "dataset": str,
    "model": str,
    "seed": int,
    "learning_rate": float,
    "batch_size": int,
    "epoch1": int,
    "optimizer": str,
    "augment": str,
}
_VERSIONS = {"finished_at": str, "keras": str, "tensorflow": str}
BASELINE_SETTINGS = list(_BASELINE)
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
        "macs": int,
        "baseline_macs": int,
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
    },
)
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
    },
    settings=[*BASELINE_SETTINGS, "criterion", "coupled", "images", "layers", "pruning_ratio"],
    added={},
)
NORMS = Table(
    columns={**_BASELINE, "layer": str, "filter": int, "l1_norm": float},
    settings=[*BASELINE_SETTINGS, "layer", "filter"],
    added={},
)


def check(path, table=TRIALS):
    """Find out before any training whether rows can be appended to the CSV.

    Args:
        path: pathlib.Path of the CSV file; its folder is made where it is missing.
        table: what it holds.

    Raises:
        ValueError: the file is not such a CSV.
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path):
        read_rows(path, table)
        _partial(path).touch()
        _partial(path).unlink()


def read_rows(path, table=TRIALS):
    """All rows of the CSV.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        table: what it holds.

    Returns:
        DataFrame with the columns of the table, in order of writing. Columns that an older file
        lacks hold what its rows were made with.

    Raises:
        ValueError: the file is not such a CSV.
    """
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in table.columns.items()})
    try:
        # text stays text, a dataset called "NA" or "001" too; floats keep every bit
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        added = [name for name in table.added if name not in rows.columns]
        if [*rows.columns, *added] != list(table.columns):
            raise ValueError(f"its columns are {', '.join(rows.columns)}")
        return rows.assign(**{name: table.added[name] for name in added}).astype(table.columns)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a record of this program ({error}); move it away or name another CSV"
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
        ValueError: a row or the file has other columns.
    """
    rows = [_completed(row, table) for row in rows]
    with lock(path):
        before = read_rows(path, table)
        new = pd.DataFrame(rows, columns=list(table.columns)).astype(table.columns)
        known = pd.MultiIndex.from_frame(before[table.settings])
        replaced = known.isin(pd.MultiIndex.from_frame(new[table.settings]))
        if before[replaced].reset_index(drop=True).equals(new):
            return
        pd.concat([before[~replaced], new]).to_csv(_partial(path), index=False)
        os.replace(_partial(path), path)


def shortened(layer_ratios):
    """A column `layer_ratios` in a few characters: the name, or a checksum of the ratios."""
    if layer_ratios.startswith("{"):
        return hashlib.sha256(layer_ratios.encode()).hexdigest()[:8]
    return layer_ratios


def lock(path):
    """The lock of the CSV and of what is made from it, so that runs side by side take turns."""
    return filelock.FileLock(f"{path}.lock")


def _completed(row, table):
    """The row with what the columns it lacks meant."""
    meant = {n: value(row) if callable(value) else value for n, value in table.added.items()}
    row = meant | row
    if set(row) != set(table.columns):
        raise ValueError(f"row has the columns {', '.join(row)}; give {', '.join(table.columns)}")
    return row


def _partial(path):
    return path.with_name(f"{path.name}.partial")
