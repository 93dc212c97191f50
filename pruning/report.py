"""The record: a CSV with one row per setting."""

import os

import filelock
import pandas as pd

COLUMNS = {
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
    "finished_at": str,
    "keras": str,
    "tensorflow": str,
    "coupled": str,
    "layer_ratios": str,
    "retrain_learning_rate": float,
    "control": str,
}
ADDED = {  # columns that older rows lack: what they meant, a value or a function of the row
    "coupled": "joint",
    "layer_ratios": "",
    "retrain_learning_rate": lambda row: row.get("learning_rate"),
    "control": "",
}
SETTINGS = [  # what shapes a result: no two rows agree in all of these
    "dataset",
    "model",
    "pruning_ratio",
    "seed",
    "criterion",
    "strategy",
    "schedule",
    "learning_rate",
    "batch_size",
    "epoch1",
    "epoch2",
    "optimizer",
    "coupled",
    "layer_ratios",
    "retrain_learning_rate",
    "control",
]
BASELINE_SETTINGS = [  # those of them that shape the baseline
    "dataset",
    "model",
    "seed",
    "learning_rate",
    "batch_size",
    "epoch1",
    "optimizer",
]


def check(path):
    """Find out before any training whether rows can be appended to the CSV.

    Args:
        path: pathlib.Path of the CSV file; its folder is made where it is missing.

    Raises:
        ValueError: the file is not such a CSV.
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path):
        read_rows(path)
        _partial(path).touch()
        _partial(path).unlink()


def read_rows(path):
    """The rows written so far.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.

    Returns:
        DataFrame with the columns `COLUMNS`, in order of writing. Columns that an older file lacks
        hold what its rows were made with.

    Raises:
        ValueError: the file is not such a CSV.
    """
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    try:
        # text stays text, a dataset called "NA" or "001" too; floats keep every bit
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        added = [name for name in ADDED if name not in rows.columns]
        if [*rows.columns, *added] != list(COLUMNS):
            raise ValueError(f"its columns are {', '.join(rows.columns)}")
        return rows.assign(**{name: ADDED[name] for name in added}).astype(COLUMNS)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a record of this program ({error}); move it away or name another CSV"
        ) from error


def append_row(path, row):
    """Append one row to the CSV, unless it is there; a row of the same settings gives way to it.

    Runs side by side wait for each other, and the file is replaced as a whole, so that every
    row arrives once and a reader never sees half a file.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        row: dict with the keys `COLUMNS`; an older row may lack those `ADDED` since.

    Raises:
        ValueError: the row or the file has other columns.
    """
    meant = {name: value(row) if callable(value) else value for name, value in ADDED.items()}
    row = meant | row
    if set(row) != set(COLUMNS):
        raise ValueError(f"row has the columns {', '.join(row)}; give {', '.join(COLUMNS)}")
    with lock(path):
        rows = read_rows(path)
        new = pd.DataFrame([row], columns=list(COLUMNS)).astype(COLUMNS)
        same = _agree(rows, row)
        if rows[same].reset_index(drop=True).equals(new):
            return
        rows = pd.concat([rows[~same], new])
        rows.to_csv(_partial(path), index=False)
        os.replace(_partial(path), path)


def lock(path):
    """The lock of the CSV and of what is made from it, so that runs side by side take turns."""
    return filelock.FileLock(f"{path}.lock")


def _agree(rows, settings):
    return (rows[SETTINGS] == pd.Series({name: settings[name] for name in SETTINGS})).all(axis=1)


def _partial(path):
    return path.with_name(f"{path.name}.partial")
