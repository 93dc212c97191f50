"""Pictures from the CSV; never called by training."""

import os

from matplotlib.figure import Figure

from pruning import report

LEAST_SPAN = 0.02  # of the accuracy axis, so that the noise of a seed does not look like a trend
WIDE = 20  # more than so many times the parameters: different networks, on a logarithmic axis


def draw_curve(csv, png):
    """Draw parameters against accuracy after retraining, one marker per row of the CSV.

    Rows that differ in the pruning ratio only share a line; the ratio stands at each point, and a
    star marks each baseline. The picture is put in place when it is whole.

    Args:
        csv: pathlib.Path of a CSV as `report.append_row` writes it, with at least one row.
        png: pathlib.Path of the picture.
    """
    with report.lock(csv):  # runs side by side draw the same picture
        partial = png.with_name(f"{png.stem}.partial.png")
        _curve(report.read_rows(csv)).savefig(partial, dpi=150)
        os.replace(partial, png)


def _curve(rows):
    constant = [name for name in report.SETTINGS if name != "pruning_ratio"]
    varying = [name for name in constant if rows[name].nunique() > 1]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for values, curve in rows.groupby(constant, sort=False):
        setting = dict(zip(constant, values, strict=True))
        told = [name for name in varying if setting[name] != ""]  # no layer ratios
        _draw_rows(axes, curve, ", ".join(f"{name} {setting[name]}" for name in told))
    title = f"Filters pruned by L1 norm: {', '.join(rows['dataset'].unique())}"
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


def _draw_rows(axes, rows, label):
    rows = rows.sort_values("parameters")
    (line,) = axes.plot(
        rows["parameters"],
        rows["accuracy"],
        "o-",
        label=": ".join(filter(None, ["pruned, retrained", label])),
    )
    baseline = rows.iloc[0]
    axes.plot(
        baseline["baseline_parameters"],
        baseline["baseline_accuracy"],
        "*",
        markersize=14,
        color=line.get_color(),
        markeredgecolor="black",
        label=": ".join(filter(None, ["baseline", label])),
    )
    for row in rows.itertuples():
        axes.annotate(
            f"{row.pruning_ratio:g}",
            (row.parameters, row.accuracy),
            textcoords="offset points",
            xytext=(6, 6),
        )
