"""The record: one CSV row per setting, and the table of one pruning layer by layer."""

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
}
# What shapes a result: no two rows agree in all of these
SETTINGS = (
    "dataset model pruning_ratio seed criterion strategy schedule "
    "learning_rate batch_size epoch1 epoch2 optimizer"
).split()


def read_rows(path):
    """The rows written so far.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.

    Returns:
        DataFrame with the columns `COLUMNS`, in order of writing.

    Raises:
        ValueError: the file is not such a CSV.
    """
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    try:
        # text stays text, a dataset called "NA" or "001" too; floats keep every bit
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(rows.columns) != list(COLUMNS):
            raise ValueError(f"its columns are {', '.join(rows.columns)}")
        return rows.astype(COLUMNS)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(
            f"{path} is not a record of this program ({error}); move it away or name another CSV"
        ) from error


def find_row(path, settings):
    """The row of those settings as a dict, or None if it is not finished.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        settings: dict with at least the keys `SETTINGS`.
    """
    rows = read_rows(path)
    found = rows[_agree(rows, settings)]
    return None if found.empty else found.iloc[-1].to_dict()


def append_row(path, row):
    """Append one row to the CSV; it takes the place of an older row of the same settings.

    Runs side by side wait for each other, and the file is replaced as a whole, so that every
    row arrives once and a reader never sees half a file.

    Args:
        path: pathlib.Path of the CSV file; it need not exist.
        row: dict with the keys `COLUMNS`.

    Raises:
        ValueError: the row or the file has other columns.
    """
    if set(row) != set(COLUMNS):
        raise ValueError(f"row has the columns {', '.join(row)}; give {', '.join(COLUMNS)}")
    with filelock.FileLock(f"{path}.lock"):
        rows = read_rows(path)
        new = pd.DataFrame([row], columns=list(COLUMNS)).astype(COLUMNS)
        rows = pd.concat([rows[~_agree(rows, row)], new])
        partial = path.with_name(f"{path.name}.partial")
        rows.to_csv(partial, index=False)
        os.replace(partial, path)


def layer_table(full, pruned):
    """Filters and parameters before and after, one line per layer with weights, then the total.

    Args:
        full: Keras model before pruning.
        pruned: Keras model after it, with the same layer names.

    Returns:
        String of lines, ready to print.
    """
    lines = [("layer", "filters", "parameters")]
    for layer in full.layers:
        small = pruned.get_layer(layer.name)
        if layer.weights:
            filters = _change(layer.filters, small.filters) if hasattr(layer, "filters") else ""
            lines.append((layer.name, filters, _change(layer.count_params(), small.count_params())))
    lines.append(("total", "", _change(full.count_params(), pruned.count_params())))
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {filters:>{widths[1]}}  {parameters:>{widths[2]}}"
        for name, filters, parameters in lines
    )


def _agree(rows, settings):
    return (rows[SETTINGS] == pd.Series({name: settings[name] for name in SETTINGS})).all(axis=1)


def _change(before, after):
    return f"{before:,} -> {after:,}"
