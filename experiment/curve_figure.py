"""Draw the figures of a CSV of trials; the first is accuracy against parameters and MACs."""

import pandas as pd

from experiment import (
    exports_figure,
    figures,
    history_figure,
    labels,
    layers_figure,
    lines,
    panels,
    record,
    summary,
)

SIZES = {"parameters": "parameters (M)", "macs": "MACs per image (M)"}
# with the dashes of `figures.add_reference`, so that the legend explains that line, too
BASELINE = {"color": "black", "marker": "*", "markersize": 9, "linestyle": "--", "linewidth": 0.9}
FILLED = "filled: no smaller network is as accurate (Pareto front)"


def draw(csv, png):
    """Draw the figures of a CSV, each as PNG and PDF.

    `NAME.png` shows accuracy against parameters and against MACs. `NAME-exports.png` shows accuracy
    against the size of exported files, if there are any. `NAME-layers.png` shows the filters of
    each layer, if the tables of layers are beside the stored models. `NAME-history.png` shows loss
    and accuracy of each epoch, if the histories are there.

    Args:
        csv: pathlib.Path of a CSV as `record.append_rows` writes it, with at least one row.
        png: pathlib.Path of the first picture.

    Returns:
        List of the PNG files.
    """
    with record.lock(csv):  # another run may draw the same figure
        rows = record.read_rows(csv)
        drawn = {
            png: curve(rows),
            png.with_name(f"{png.stem}-exports.png"): exports_figure.exports(rows),
            png.with_name(f"{png.stem}-layers.png"): layers_figure.layers(rows),
            png.with_name(f"{png.stem}-history.png"): history_figure.histories(rows),
        }
        drawn = {file: figure for file, figure in drawn.items() if figure}
        for file, figure in drawn.items():
            figures.save(figure, file)
    return list(drawn)


@figures.styled()
def curve(rows):
    """The Figure of accuracy against parameters and MACs.

    Each network, or training of a baseline, has a row of panels. A marker is the mean over the
    seeds, and its bar is one sample standard deviation up and down. The star is the baseline, with
    a line at its accuracy. The text at a point is the part of each layer's filters that was
    removed, or the name of the layer ratios. Filled markers are the Pareto front.

    Args:
        rows: DataFrame that `record.read_rows` returned.
    """
    means = lines.described(summary.summarised(rows))
    targets = {text.split(" ")[0] for text in means["target"]}
    sizes = {size: label for size, label in SIZES.items() if means[size].notna().any()}
    sizes = dict(sorted(sizes.items(), key=lambda each: each[0] not in targets))  # that first
    networks = [network for _, network in means.groupby(lines.NETWORK, sort=False)]
    figure, grid = figures.grid(len(networks), len(sizes), sharey="row")
    styles = lines.styles(means["label"].unique()) | {"baseline": BASELINE}
    drawn = []
    for network, row in zip(networks, grid, strict=True):
        for axes, size in zip(row, sizes, strict=True):
            points = _points(network, size)
            panels.draw(axes, points, styles)
            drawn.append((axes, points))
        lines.finish(row, network, means, sizes.values())
    notes = lines.notes([points for _, points in drawn], FILLED)
    figures.add_legend(figure, figures.handles(grid.flat), notes)
    for axes, points in drawn:
        labels.at_points(axes, points)
    return figure


def pareto_front(points):
    """The points for which no other point is as small and as accurate.

    Args:
        points: iterable of `(size, accuracy)`.

    Returns:
        List of the points, from the smallest to the largest.
    """
    front = []
    for size, accuracy in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((size, accuracy))
    return front


def _points(network, size):
    """The points of a network and of its baseline."""
    first = lines.baseline(network).assign(label="baseline", text="")
    points = pd.concat(
        [
            lines.points(network, network[size] / 1e6, "accuracy"),
            lines.points(first, first[f"baseline_{size}"] / 1e6, "baseline_accuracy"),
        ]
    )
    pairs = list(zip(points["x"], points["y"], strict=True))
    front = pareto_front(pairs)
    return points.assign(filled=[pair in front for pair in pairs])
