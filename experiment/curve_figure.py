"""Accuracy against parameters, MACs and file size: the figure of a CSV of trials."""

import itertools
import math

from matplotlib.figure import Figure

from experiment import figures, record, summary
from experiment.columns import BASELINE_SETTINGS, TRIALS
from pruning.exports import FORMATS

LEAST_SPAN = 0.02  # of the accuracy axis, so that the noise of a seed does not look like a trend
SIZES = {"parameters": "parameters", "macs": "multiply-accumulates (MACs) for one image"}
EXPORT_LINES = ["o-", "s--", "^:", "v-."]  # of the formats in their order, then again
WIDE = 20  # more than so many times the parameters: different networks, on a logarithmic axis


def draw(csv, png):
    """Draw accuracy after retraining against parameters, against MACs and against file size.

    The last panel is there if exports were measured: a line per format, accuracies its own.

    Each marker is the mean over the seeds, its bar one sample standard deviation up and down.
    Settings that differ in the pruning ratio only share a line; the ratio stands at each point.
    Controls have lines of their own: filters ranked otherwise, the shape trained from new weights,
    and the network from which nothing was pruned, which got the same epochs. A star marks each
    baseline, a ring whatever no smaller one equals. The picture is put in place when it is whole.

    Args:
        csv: pathlib.Path of a CSV as `record.append_rows` writes it, with at least one row.
        png: pathlib.Path of the picture.
    """
    with record.lock(csv):  # runs side by side draw the same picture
        figures.save(curve(record.read_rows(csv)), png)


def curve(rows):
    """The Figure of these rows, a DataFrame as `record.read_rows` gives it."""
    means = summary.summarised(rows)
    exported = {
        file_format: line
        for file_format, line in zip(FORMATS.values(), itertools.cycle(EXPORT_LINES), strict=False)
        if means[f"{file_format.column}_bytes_mean"].notna().any()
    }
    figure = Figure(layout="constrained")
    sizes = {size: label for size, label in SIZES.items() if means[size].notna().any()}
    panels = figure.subplots(1, len(sizes) + bool(exported), sharey=True, squeeze=False)[0]
    constant = [name for name in TRIALS.settings if name not in ("pruning_ratio", "seed")]
    varying = [name for name in constant if means[name][means["control"] == ""].nunique() > 1]
    for axes, (size, label) in zip(panels, sizes.items(), strict=False):
        counted = means[means[size].notna()].astype({size: int, f"baseline_{size}": int})
        _draw_means(axes, counted, size, constant, varying)
        axes.set_xlabel(label)
        if means[f"baseline_{size}"].max() > WIDE * means[size].min():
            axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if exported:
        _draw_exports(panels[-1], means, exported, constant, varying)
    for axes in panels:
        axes.tick_params("x", rotation=20)
        axes.margins(0.1)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy after retraining")
    low, high = panels[0].get_ylim()
    spare = max(0, LEAST_SPAN - (high - low)) / 2
    panels[0].set_ylim(low - spare, high + spare)
    ranked = "" if "criterion" in varying else f" by {means['criterion'].max()}"
    title = f"Filters pruned{ranked}: {', '.join(means['dataset'].unique())}\n{_bars(means['n'])}"
    figure.suptitle(title, parse_math=False)  # a file's name may hold a dollar sign
    lines = _draw_legend(figure, panels, in_columns=not varying)
    figure.set_size_inches(6 * len(panels), 5 + figures.LINE * lines)
    return figure


def pareto_front(points):
    """The points that no other one equals in size and accuracy, or betters in one of them.

    Args:
        points: iterable of `(size, accuracy)`, the size to be low and the accuracy high.

    Returns:
        List of the points, from the smallest to the largest.
    """
    front = []
    for size, accuracy in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((size, accuracy))
    return front


