"""Draw the filters that each layer keeps, from the rows of a CSV of trials."""

import matplotlib
import pandas as pd

from experiment import figures, lines, names
from experiment.settings import SCORES
from experiment.study import RESULTS

NAMES = 28  # most names of layers below a panel
LETTERS = 20  # of a name; longer names would leave no room for the panel
SHAPES = ("ranking", "keep", "coupled", "dense", "round_to")  # settings beside the ratio
COLUMNS = ["layer", "filters_before", "filters_after"]


@figures.styled()
def layers(rows):
    """The Figure of the filters of each layer, or None if there are no tables of layers.

    Each network has a panel. The grey area is the filters before pruning, and a line is the filters
    that are kept. The numbers come from `..._layers.csv` beside the stored models. Networks without
    such a file are not drawn.

    Args:
        rows: DataFrame that `record.read_rows` returned.
    """
    networks = [network for _, network in rows.groupby(lines.NETWORK, sort=False)]
    drawn = [(network.iloc[0], tables) for network in networks if (tables := _tables(network))]
    if not drawn:
        return None
    figure, grid = figures.grid(len(drawn), 1)
    varying = figures.varying(rows, lines.NETWORK)
    for (axes,), (setting, tables) in zip(grid, drawn, strict=True):
        axes.set_title(figures.title(setting, varying, ["filters of each layer"]), loc="left")
        _draw(axes, tables)
    figures.add_legend(figure, figures.handles(grid.flat))
    return figure


def _tables(network):
    """`{text about the removed part: table}` of the pruned networks that differ in shape."""
    tables = {}
    network = network[(network["pruning_ratio"] != 0) | (network["layer_ratios"] != "")]
    scores = SCORES if (network["ranking"] == "global").any() else ()
    varying = figures.differing(network, [*SHAPES, *scores])
    ordered = lines.from_largest(network, ["pruning_ratio"])
    for row in ordered.to_dict("records"):
        file = RESULTS / f"{names.files(row)}_layers.csv"
        if not file.exists():
            continue
        table = pd.read_csv(file, usecols=COLUMNS).dropna()
        if (table["filters_after"] < table["filters_before"]).any():
            words = [lines.in_legend(row), figures.in_words(row, varying)]
            tables.setdefault(", ".join(filter(None, words)), table)
    return tables


def _draw(axes, tables):
    """Draw the filters of each layer before and after pruning, layers from left to right."""
    first, *_ = tables.values()
    names, edges = list(first["layer"]), [number - 0.5 for number in range(len(first) + 1)]
    axes.stairs(first["filters_before"], edges, fill=True, color="0.92", label="before pruning")
    colors = matplotlib.colormaps["cividis"]  # from dark to bright, also if printed in grey
    for number, (label, table) in enumerate(tables.items()):
        style = figures.STYLES[number % len(figures.STYLES)]["linestyle"]
        color = colors(0.7 * number / max(1, len(tables) - 1))
        axes.stairs(table["filters_after"], edges, color=color, linestyle=style, label=label)
    step = -(-len(names) // NAMES)
    shown = [_short(name) for name in names[::step]]
    axes.set_xticks(range(0, len(names), step), shown, fontsize="small")
    axes.tick_params("x", rotation=90 if len(names) > 6 else 0)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="filters", xlim=(edges[0], edges[-1]), ylim=(0, None))


def _short(name):
    """The name of a layer without those of the models around it, and only the end if it is long."""
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= LETTERS else f"...{name[3 - LETTERS :]}"
