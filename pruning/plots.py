"""Pictures from the CSV; never called by training."""

import itertools
import os
import warnings

import matplotlib
from matplotlib.figure import Figure

from pruning import report
from pruning.exports import FORMATS

LEAST_SPAN = 0.02  # of the accuracy axis, so that the noise of a seed does not look like a trend
LEGEND_LINES = 20  # of one column
LINE = 0.22  # inches of one line of a legend
SIZES = {"parameters": "parameters", "macs": "multiply-accumulates (MACs) for one image"}
EXPORT_LINES = ["o-", "s--", "^:", "v-."]  # of the formats in their order, then again
WIDE = 20  # more than so many times the parameters: different networks, on a logarithmic axis


def draw_curve(csv, png):
    """Draw accuracy after retraining against parameters, against MACs and against file size.

    The last panel is there if exports were measured: a line per format, accuracies its own.

    Each marker is the mean over the seeds, its bar one sample standard deviation up and down.
    Settings that differ in the pruning ratio only share a line; the ratio stands at each point.
    Controls have lines of their own: filters ranked otherwise, the shape trained from new weights,
    and the network from which nothing was pruned, which got the same epochs. A star marks each
    baseline, a ring whatever no smaller one equals. The picture is put in place when it is whole.

    Args:
        csv: pathlib.Path of a CSV as `report.append_rows` writes it, with at least one row.
        png: pathlib.Path of the picture.
    """
    with report.lock(csv):  # runs side by side draw the same picture
        _put(_curve(report.read_rows(csv)), png)


def draw_sensitivity(csv, norms_csv, png):
    """Draw how sensitive each layer is: a row of panels per network, one line per layer.

    The first panel holds the filters of each layer, sorted by their L1 norm (figure 2a of Li et al.
    2017), then follows one for each criterion: accuracy over the part of a layer's filters that was
    removed, nothing retrained (figures 2b and 8).

    Args:
        csv: pathlib.Path of a CSV of the table `report.SENSITIVITY`, with at least one row.
        norms_csv: pathlib.Path of a CSV of the table `report.NORMS`, for the same networks.
        png: pathlib.Path of the picture.
    """
    with report.lock(csv):
        rows = report.read_rows(csv, report.SENSITIVITY)
        _put(_sensitivity(rows, report.read_rows(norms_csv, report.NORMS)), png)


def _put(figure, png):
    partial = png.with_name(f"{png.stem}.partial.png")
    try:
        with warnings.catch_warnings():
            # it draws a box for a letter that the font lacks
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            figure.savefig(partial, dpi=150)
        os.replace(partial, png)
    finally:
        partial.unlink(missing_ok=True)


def _sensitivity(rows, norms):
    network = [*report.BASELINE_SETTINGS, "coupled", "images"]
    networks = [(curves.iloc[0], curves) for _, curves in rows.groupby(network, sort=False)]
    varying = [name for name in network if rows[name].nunique() > 1]
    columns = 1 + max(curves["criterion"].nunique() for _, curves in networks)
    most = max(curves["layers"].nunique() for _, curves in networks)
    legend_columns = 1 + most // LEGEND_LINES
    height = max(4, LINE * min(most, LEGEND_LINES) + 0.5)
    figure = Figure(
        figsize=(4 * columns + 2 * legend_columns, height * len(networks)), layout="constrained"
    )
    panels = figure.subplots(len(networks), columns, squeeze=False)
    for (setting, curves), line in zip(networks, panels, strict=True):
        told = _told(setting, varying or ["model"])
        line[0].set_title(f"{told}: L1 norm of each filter", parse_math=False, fontsize="medium")
        line[0].set(xlabel="filters / all filters of the layer", ylabel="L1 norm / largest")
        same = (norms[report.BASELINE_SETTINGS] == setting[report.BASELINE_SETTINGS]).all(axis=1)
        colors = _colors(curves["layers"].unique())
        for layer, of_layer in norms[same].groupby("layer", sort=False):
            highest_first = of_layer["l1_norm"].sort_values(ascending=False).to_numpy()
            color = next((c for names, c in colors.items() if layer in names.split()), "black")
            places = [(n + 1) / len(highest_first) for n in range(len(highest_first))]
            largest = highest_first[0] or 1  # a layer of zeros only
            line[0].plot(places, highest_first / largest, color=color)
        by_criterion = curves.groupby("criterion", sort=False)
        for axes, (criterion, of_criterion) in zip(line[1:], by_criterion, strict=False):
            axes.set_title(f"{told}: {criterion} removed", parse_math=False, fontsize="medium")
            axes.set(xlabel="part of the filters removed", ylabel=f"{setting['images']} accuracy")
            axes.set_ylim(0, 1)
            for layers, of_layers in of_criterion.groupby("layers", sort=False):
                axes.plot(
                    [0, *of_layers["pruning_ratio"]],
                    [of_layers["baseline_accuracy"].iloc[0], *of_layers["accuracy"]],
                    ".-",
                    color=colors[layers],
                    label=_shortened(layers),
                )
        for axes in line:
            axes.grid(alpha=0.3)
        for axes in line[1 + curves["criterion"].nunique() :]:
            axes.set_axis_off()
        beside = line[curves["criterion"].nunique()]
        handles = beside.get_legend_handles_labels()
        beside.legend(
            *handles,
            fontsize="small",
            ncols=legend_columns,
            bbox_to_anchor=(1.02, 1),
            loc="upper left",
        )
    return figure


