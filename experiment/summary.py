"""Means over the seeds."""

import pandas as pd

from experiment import record
from experiment.columns import SIZES, SUMMARISED, TRIALS


def write(path, summary):
    """Write mean, sample standard deviation and number of the rows that differ in the seed only.

    Args:
        path: pathlib.Path of a CSV of the table `TRIALS`.
        summary: pathlib.Path of the CSV to write.
    """
    with record.lock(path):
        rows = record.read_rows(path)
        record.put(summarised(rows), summary)


def summarised(rows):
    """One row per setting, whatever the seed: `n`, and of what was measured mean and deviation.

    Args:
        rows: DataFrame as `record.read_rows` gives it.

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
