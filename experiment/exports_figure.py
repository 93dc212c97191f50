"""Draw accuracy against the size of exported files, from the rows of a CSV of trials."""

import pandas as pd

from experiment import figures, labels, lines, panels, summary
from pruning.exports import FORMATS


@figures.styled()
def exports(rows):
    """The Figure of accuracy against the size of exported files, or None if there are none.

    Each network has a panel, and each format and setting a line. The accuracies are those of the
    files.

    Args:
        rows: DataFrame that `record.read_rows` returned.
    """
    means = lines.described(summary.summarised(rows))
    points = pd.concat([_points(means, each) for each in FORMATS.values()])
    networks = [network for _, network in means.groupby(lines.NETWORK, sort=False)]
    drawn = [each for each in networks if each.index.isin(points.index).any()]
    if not drawn:
        return None
    figure, grid = figures.grid(len(drawn), 1)
    styles = lines.styles(points["label"].unique())
    own = [points[points.index.isin(network.index)] for network in drawn]
    for axes, network, of_network in zip(grid, drawn, own, strict=True):
        panels.draw(axes[0], of_network, styles)
        lines.finish(axes, network, means, ["exported file (MB)"])
    figures.add_legend(figure, figures.handles(grid.flat), lines.notes(own))
    for (axes,), of_network in zip(grid, own, strict=True):
        labels.at_points(axes, of_network)
    return figure


def _points(means, file_format):
    """The points of a format. Float formats have similar sizes, so only the first has texts."""
    column, pruned = file_format.column, means["kind"] != "unpruned"
    points = lines.points(means, means[f"{column}_bytes_mean"] / 1e6, f"{column}_accuracy")
    several = means["label"][pruned].nunique() > 1
    name = file_format.name
    points["label"] = f"{name}, " + points["label"] if several else name
    alone = file_format.quantised or file_format is next(iter(FORMATS.values()))
    return points if alone else points.assign(text="")
