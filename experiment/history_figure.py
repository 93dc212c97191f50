"""Draw loss and accuracy of each epoch, from the rows of a CSV of trials and their histories."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from experiment import figures, lines, names
from experiment.study import RESULTS

ACCURACIES = ["validation_accuracy", "training_accuracy"]  # the first that exists is a plain line
THIN: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.6}  # the second


@figures.styled()
def histories(rows):
    """The Figure of loss and accuracy of each epoch, or None if there are no histories.

    Each network has two panels. A line is the mean over the seeds: of the baseline, then of each
    retraining, after a vertical line at the cut; a network that is trained from new weights begins
    at the first epoch. The stages of a schedule follow each other. The numbers come
    from `..._history.csv` beside the stored models; rows without such a file are not drawn.

    Args:
        rows: DataFrame that `record.read_rows` returned.
    """
    networks = [each for _, each in lines.described(rows).groupby(lines.NETWORK, sort=False)]
    drawn = [(each.iloc[0], means, n) for each in networks for means, n in [_means(each)] if means]
    if not drawn:
        return None
    figure, grid = figures.grid(len(drawn), 2, sharex="row")
    varying = figures.varying(rows, lines.NETWORK)
    for axes, (setting, means, counts) in zip(grid, drawn, strict=True):
        title = figures.title(
            setting, varying, ["loss and accuracy of each epoch"], [figures.seeds(counts)]
        )
        axes[0].set_title(title, loc="left")
        _draw(axes, means, setting["epoch1"])
    figures.add_legend(figure, figures.handles(grid.flat) | _kinds(drawn))
    return figure


def _means(network):
    """`({label: mean over the seeds by epoch}, [number of seeds of each])` of a network."""
    tables = {}
    for row in network.to_dict("records"):
        file = RESULTS / names.files(row)
        baseline = file.with_name("baseline")
        for label, of, start in (("baseline", baseline, 0), (_label(row), file, _start(row))):
            history = of.with_name(f"{of.name}_history.csv")
            if history.exists():
                tables.setdefault(label, {})[history] = _read(history, start)
    means = {
        label: pd.concat(found.values()).groupby(level=0).mean() for label, found in tables.items()
    }
    return means, [len(found) for found in tables.values()]


def _read(file, start):
    """The history by the number of the epoch, which is counted on from `start`."""
    table = pd.read_csv(file, usecols=lambda name: name == "loss" or name in ACCURACIES)
    return table.set_index(np.arange(start + 1, start + 1 + len(table)))


def _start(row):
    """The epochs before the training of a trial."""
    return 0 if row["control"] else row["epoch1"]


def _label(row):
    if row["kind"] == "unpruned":
        return row["label"]
    others = "" if row["label"].startswith("pruned") else row["label"].removeprefix("same shape, ")
    return ", ".join(filter(None, [lines.in_legend(row), others]))


def _draw(panels, means, cut):
    """Draw the means of a network; `cut` is the epoch after which it was pruned."""
    (loss, accuracy), others = panels, [label for label in means if label != "baseline"]
    styles = lines.styles(others, figures.STYLES[:-1]) | {"baseline": {"color": "black"}}
    for label, table in means.items():
        style = styles[label] | {"marker": "." if len(table) == 1 else ""}
        loss.plot(table.index, table["loss"], label=label, **style)
        own = [name for name in ACCURACIES if name in table]
        for name in own:
            accuracy.plot(
                table.index, 100 * table[name], **style | (THIN if name != own[0] else {})
            )
    for axes, ylabel in ((loss, "training loss"), (accuracy, "accuracy (%)")):
        if 0 < cut < max(table.index[-1] for table in means.values()):
            axes.axvline(cut + 0.5, color=figures.GREY, linestyle=":", linewidth=1, label="pruning")
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if all((table["loss"] > 0).all() for table in means.values()):
        loss.set_yscale("log")
        loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        loss.yaxis.set_major_formatter("{x:g}")
        loss.yaxis.set_minor_locator(NullLocator())


def _kinds(drawn):
    """`{text: handle}` that tells the two accuracies of a line apart, if there are two."""
    tables = [table for _, means, _ in drawn for table in means.values()]
    if not any("validation_accuracy" in table for table in tables):
        return {}
    plain, thin = (Line2D([], [], color=figures.GREY, **style) for style in ({}, THIN))
    return {"accuracy on validation images": plain, "accuracy in training": thin}
