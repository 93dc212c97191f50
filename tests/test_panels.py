"""experiment/panels.py: lines with error bars that do not overlap."""

import itertools

import numpy as np
import pandas as pd
import pytest

from experiment import figures, panels

STYLES = {name: style for name, style in zip("abcdefg", figures.STYLES, strict=True)}


def drawn(lines):
    """The Axes with lines `{label: [x of its points]}`; all error bars are from 1 to 3."""
    figure, grid = figures.grid(1, 2)
    rows = [(label, float(x)) for label, xs in lines.items() for x in xs]
    points = pd.DataFrame(rows, columns=["label", "x"]).assign(y=2.0, error=1.0)
    panels.draw(grid[0, 0], points.assign(joined=True, filled=False), STYLES)
    return grid[0, 0]


def shifts(axes):
    """`{label: shift of the bars to the right of the data, in 1/72 inch}`."""
    shift_of = {}
    for container in axes.containers:
        bars = container[2][0]
        x = bars.get_segments()[0][0, 0]
        moved, data = (each.transform((x, 0))[0] for each in (bars.get_transform(), axes.transData))
        shift_of[container.get_label()] = (moved - data) * 72 / axes.figure.dpi
    return shift_of


def test_lines_with_points_at_the_same_x_are_shifted_apart():
    shift_of = shifts(drawn({"a": [10, 20], "b": [10, 20], "c": [10, 20]}))
    assert list(shift_of.values()) == pytest.approx([-4, 0, 4], abs=0.01)


def test_a_line_that_shares_no_x_is_not_shifted():
    shift_of = shifts(drawn({"a": [10, 20], "b": [11, 21], "c": [30], "d": [30]}))
    assert shift_of == pytest.approx({"a": 0, "b": 0, "c": -2, "d": 2}, abs=0.01)


def test_many_lines_are_shifted_by_less_than_the_distance_to_the_next_points():
    spread = shifts(drawn(dict.fromkeys("abcdefg", [50, 100])))
    assert max(spread.values()) == -min(spread.values()) == pytest.approx(8, abs=0.01)
    axes = drawn(dict.fromkeys("abcdefg", [98, 100]))
    axes.set_xlim(0, 112)
    ordered = sorted(shifts(axes).values())
    gap = np.diff(axes.transData.transform([(98, 0), (100, 0)])[:, 0])[0] * 72 / axes.figure.dpi
    assert ordered[-1] - ordered[0] < gap
    assert all(one < other for one, other in itertools.pairwise(ordered))


def test_the_limits_include_the_bars_of_all_points():
    axes = drawn({"a": [10, 20], "b": [10, 20]})
    assert axes.dataLim.get_points().tolist() == [[10, 1], [20, 3]]
