"""How sensitive each layer is: the figure of a CSV of sensitivities."""

import matplotlib
from matplotlib.figure import Figure

from experiment import figures, record
from experiment.columns import BASELINE_SETTINGS, NORMS, SENSITIVITY

LEGEND_LINES = 20  # of one column


def draw(csv, norms_csv, png):
    """Draw how sensitive each layer is: a row of panels per network, one line per layer.

    The first panel holds the filters of each layer, sorted by their L1 norm (figure 2a of Li et al.
    2017), then follows one for each criterion: accuracy over the part of a layer's filters that was
    removed, nothing retrained (figures 2b and 8).

    Args:
        csv: pathlib.Path of a CSV of the table `SENSITIVITY`, with at least one row.
        norms_csv: pathlib.Path of a CSV of the table `NORMS`, for the same networks.
        png: pathlib.Path of the picture.
    """
    with record.lock(csv):
        rows = record.read_rows(csv, SENSITIVITY)
        figures.save(sensitivities(rows, record.read_rows(norms_csv, NORMS)), png)


def sensitivities(rows, norms):
    """The Figure of these rows, DataFrames as `record.read_rows` gives them."""
    network = [*BASELINE_SETTINGS, "coupled", "images"]
    networks = [(curves.iloc[0], curves) for _, curves in rows.groupby(network, sort=False)]
    varying = [name for name in network if rows[name].nunique() > 1]
    columns = 1 + max(curves["criterion"].nunique() for _, curves in networks)
    most = max(curves["layers"].nunique() for _, curves in networks)
    legend_columns = 1 + most // LEGEND_LINES
    height = max(4, figures.LINE * min(most, LEGEND_LINES) + 0.5)
    figure = Figure(
        figsize=(4 * columns + 2 * legend_columns, height * len(networks)), layout="constrained"
    )
    panels = figure.subplots(len(networks), columns, squeeze=False)
    for (setting, curves), line in zip(networks, panels, strict=True):
        words = figures.in_words(setting, varying or ["model"])
        colors = _colors(curves["layers"].unique())
        same = (norms[BASELINE_SETTINGS] == setting[BASELINE_SETTINGS]).all(axis=1)
        _title(line[0], f"{words}: L1 norm of each filter")
        _draw_norms(line[0], norms[same], colors)
        by_criterion = curves.groupby("criterion", sort=False)
        for axes, (criterion, of_criterion) in zip(line[1:], by_criterion, strict=False):
            _title(axes, f"{words}: {criterion} removed")
            _draw_accuracies(axes, of_criterion, colors)
        for axes in line:
            axes.grid(alpha=0.3)
        for axes in line[1 + len(by_criterion) :]:
            axes.set_axis_off()
        last = line[len(by_criterion)]
        place = {"bbox_to_anchor": (1.02, 1), "loc": "upper left"}
        handles = last.get_legend_handles_labels()
        last.legend(*handles, fontsize="small", ncols=legend_columns, **place)
    return figure


def _title(axes, text):
    axes.set_title(text, parse_math=False, fontsize="medium")


def _draw_norms(axes, norms, colors):
    """The filters of each layer of a network, from the largest L1 norm to the smallest."""
    axes.set(xlabel="filters / all filters of the layer", ylabel="L1 norm / largest")
    for layer, of_layer in norms.groupby("layer", sort=False):
        highest_first = of_layer["l1_norm"].sort_values(ascending=False).to_numpy()
        color = next((c for names, c in colors.items() if layer in names.split()), "black")
        places = [(n + 1) / len(highest_first) for n in range(len(highest_first))]
        largest = highest_first[0] or 1  # a layer of zeros only
        axes.plot(places, highest_first / largest, color=color)


def _draw_accuracies(axes, curves, colors):
    """Accuracy over the part of a layer's filters that is removed, of one criterion."""
    images = curves["images"].iloc[0]
    axes.set(xlabel="part of the filters removed", ylabel=f"{images} accuracy", ylim=(0, 1))
    for layers, of_layers in curves.groupby("layers", sort=False):
        axes.plot(
            [0, *of_layers["pruning_ratio"]],
            [of_layers["baseline_accuracy"].iloc[0], *of_layers["accuracy"]],
            ".-",
            color=colors[layers],
            label=_shortened(layers),
        )


def _colors(layers):
    """A colour for each line, from dark to bright in the order of computation."""
    colormap = matplotlib.colormaps["viridis"]
    return {name: colormap(n / max(1, len(layers) - 1) * 0.95) for n, name in enumerate(layers)}


def _shortened(layers):
    first, *others = layers.split()
    return f"{first} and {len(others)} tied to it" if others else first
