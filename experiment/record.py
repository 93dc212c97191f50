"""The record: CSVs with one row per setting."""

import os
import sys
from pathlib import Path

import filelock
import pandas as pd

from experiment.columns import ON_REQUEST, RENAMED, TRIALS
from scnnb.files import partial_path, replaced


class NotARecordError(ValueError):
    """A file is not a CSV of the table it should be."""


def check(path, table=TRIALS):
    """Check before any training that rows can be appended to the CSV; call it under its lock.

    Args:
        path: pathlib.Path of the CSV file.
        table: its columns.Table.

    Raises:
        NotARecordError: the file is not such a CSV.
        OSError: the folder cannot be written to.
    """
    partial = partial_path(target(path))
    partial.touch()
    partial.unlink()
    read_rows(path, table)


def read_rows(path, table=TRIALS):
    """All rows of the CSV.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        table: its columns.Table.

    Returns:
        DataFrame with the columns of the table, in order of writing. Columns that an older file
        lacks have the value that its rows were computed with. Numbers are finite and at least 0,
        accuracies at most 1, `accuracy_drop` is -1..1; missing measurements are not a number.

    Raises:
        NotARecordError: the file is not such a CSV.
    """
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in table.columns.items()})
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise ValueError("it is not a file")
        # text stays text, a dataset called "NA" or "001" too; floats keep every bit
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        if rows.isna().to_numpy().any() or not path.read_bytes().endswith(b"\n"):
            raise ValueError("its last row is cut short")
        rows = rows.rename(columns=RENAMED)
        added = [name for name in table.added if name not in rows.columns]
        if sorted([*rows.columns, *added]) != sorted(table.columns):
            raise ValueError(f"its columns are {', '.join(rows.columns)}")
        unmeasured = [name for name in table.unmeasured if name in rows.columns]
        rows[unmeasured] = rows[unmeasured].astype(object).map(lambda value: value or None)
        rows = rows.astype({name: table.columns[name] for name in rows.columns})
        rows = rows.assign(**{name: table.added[name] for name in added})
        rows = rows[list(table.columns)].astype(table.columns)
        _check_numbers(rows, table)
        return rows
    except (ValueError, OverflowError) as error:
        raise NotARecordError(
            f"{path} is not a record of this program ({' '.join(str(error).split())})"
        ) from error


def append_rows(path, rows, table=TRIALS):
    """Append rows to the CSV; a row replaces an older row of the same settings.

    Programs that run at the same time wait for each other, and the file is replaced at once. So
    each row is written once, and a reader never sees half a file.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        rows: list of dicts with the columns of the table as keys; older rows may lack those that
            were added since.
        table: its columns.Table.

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
        put(pd.concat([before[~replaced], new]), path)


def lock(path):
    """Lock of the CSV and of the files made from it, for programs that run at the same time."""
    return filelock.FileLock(f"{target(path)}.lock")


def put(rows, path):
    """Write the DataFrame as a CSV; a symbolic link stays, its file is replaced.

    Columns of exports and of recalibration that no row has are left out.
    """
    empty = (rows.isna() | (rows == "")).all()
    families = [
        [each for each in (name, f"{name}_mean", f"{name}_std") if each in rows]
        for name in ON_REQUEST
    ]
    unused = [each for family in families if empty[family].all() for each in family]
    rows = rows.drop(columns=unused)
    with replaced(target(path)) as partial:
        rows.to_csv(partial, index=False, encoding="utf-8")


def target(path):
    """The file that a symbolic link leads to; it is replaced instead of the link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _check_numbers(rows, table):
    for name, kind in table.columns.items():
        if kind is str:
            continue
        part = name.endswith(("accuracy", "_drop", "_removed"))
        least = -1 if name == "accuracy_drop" else 0
        right = rows[name].between(least, 1 if part else sys.float_info.max)
        if name in table.unmeasured:
            right |= rows[name].isna()
        if not right.all():
            raise ValueError(f"it holds {name} {rows[name][~right].iloc[0]}")


def _completed(row, table):
    """The row with the columns that it lacks."""
    row = {RENAMED.get(name, name): value for name, value in row.items()}
    for name, value in table.added.items():  # some follow from others before them
        if name not in row:
            row[name] = value(row) if callable(value) else value
    if set(row) != set(table.columns):
        raise ValueError(f"row has the columns {', '.join(row)}; give {', '.join(table.columns)}")
    return row
