"""Draw a panel of a figure: lines with error bars that do not overlap."""

import itertools

import numpy as np
from matplotlib.transforms import ScaledTranslation

STEP = 4  # 1/72 inch between two lines, so that bars at the same x do not overlap
SPREAD = 16  # 1/72 inch, largest distance from the first such line to the last


def draw(axes, points, styles):
    """Draw points with their error bars, and the lines that connect them.

    Args:
        axes: matplotlib Axes.
        points: DataFrame with a row per point and the columns `x`, `y`, `error` (NaN for no bar),
            `label` in the legend, `joined` (whether a line connects it), and `filled` (whether the
            marker is filled).
        styles: `{label: style}`, see `figures.STYLES`.
    """
    shifts = _shifts(axes, points)
    for (label, joined), line in points.groupby(["label", "joined"], sort=False):
        moved = ScaledTranslation(shifts[label] / 72, 0, axes.figure.dpi_scale_trans)
        style = styles[label] | {"transform": axes.transData + moved}
        if not joined:
            style["linestyle"] = "none"
        line = line.sort_values("x")
        axes.errorbar(
            line["x"],
            line["y"],
            yerr=line["error"] if line["error"].notna().any() else None,
            capsize=1.3,
            elinewidth=0.9,
            markerfacecolor="white",
            label=label,
            **style,
        )
        filled = line[line["filled"]]
        axes.plot(filled["x"], filled["y"], **style | {"linestyle": "none", "zorder": 3})
    error = points["error"].fillna(0)  # matplotlib ignores shifted lines when it sets the limits
    for y in (points["y"] - error, points["y"] + error):
        axes.update_datalim(list(zip(points["x"], y, strict=True)))


def _shifts(axes, points):
    """`{label: shift to the right in 1/72 inch}`, so that bars at the same x do not overlap."""
    xs = {label: np.unique(line["x"]) for label, line in points.groupby("label", sort=False)}
    rivals = {label: [each for each in xs if np.isin(xs[each], xs[label]).any()] for label in xs}
    slots = {}
    for label in xs:
        taken = {slots.get(other) for other in rivals[label]}
        slots[label] = next(slot for slot in itertools.count() if slot not in taken)
    last = {label: max(slots[other] for other in rivals[label]) for label in xs}
    width = axes.bbox.width / axes.figure.dpi * 72 / points["x"].max()
    gap = min((np.diff(each).min() * width for each in xs.values() if len(each) > 1), default=99)
    steps = {label: min(STEP, SPREAD / (last[label] or 1), gap / (last[label] + 1)) for label in xs}
    return {label: (slots[label] - last[label] / 2) * steps[label] for label in xs}
