"""Pictures from the CSV; never called by training."""

import os

from matplotlib.figure import Figure

from pruning import report

LEAST_SPAN = 0.02  # of the accuracy axis, so that the noise of a seed does not look like a trend
WIDE = 20  # more than so many times the parameters: different networks, on a logarithmic axis


def draw_curve(csv, png):
    """Draw parameters against accuracy after retraining, one marker per row of the CSV.

    Rows that differ in the pruning ratio only share a line; the ratio stands at each point.
    Controls have lines of their own: filters ranked otherwise, the shape trained from new weights,
    and the network from which nothing was pruned, which got the same epochs. A star marks each
    baseline. The picture is put in place when it is whole.

    Args:
        csv: pathlib.Path of a CSV as `report.append_row` writes it, with at least one row.
        png: pathlib.Path of the picture.
    """
    with report.lock(csv):  # runs side by side draw the same picture
        partial = png.with_name(f"{png.stem}.partial.png")
        _curve(report.read_rows(csv)).savefig(partial, dpi=150)
        os.replace(partial, png)


def _curve(rows):
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    labelled = set()
    constant = [name for name in report.SETTINGS if name != "pruning_ratio"]
    varying = [name for name in constant if rows[name][rows["control"] == ""].nunique() > 1]
    of_baseline = [name for name in varying if name in report.BASELINE_SETTINGS]
    stars = {}
    for _, curve in rows.groupby(constant, sort=False):
        setting = curve.iloc[0]
        line = _draw_rows(axes, curve.sort_values("parameters"), _told(setting, varying))
        _label_ratios(axes, curve, labelled)
        baseline = tuple(setting[[*report.BASELINE_SETTINGS, "baseline_accuracy"]])
        stars.setdefault(baseline, (setting, line.get_color()))
    for setting, color in stars.values():
        _draw_star(axes, setting, color, _told(setting, of_baseline))
    ranked = ", ".join(rows["criterion"][rows["control"] == ""].unique())
    title = f"Filters pruned by {ranked}: {', '.join(rows['dataset'].unique())}"
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
    for text in figure.legend(loc="outside lower center", ncols=1 if varying else 2).get_texts():
        text.set_parse_math(False)
    return figure


def _told(setting, names):
    """Settings in words, those that do not apply left out."""
    return ", ".join(f"{name} {setting[name]}" for name in names if setting[name] != "")


def _draw_rows(axes, rows, told):
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
            label=": ".join(filter(None, ["not pruned, same epochs", told])),
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
