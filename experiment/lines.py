"""Which trials share a line of a figure, and what is written at it and above it."""

import itertools

from experiment import figures, log
from experiment.columns import BASELINE_SETTINGS, TRIALS

NETWORK = [name for name in BASELINE_SETTINGS if name != "seed"]  # a row of panels for each
UNRANKED = ("criterion", "strategy", "coupled")  # shape nothing if nothing is removed
LABELS = "at a point: filters removed from each layer, or the name of the layer ratios"
LEAST_SPAN = 2  # percent of the accuracy axis, so that the noise of a seed looks like no trend


def described(means):
    """The rows of `summary.summarised`, pruned networks first, with what a figure shows of them.

    Returns:
        DataFrame with four more columns: `label`, what distinguishes the row's line from the
        others; `text`, the part of the filters that was removed, or the name of the layer ratios;
        `joined`, whether a line leads from ratio to ratio; `kind`.
    """
    named, control = means["layer_ratios"] != "", means["control"] != ""
    unpruned = (means["pruning_ratio"] == 0) & ~named & ~control
    means = means.assign(kind="pruned", joined=~named)
    means.loc[unpruned, "kind"] = "unpruned"
    means.loc[control, "kind"] = "scratch"
    pruned = means[means["kind"] == "pruned"].groupby(NETWORK)
    drawn = ("pruning_ratio", "seed", "layer_ratios", "control", *NETWORK)
    settings = [name for name in TRIALS.settings if name not in drawn]
    varying = [name for name in settings if (pruned[name].nunique() > 1).any()]
    means["label"] = [_label(row, varying) for _, row in means.iterrows()]
    means["text"] = [removed(row) for _, row in means.iterrows()]
    return means.sort_values("kind", kind="stable")


def points(rows, x, accuracy):
    """The points of these rows as `panels.draw` takes them.

    Args:
        rows: DataFrame as `described` returns it.
        x: Series of where they are from left to right.
        accuracy: the columns' name without `_mean` and `_std`.
    """
    found = rows[["label", "text", "joined"]].assign(x=x.astype(float), filled=False)
    found["y"], found["error"] = 100 * rows[f"{accuracy}_mean"], 100 * rows[f"{accuracy}_std"]
    return found[found["x"].notna() & found["y"].notna()]


def styles(labels):
    """`{label: style}`, each different as long as there are styles."""
    return dict(zip(labels, itertools.cycle(figures.STYLES), strict=False))


def finish(axes, network, means, xlabels):
    """Title, names and limits of the panels of a network, and the baseline's accuracy.

    Args:
        axes: array of matplotlib Axes with a common accuracy.
        network: the rows of `means` of this network.
        means: DataFrame as `described` returns it.
        xlabels: a text for each of the Axes.
    """
    axes[0].set_title(_title(network, means), loc="left")
    axes[0].set_ylabel("test accuracy (%)")
    for panel, xlabel in zip(axes, xlabels, strict=True):
        if not panel.has_data():  # MACs that are not counted
            panel.set_axis_off()
            continue
        label = "" if "baseline" in figures.handles([panel]) else "baseline"
        accuracy = 100 * baseline(network)["baseline_accuracy_mean"].item()
        figures.add_reference(panel, accuracy, label=label)
        panel.set_xlabel(xlabel)
        panel.set_xlim(0, 1.12 * panel.dataLim.x1)
        panel.margins(y=0.2)  # for labels
    low, high = axes[0].get_ylim()
    spare = max(0, LEAST_SPAN - (high - low)) / 2
    axes[0].set_ylim(max(0, low - spare), high + spare)


def baseline(network):
    """The row of a network, a DataFrame, whose baseline is that of most seeds."""
    return network.loc[[network["n"].idxmax()]]


def removed(row):
    """What is written at a point: the part of the filters, or the name of the layer ratios."""
    return log.removed(row).replace(" %", "%")


def _title(network, means):
    setting = network.iloc[0]
    criteria = network["criterion"][network["kind"] == "pruned"].unique()
    trained = log.epochs(setting["epoch1"]) if setting["epoch1"] else "trained before"
    return figures.title(
        setting,
        figures.varying(means, NETWORK),
        [f"pruned by {criteria[0]}" if len(criteria) == 1 else ""],
        [
            f"{trained}, retrained for {figures.span(network['epoch2'])}",
            figures.seeds(network["n"]),
            "bars: ±1 SD" if network["n"].max() > 1 else "",
        ],
    )


def _label(row, varying):
    unranked = figures.in_words(row, [name for name in varying if name not in UNRANKED])
    if row["kind"] == "unpruned":
        return _joined("not pruned, retrained", unranked)
    if row["kind"] == "scratch":
        return _joined("same shape, new weights", figures.in_words(row, varying))
    return figures.in_words(row, varying) or "pruned, retrained"


def _joined(*texts):
    return ", ".join(filter(None, texts))
