"""Means over the seeds, as a CSV and as a table in Markdown."""

import pandas as pd

from experiment import markdown, record
from experiment.columns import DIGITS, SIZES, SUMMARISED, TRIALS
from scnnb.files import replaced


def write(csv):
    """Write mean, sample standard deviation and number of the rows that differ only in the seed.

    Args:
        csv: pathlib.Path of a CSV of the table `TRIALS`.

    Returns:
        List of the files beside it: `NAME-summary.csv`, and `NAME.md` for people.
    """
    summary, page = csv.with_name(f"{csv.stem}-summary.csv"), csv.with_suffix(".md")
    with record.lock(csv):
        means = summarised(record.read_rows(csv))
        record.put(means, summary)
        with replaced(record.target(page)) as partial:
            partial.write_text(markdown.page(means), encoding="utf-8")
    return [summary, page]


def summarised(rows):
    """A row for each setting without the seed: `n`, and mean and deviation of measurements.

    Args:
        rows: DataFrame as `record.read_rows` gives it.

    Returns:
        DataFrame with the settings but the seed, `parameters`, `macs`, `baseline_parameters`,
        `baseline_macs`, which are means, too, because with global ranking a seed may keep other
        filters; `n`, and `<column>_mean`, `<column>_std` of accuracies and costs. The standard
        deviation is that of a sample (n - 1), not a number for a single row; so is a mean of rows
        of which one was not measured.
    """
    keys = [name for name in TRIALS.settings if name != "seed"]
    groups = rows.groupby(keys, sort=False, dropna=False)
    columns = {name: _size(groups[name]) for name in SIZES} | {"n": groups.size()}
    for name in SUMMARISED:
        columns[f"{name}_mean"] = _mean(groups[name])
        columns[f"{name}_std"] = groups[name].agg(lambda values: values.std(skipna=False))
    return pd.DataFrame(columns).reset_index()


def _size(values):
    """The mean of a column of `SIZES`, in whole numbers if it has such."""
    kind, mean = values.obj.dtype, _mean(values)
    return mean.round(DIGITS) if kind.kind == "f" else mean.round().astype(kind)


def _mean(values):
    return values.agg(lambda each: each.mean(skipna=False))
