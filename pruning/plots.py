"""Pictures from the CSV; never called by training."""

import os

import matplotlib
from matplotlib.figure import Figure

from pruning import report

LEAST_SPAN = 0.02  # of the accuracy axis, so that the noise of a seed does not look like a trend
LEGEND_LINES = 20  # of one column
LINE = 0.22  # inches of one line of a legend
WIDE = 20  # more than so many times the parameters: different networks, on a logarithmic axis


def draw_curve(csv, png):
    """Draw parameters against accuracy after retraining, one marker per row of the CSV.

    Rows that differ in the pruning ratio only share a line; the ratio stands at each point.
    Controls have lines of their own: filters ranked otherwise, the shape trained from new weights,
    and the network from which nothing was pruned, which got the same epochs. A star marks each
    baseline. The picture is put in place when it is whole.

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
    figure.savefig(partial, dpi=150)
    os.replace(partial, png)


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
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    labelled = set()
    constant = [name for name in report.TRIALS.settings if name != "pruning_ratio"]
    varying = [name for name in constant if rows[name][rows["control"] == ""].nunique() > 1]
    of_baseline = [name for name in varying if name in report.BASELINE_SETTINGS]
    stars = {}
    for _, curve in rows.groupby(constant, sort=False):
        setting = curve.iloc[0]
        line = _draw_rows(axes, curve.sort_values("parameters"), setting, varying)
        _label_ratios(axes, curve, labelled)
        baseline = tuple(setting[[*report.BASELINE_SETTINGS, "baseline_accuracy"]])
        stars.setdefault(baseline, (setting, line.get_color()))
    for setting, color in stars.values():
        _draw_star(axes, setting, color, _told(setting, of_baseline))
    ranked = "" if "criterion" in varying else f" by {rows['criterion'].max()}"
    title = f"Filters pruned{ranked}: {', '.join(rows['dataset'].unique())}"
    axes.set_title(title, parse_math=False)  # a file's name may hold a dollar sign
    axes.set(xlabel="parameters", ylabel="test accuracy after retraining")
    axes.margins(0.1)
    low, high = axes.get_ylim()
    spare = max(0, LEAST_SPAN - (high - low)) / 2
    axes.set_ylim(low - spare, high + spare)
    if rows["baseline_parameters"].max() > WIDE * rows["parameters"].min():
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    legend = figure.legend(loc="outside lower center", ncols=1 if varying else 2)
    for text in legend.get_texts():
        text.set_parse_math(False)
    lines = len(legend.get_texts()) if varying else 1
    figure.set_size_inches(8, 4.8 + LINE * lines)
    return figure


def _told(setting, names):
    """Settings in words, those that do not apply left out."""
    told = {name: setting[name] for name in names if setting[name] != ""}
    if "layer_ratios" in told:
        told["layer_ratios"] = report.shortened(told["layer_ratios"])
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _draw_rows(axes, rows, setting, varying):
    told = _told(setting, varying)
    unranked = _told(setting, [n for n in varying if n not in ("criterion", "strategy")])
    scratch = (rows["control"] != "").all()
    kind = "same shape trained from new weights" if scratch else "pruned, retrained"
    (line,) = axes.plot(
        rows["parameters"],
        rows["accuracy"],
        "s--" if scratch else "o-",
        label=": ".join(filter(None, [kind, told])),
    )
    dense = rows[(rows["pruning_ratio"] == 0) & (rows["layer_ratios"] == "") & ~scratch]
    for accuracy in dense["accuracy"]:
        axes.axhline(
            accuracy,
            linestyle=":",
            color=line.get_color(),
            label=": ".join(filter(None, ["not pruned, same epochs", unranked])),
        )
    return line


def _label_ratios(axes, rows, labelled):
    for row in rows.itertuples():
        if (row.pruning_ratio, row.parameters) not in labelled:  # several lines have this point
            labelled.add((row.pruning_ratio, row.parameters))
            axes.annotate(
                f"{row.pruning_ratio:g}",
                (row.parameters, row.accuracy),
                textcoords="offset points",
                xytext=(6, 6),
            )


def _draw_star(axes, setting, color, told):
    axes.plot(
        setting["baseline_parameters"],
        setting["baseline_accuracy"],
        "*",
        markersize=14,
        color=color,
        markeredgecolor="black",
        label=": ".join(filter(None, ["baseline", told])),
    )