def _colors(layers):
    """A colour for each line, from dark to bright in the order of computation."""
    colormap = matplotlib.colormaps["viridis"]
    return {name: colormap(n / max(1, len(layers) - 1) * 0.95) for n, name in enumerate(layers)}


def _shortened(layers):
    first, *others = layers.split()
    return f"{first} and {len(others)} tied to it" if others else first


def _curve(rows):
    means = report.summarised(rows)
    exported = {
        file_format: line
        for file_format, line in zip(FORMATS.values(), itertools.cycle(EXPORT_LINES), strict=False)
        if means[f"{file_format.column}_bytes_mean"].notna().any()
    }
    figure = Figure(layout="constrained")
    sizes = {size: label for size, label in SIZES.items() if means[size].notna().any()}
    panels = figure.subplots(1, len(sizes) + bool(exported), sharey=True, squeeze=False)[0]
    constant = [name for name in report.TRIALS.settings if name not in ("pruning_ratio", "seed")]
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
    handles, labels = panels[0].get_legend_handles_labels()
    for more, label in zip(*panels[-1].get_legend_handles_labels(), strict=True):
        if label not in labels:
            handles.append(more)
            labels.append(label)
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=1 if varying else 3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    lines = len(legend.get_texts()) if varying else 2 + bool(exported)
    figure.set_size_inches(6 * len(panels), 5 + LINE * lines)
    return figure


def _bars(n):
    """The caption: what a marker and its bar are."""
    if n.max() == 1:
        return "one seed"
    seeds = f"{n.max()}" if n.nunique() == 1 else f"{n.min()} to {n.max()}"
    return f"mean over {seeds} seeds; bars: one sample standard deviation up and down"


def _draw_means(axes, means, size, constant, varying):
    labelled, stars = set(), {}
    of_baseline = [name for name in varying if name in report.BASELINE_SETTINGS]
    network = [name for name in report.BASELINE_SETTINGS if name != "seed"]
    for _, curve in means.groupby(constant, sort=False):
        setting = curve.iloc[0]
        line = _draw_line(axes, curve.sort_values(size), size, setting, varying)
        _label_ratios(axes, curve, size, labelled)
        stars.setdefault(tuple(setting[network]), (setting, line.get_color()))
    for setting, color in stars.values():
        _draw_star(axes, setting, size, color, _told(setting, of_baseline))
    points = {(row[size], row["accuracy_mean"]) for _, row in means.iterrows()}
    points |= {
        (row[f"baseline_{size}"], row["baseline_accuracy_mean"]) for row, _ in stars.values()
    }
    front = pareto_front(points)
    axes.plot(
        *zip(*front, strict=True),
        "o",
        markersize=15,
        fillstyle="none",
        color="black",
        label="Pareto front: none as small is as accurate",
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
        told = _told(curve.iloc[0], varying)
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
                label=": ".join(filter(None, [f"exported, {name}", told])),
            )
            if file_format.quantised or file_format == first:
                for _, row in points.iterrows():
                    axes.annotate(
                        f"{row['pruning_ratio']:g}",
                        (row[f"{name}_bytes_mean"] / 1e6, row[f"{name}_accuracy_mean"]),
                        textcoords="offset points",
                        xytext=(8, 8),
                    )


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


def _told(setting, names):
    """Settings in words, those that do not apply left out."""
    told = {name: setting[name] for name in names if setting[name] != ""}
    if "layer_ratios" in told:
        told["layer_ratios"] = report.shortened(told["layer_ratios"])
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _draw_line(axes, means, size, setting, varying):
    told = _told(setting, varying)
    unranked = _told(setting, [n for n in varying if n not in ("criterion", "strategy")])
    scratch = setting["control"] != ""
    kind = "same shape trained from new weights" if scratch else "pruned, retrained"
    line, *_ = axes.errorbar(
        means[size],
        means["accuracy_mean"],
        yerr=means["accuracy_std"].fillna(0),  # of one seed
        fmt="s--" if scratch else "o-",
        capsize=3,
        label=": ".join(filter(None, [kind, told])),
    )
    dense = means[(means["pruning_ratio"] == 0) & (means["layer_ratios"] == "") & (not scratch)]
    for accuracy in dense["accuracy_mean"]:
        axes.axhline(
            accuracy,
            linestyle=":",
            color=line.get_color(),
            label=": ".join(filter(None, ["not pruned, same epochs", unranked])),
        )
    return line


def _label_ratios(axes, means, size, labelled):
    for _, row in means.iterrows():
        point = (row["pruning_ratio"], row[size])
        if point not in labelled:  # several lines have this point
            labelled.add(point)
            axes.annotate(
                f"{row['pruning_ratio']:g}",
                (row[size], row["accuracy_mean"]),
                textcoords="offset points",
                xytext=(8, 8),
            )


def _draw_star(axes, setting, size, color, told):
    axes.errorbar(
        setting[f"baseline_{size}"],
        setting["baseline_accuracy_mean"],
        yerr=0 if setting["n"] == 1 else setting["baseline_accuracy_std"],
        fmt="*",
        capsize=3,
        markersize=14,
        color=color,
        markeredgecolor="black",
        label=": ".join(filter(None, ["baseline", told])),
    )
