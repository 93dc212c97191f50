"""experiment/labels.py: labels at points and at the ends of lines."""

import itertools

import pandas as pd
import pytest

from experiment import figures, labels, panels

STYLE = {"color": "black", "marker": "o", "linestyle": "-"}


@figures.styled()
def labelled(points):
    """The Axes, from 0 to 10 in x and y, with a line through the points `(x, y, text)`."""
    figure, grid = figures.grid(1, 1)
    axes = grid[0, 0]
    points = pd.DataFrame(points, columns=["x", "y", "text"])
    points = points.assign(label="a", joined=True, error=float("nan"), filled=False)
    panels.draw(axes, points.astype({"x": float, "y": float}), {"a": STYLE})
    axes.set(xlim=(0, 10), ylim=(0, 10))
    figures.add_legend(figure, {})
    labels.at_points(axes, points)
    return axes


def boxes(axes):
    return {text.get_text(): text.get_window_extent() for text in axes.texts if text.get_text()}


def test_a_label_does_not_cross_a_line_if_there_is_room():
    axes = labelled([(1, 1, ""), (5, 5, "peak"), (5.5, 9, "")])  # a steep line above it
    (box,) = boxes(axes).values()
    (line,) = (line for line in axes.lines if len(line.get_xdata()) == 3)
    path = line.get_transform().transform_path(line.get_path())
    assert not path.intersects_bbox(box, filled=False)


def test_points_with_the_same_x_and_text_have_one_label_above_the_highest():
    axes = labelled([(5, 3, "40%"), (5, 7, "40%"), (5, 7, "other")])
    box_of = boxes(axes)
    assert box_of.keys() == {"40%", "other"}
    highest = axes.transData.transform((5, 7))[1]
    assert box_of["40%"].y0 > highest
    assert not box_of["40%"].overlaps(box_of["other"])


def test_a_label_without_room_is_not_written():
    crowd = [(5, 5, f"a long label, number {number}") for number in range(12)]
    box_of = boxes(labelled(crowd))
    assert 4 <= len(box_of) < 12
    for one, other in itertools.combinations(box_of.values(), 2):
        assert not one.overlaps(other)


def test_a_label_that_is_not_close_to_its_point_has_a_line_to_it():
    axes = labelled([(5, 5, f"number {number}") for number in range(5)])
    leads = [text for text in axes.texts if not text.get_text()]
    assert len(leads) == len(boxes(axes)) - 2 > 0  # the first two are directly above and below
    assert all(lead.arrow_patch is not None and lead.xy == (5, 5) for lead in leads)


@pytest.mark.parametrize(
    ("heights", "expected"),  # in 1/72 inch; the panel is 100 high, a name 8.5
    [
        ([10, 40, 80], [10, 40, 80]),
        ([50, 50], [45.75, 54.25]),
        ([5, 5, 5], [4.25, 12.75, 21.25]),
        ([10, 99, 99], [10, 87.25, 95.75]),
        ([], []),
    ],
)
def test_names_at_the_ends_of_lines_are_moved_apart_only_as_far_as_needed(heights, expected):
    figure, grid = figures.grid(1, 1)
    axes = grid[0, 0]
    figure.set_size_inches(3, 100 / 72)
    axes.set_position([0, 0, 1, 1])
    axes.set(xlim=(0, 1), ylim=(0, 100))
    labels.at_ends(axes, [(str(n), 0.5, y, "black") for n, y in enumerate(heights)])
    names = zip(heights, axes.texts, strict=True)
    moved = [height + name.get_position()[1] for height, name in names]
    assert moved == pytest.approx(expected, abs=0.01)
    assert [name.get_text() for name in axes.texts] == [str(n) for n in range(len(heights))]
