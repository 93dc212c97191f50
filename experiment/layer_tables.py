"""The table of layers beside each stored network: filters, parameters, MACs before and after."""

import pandas as pd

import pruning
from experiment.columns import COUNT
from pruning.table import Table
from scnnb.files import replaced


def write(file, before, after):
    """Write the table of a baseline and its pruned network, as `pruning.summary` gives it.

    Args:
        file: pathlib.Path of the CSV.
        before: Keras model.
        after: Keras model.
    """
    table = pd.DataFrame(pruning.summary(before, after).rows).convert_dtypes()
    with replaced(file) as partial:
        table.to_csv(partial, index=False)


def read(file):
    """The table as `pruning.table.Table`, which prints as text; None if there is no file."""
    if not file.exists():
        return None
    table = pd.read_csv(file, keep_default_na=False, na_values=[""])  # a layer may be called NA
    numbers = [name for name in table.columns if name != "layer"]
    table = table.astype({name: float if name.endswith("%") else COUNT for name in numbers})
    table = table.astype(object)
    return Table(table.where(table.notna(), None).to_dict("records"))


def filters(table):
    """Number of filters of all layers, `(before, after)`."""
    return tuple(
        sum(row[f"filters_{when}"] or 0 for row in table.rows) for when in ("before", "after")
    )