def _draw_legend(figure, panels, in_columns):
    """One legend of what the first panel and the last hold; returns its lines."""
    labelled = {}
    for axes in (panels[0], panels[-1]):
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            labelled.setdefault(label, handle)
    columns = 3 if in_columns else 1
    legend = figure.legend(labelled.values(), labelled, loc="outside lower center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return math.ceil(len(labelled) / columns)


def _bars(n):
    """The caption: what a marker and its bar are."""
    if n.max() == 1:
        return "one seed"
    seeds = f"{n.max()}" if n.nunique() == 1 else f"{n.min()} to {n.max()}"
    return f"mean over {seeds} seeds; bars: one sample standard deviation up and down"


def _draw_means(axes, means, size, constant, varying):
    labelled, stars = set(), {}
    of_baseline = [name for name in varying if name in BASELINE_SETTINGS]
    network = [name for name in BASELINE_SETTINGS if name != "seed"]
    for _, curve in means.groupby(constant, sort=False):
        setting = curve.iloc[0]
        line = _draw_line(axes, curve.sort_values(size), size, setting, varying)
        _label_ratios(axes, curve, size, labelled)
        stars.setdefault(tuple(setting[network]), (setting, line.get_color()))
    for setting, color in stars.values():
        _draw_star(axes, setting, size, color, figures.in_words(setting, of_baseline))
    points = {(row[size], row["accuracy_mean"]) for _, row in means.iterrows()}
    points |= {
        (row[f"baseline_{size}"], row["baseline_accuracy_mean"]) for row, _ in stars.values()
    }
    axes.plot(
        *zip(*pareto_front(points), strict=True),
        "o",
        markersize=15,
        fillstyle="none",
        color="black",
        label="Pareto front: none as small is as accurate",
    )


def _draw_line(axes, means, size, setting, varying):
    words = figures.in_words(setting, varying)
    unranked = figures.in_words(setting, [n for n in varying if n not in ("criterion", "strategy")])
    scratch = setting["control"] != ""
    kind = "same shape trained from new weights" if scratch else "pruned, retrained"
    line, *_ = axes.errorbar(
        means[size],
        means["accuracy_mean"],
        yerr=means["accuracy_std"].fillna(0),  # of one seed
        fmt="s--" if scratch else "o-",
        capsize=3,
        label=_label(kind, words),
    )
    unpruned = means[(means["pruning_ratio"] == 0) & (means["layer_ratios"] == "") & (not scratch)]
    for accuracy in unpruned["accuracy_mean"]:
        label = _label("not pruned, same epochs", unranked)
        axes.axhline(accuracy, linestyle=":", color=line.get_color(), label=label)
    return line


def _label_ratios(axes, means, size, labelled):
    for _, row in means.iterrows():
        point = (row["pruning_ratio"], row[size])
        if point not in labelled:  # several lines have this point
            labelled.add(point)
            _write_ratio(axes, row, row[size], row["accuracy_mean"])


def _write_ratio(axes, row, x, y):
    ratio = f"{row['pruning_ratio']:g}"
    axes.annotate(ratio, (x, y), textcoords="offset points", xytext=(8, 8))


def _label(kind, words):
    return f"{kind}: {words}" if words else kind


def _draw_star(axes, setting, size, color, words):
    axes.errorbar(
        setting[f"baseline_{size}"],
        setting["baseline_accuracy_mean"],
        yerr=0 if setting["n"] == 1 else setting["baseline_accuracy_std"],
        fmt="*",
        capsize=3,
        markersize=14,
        color=color,
        markeredgecolor="black",
        label=_label("baseline", words),
    )


def _draw_exports(axes, means, exported, constant, varying):
    """Accuracy of every format against the size of its file, a line per setting."""
    axes.set_xlabel("size of the exported file in MB (10^6 bytes)")
    first, *_ = exported
    sizes = means[[f"{file_format.column}_bytes_mean" for file_format in exported]]
    if sizes.max(axis=None) > 2 * sizes.min(axis=None):
        axes.set_xscale("log")  # int8 is a quarter of float32
    axes.xaxis.set_major_formatter("{x:,g}")
    for number, (_, curve) in enumerate(means.groupby(constant, sort=False)):
        words = figures.in_words(curve.iloc[0], varying)
        for file_format, line in exported.items():
            name = file_format.column
            points = curve[curve[f"{name}_bytes_mean"].notna()].sort_values(f"{name}_bytes_mean")
            if points.empty:
                continue
            axes.errorbar(
                points[f"{name}_bytes_mean"] / 1e6,
                points[f"{name}_accuracy_mean"],
                yerr=points[f"{name}_accuracy_std"].fillna(0),  # of one seed
                fmt=line,
                color=f"C{number}",
                markersize=8,
                fillstyle="none",
                capsize=3,
                label=_label(f"exported, {name}", words),
            )
            if file_format.quantised or file_format == first:
                for _, row in points.iterrows():
                    x, y = row[f"{name}_bytes_mean"] / 1e6, row[f"{name}_accuracy_mean"]
                    _write_ratio(axes, row, x, y)
