"""Draw how sensitive each layer is, from a CSV of sensitivities."""

from experiment import figures, labels, log, record
from experiment.columns import BASELINE_SETTINGS, NORMS, SENSITIVITY

COLUMNS = 2  # panels in a row
NAMED = len(figures.STYLES)  # layers with their own colour
LETTER = 0.058  # inches, width of a letter of a name
OTHERS = {"color": figures.GREY, "linewidth": 0.6}
NETWORK = [name for name in BASELINE_SETTINGS if name != "seed"]
NETWORK += ["coupled", "combine", "dense", "images"]


def draw(csv, norms_csv, png):
    """Draw how sensitive each layer is, with several panels per network and one line per layer.

    The first panel shows the L1 norms of each layer's filters, sorted (figure 2a of Li et al.
    2017). Each criterion has one more panel: accuracy against the part of a layer's filters that
    was removed, without retraining (figures 2b and 8). Values are means over the seeds. The most
    sensitive layers, on average over parts and criteria, have colours, and their names are at the
    ends of their lines.

    Args:
        csv: pathlib.Path of a CSV of the table `SENSITIVITY`, with at least one row.
        norms_csv: pathlib.Path of a CSV of the table `NORMS`, for the same networks.
        png: pathlib.Path of the figure; a PDF is written beside it.
    """
    with record.lock(csv):
        rows = record.read_rows(csv, SENSITIVITY)
        figures.save(sensitivities(rows, record.read_rows(norms_csv, NORMS)), png)


@figures.styled()
def sensitivities(rows, norms):
    """The Figure of the sensitivities and norms, DataFrames that `record.read_rows` returned."""
    networks = [network for _, network in rows.groupby(NETWORK, sort=False)]
    heights = [-(-(1 + network["criterion"].nunique()) // COLUMNS) for network in networks]
    figure, grid = figures.grid(sum(heights), COLUMNS)
    varying = figures.varying(rows, NETWORK)
    ends, start = [], 0
    for network, height in zip(networks, heights, strict=True):
        block = grid[start : start + height].flat
        start += height
        ends += _draw_network(list(block), network, norms, varying)
    note = "(+n): with n layers coupled to it" if rows["layers"].str.contains(" ").any() else None
    figures.add_legend(figure, figures.handles(grid.flat), note)
    for axes, names in ends:
        labels.at_ends(axes, names)
    return figure


def _draw_network(block, network, norms, varying):
    """Draw the panels of a network; returns `[(axes, [(name, x, y, color)])]` for the names."""
    setting = network.iloc[0]
    trained = log.epochs(setting["epoch1"]) if setting["epoch1"] else "trained before"
    seeds = figures.seeds([network["seed"].nunique()])
    block[0].set_title(figures.title(setting, varying, (), [trained, seeds]), loc="left")
    styles = _styles(network)
    shared = [name for name in NETWORK if name in norms.columns]
    _draw_norms(block[0], norms[(norms[shared] == setting[shared]).all(axis=1)], styles)
    ends = []
    by_criterion = list(network.groupby("criterion", sort=False))
    for axes, (criterion, curves) in zip(block[1:], by_criterion, strict=False):
        ends.append((axes, _draw_accuracies(axes, curves, styles)))
        axes.set_xlabel(f"filters removed by {criterion} (%)")
    for axes in block[1 + len(by_criterion) :]:
        axes.set_axis_off()
    return ends


def _draw_norms(axes, norms, styles):
    """Draw the L1 norms of each layer's filters, from the largest to the smallest."""
    axes.set(xlabel="filters, largest first (% of a layer's)", ylabel="L1 norm (% of largest)")
    of_layer = norms.groupby(["seed", "layer"], sort=False)["l1_norm"]
    largest = of_layer.transform("max")
    norms = norms.assign(
        rank=of_layer.rank(ascending=False, method="first"),
        part=100 * norms["l1_norm"] / largest.where(largest > 0, 1),  # 1 if all are 0
    )
    styles = {name: style for names, style in styles.items() for name in names.split()}
    for layer, of_layer in norms.groupby("layer", sort=False):
        parts = of_layer.groupby("rank")["part"].mean()
        axes.plot(100 * parts.index / len(parts), parts, **_line(styles.get(layer, OTHERS)))


def _draw_accuracies(axes, curves, styles):
    """Draw accuracy against the removed part of each layer's filters, for one criterion."""
    baseline = 100 * curves.groupby("seed")["baseline_accuracy"].first().mean()
    axes.set(ylabel=f"{curves['images'].iloc[0]} accuracy (%)")
    figures.add_reference(axes, baseline, label="baseline")
    ends = []
    for layers, of_layers in curves.groupby("layers", sort=False):
        means = 100 * of_layers.groupby("pruning_ratio")["accuracy"].mean()
        xs, ys = [0, *100 * means.index], [baseline, *means]
        style = styles[layers]
        if style is OTHERS:
            axes.plot(xs, ys, **style, label="less sensitive layers")
        else:
            axes.plot(xs, ys, **style, markevery=2)
            ends.append((_shortened(layers), xs[-1], ys[-1], style["color"]))
    room = 0.25 + LETTER * max(len(name) for name, *_ in ends)  # 0.25 for the line to the name
    axes.set(xlim=(0, 90 / (1 - room / 1.75)), xticks=range(0, 100, 30))
    axes.set_ylim(bottom=0)
    return ends


def _styles(network):
    """`{layers: style}`; the most sensitive layers have their own style."""
    accuracies = network.groupby("layers", sort=False)["accuracy"].mean()
    sensitive = accuracies.nsmallest(NAMED).index
    named = [layers for layers in accuracies.index if layers in sensitive]
    styles = dict(zip(named, figures.STYLES, strict=False))
    return {layers: styles.get(layers, OTHERS) for layers in accuracies.index}


def _line(style):
    return style | {"marker": ""}


def _shortened(layers):
    first, *others = layers.split()
    return f"{first} (+{len(others)})" if others else first
