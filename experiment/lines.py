"""The lines of a figure of trials: their points, labels, styles and title."""

import itertools

from experiment import fields, figures, log
from experiment.columns import BASELINE_SETTINGS, TRIALS
from experiment.settings import SCORES, TrialSettings

NETWORK = [name for name in BASELINE_SETTINGS if name != "seed"]  # each network has its own panels
# have no effect if no filter is removed
UNRANKED = ("ranking", "keep", "coupled", "combine", "dense", "round_to", "criterion", "strategy")
AT_A_POINT = {  # as `log.REMOVED`
    "ratio": "{:g}%",
    "macs": "MACs {:g}%",
    "parameters": "parameters {:g}%",
    "bytes": "{:,} bytes",
}
LABELS = "at a point: filters removed, or the target, or the name of the layer ratios"
BESIDE = "points with the same x are drawn side by side"
LEAST_SPAN = 2  # percent on the accuracy axis, so that noise does not look like a trend


def described(means):
    """The rows of `summary.summarised` with four more columns for figures, pruned networks first.

    Returns:
        DataFrame with the new columns `label`, the settings that differ from other lines (the
        criterion and those that are not the default; all, if there are none); `text`, the part of
        the filters that was removed, or the name of the layer ratios; `joined`, whether a line
        connects the points; and `kind`, "pruned", "unpruned" or "scratch".
    """
    named, control = means["layer_ratios"] != "", means["control"] != ""
    unpruned = (means["pruning_ratio"] == 0) & ~named & ~control
    means = means.assign(kind="pruned", joined=~named)
    means.loc[unpruned, "kind"] = "unpruned"
    means.loc[control, "kind"] = "scratch"
    pruned = means[means["kind"] == "pruned"].groupby(NETWORK, sort=False)
    drawn = ("pruning_ratio", "target", "seed", "layer_ratios", "control", *NETWORK)
    settings = [name for name in TRIALS.settings if name not in drawn]
    of_networks = [figures.differing(network, settings) for _, network in pruned]
    varying = [name for name in settings if any(name in each for each in of_networks)]
    means["label"] = [_label(row, varying) for _, row in means.iterrows()]
    means["text"] = [removed(row) for _, row in means.iterrows()]
    return means.sort_values("kind", kind="stable")


def points(rows, x, accuracy):
    """The points of these rows for `panels.draw`.

    Args:
        rows: DataFrame that `described` returned.
        x: Series of the values on the x axis.
        accuracy: name of the columns of the y axis, without `_mean` and `_std`.
    """
    points = rows[["label", "text", "joined"]].assign(x=x.astype(float), filled=False)
    points["y"], points["error"] = 100 * rows[f"{accuracy}_mean"], 100 * rows[f"{accuracy}_std"]
    return points[points["x"].notna() & points["y"].notna()]


def styles(labels, of=figures.STYLES):
    """`{label: style}`; styles repeat if there are more labels than styles.

    After the last style, each colour gets the marker and dashes of another one.
    """
    styles = [
        of[(place + shift) % len(of)] | {"color": of[place]["color"]}
        for shift, place in itertools.product(range(len(of)), repeat=2)
    ]
    return dict(zip(labels, itertools.cycle(styles), strict=False))


def notes(panels, *others):
    """The lines of text above the legend: what the texts and the places of points mean.

    Args:
        panels: list of DataFrames as `points` returns them, one for each panel.
        others: more lines.
    """
    shifted = any((each.groupby("x")["label"].nunique() > 1).any() for each in panels)
    return "\n".join([LABELS, *others, *([BESIDE] if shifted else [])])


def finish(axes, network, means, xlabels):
    """Add title, names, limits and the baseline's accuracy to the panels of a network.

    Args:
        axes: array of matplotlib Axes that share the accuracy axis.
        network: rows of `means` of this network.
        means: DataFrame that `described` returned.
        xlabels: name of the x axis for each of the Axes.
    """
    axes[0].set_title(_title(network, means), loc="left")
    axes[0].set_ylabel("test accuracy (%)")
    for panel, xlabel in zip(axes, xlabels, strict=True):
        if not panel.has_data():  # the MACs could not be counted
            panel.set_axis_off()
            continue
        label = "" if "baseline" in figures.handles([panel]) else "baseline"
        accuracy = 100 * baseline(network)["baseline_accuracy_mean"].item()
        figures.add_reference(panel, accuracy, label=label)
        panel.set_xlabel(xlabel)
        panel.set_xlim(0, 1.12 * panel.dataLim.x1)
        panel.margins(y=0.2)  # room for labels
    low, high = axes[0].get_ylim()
    spare = max(0, LEAST_SPAN - (high - low)) / 2
    axes[0].set_ylim(max(0, low - spare), high + spare)


def baseline(network):
    """The row of a network, as a DataFrame, whose baseline is the mean of most seeds."""
    return network.loc[[network["n"].idxmax()]]


def from_largest(rows, names):
    """The rows in the order of these columns; if they are equal, the largest network first.

    Trials with a target have no ratio, so their sizes give the order.
    """
    ascending = [*(True for _ in names), False]
    return rows.sort_values([*names, "parameters"], ascending=ascending, kind="stable")


def removed(row):
    """What is written at a point: how much is removed, or the name of the layer ratios."""
    return log.removed(row, AT_A_POINT)


def in_legend(row):
    """The same for the legend of a figure: `40% removed`, `to 50% of the MACs`."""
    if row["target"]:
        return log.removed(row).replace(" %", "%")
    return removed(row) if row["layer_ratios"] else f"{removed(row)} removed"


def _title(network, means):
    setting = network.iloc[0]
    criteria = network["criterion"][network["kind"] == "pruned"].unique()
    trained = log.epochs(setting["epoch1"]) if setting["epoch1"] else "trained before"
    retrained = figures.span(network["epoch2"])
    return figures.title(
        setting,
        figures.varying(means, NETWORK),
        [f"pruned by {criteria[0]}" if len(criteria) == 1 else ""],
        [
            f"{trained}, {'not retrained' if retrained == '0' else f'retrained for {retrained}'}",
            figures.seeds(network["n"]),
            "bars: ±1 SD" if network["n"].max() > 1 else "",
        ],
    )


def _label(row, varying):
    own = [name for name in varying if name == "criterion" or not _is_usual(row, name)]
    retrained = ", retrained" if row["epoch2"] else ""
    if row["kind"] == "unpruned":
        own = [name for name in own if name not in UNRANKED]
        return _joined(f"not pruned{retrained}", figures.in_words(row, own))
    if row["kind"] == "scratch":
        scored = row["ranking"] == "global"
        own = [name for name in own if scored or name not in SCORES]
        return _joined("same shape, new weights", figures.in_words(row, own))
    return figures.in_words(row, own or varying) or f"pruned{retrained}"


def _is_usual(row, name):
    return row[name] == fields.usual(fields.of(TrialSettings)[name], row)


def _joined(*texts):
    return ", ".join(filter(None, texts))
