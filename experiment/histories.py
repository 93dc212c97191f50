"""The histories of trainings: what each epoch gave, as a CSV beside the stored network."""

import pandas as pd

from scnnb.files import replaced


def write(file, histories):
    """Write the histories of the trainings of a network.

    Args:
        file: pathlib.Path of the CSV.
        histories: list of one history as `training.train` returns it, or of one for each stage of
            an iterative or stepwise schedule, which are counted from 1 in the column `stage`.
    """
    tables = [pd.DataFrame(history).round({"seconds": 3}) for history in histories]
    if len(tables) > 1:
        for number, table in enumerate(tables, 1):
            table.insert(0, "stage", number)
    with replaced(file) as partial:
        pd.concat(tables).to_csv(partial, index=False)


def taken(histories):
    """The row of the epoch whose weights a network has after its last training, a dict."""
    return next(row for row in histories[-1] if row["taken"])


def seconds(histories):
    """The time of all epochs of some histories, in seconds, rounded to tenths."""
    return round(sum((row["seconds"] for history in histories for row in history), 0.0), 1)
