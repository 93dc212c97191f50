"""Write labels at points and at the ends of lines, so that they do not overlap."""

import itertools

from matplotlib.transforms import Bbox

from experiment import figures

# distances from the point in 1/72 inch, to the right and upwards or downwards, and 1 for upwards
PLACES = list(itertools.product((0, 8, -8, 14, -14), (8, 12, 17), (1, -1)))
NAME = 8.5  # 1/72 inch, height of a name at the end of a line
WRONG = 1000  # cost of a label that overlaps another; more than the lines that it could cross


def at_points(axes, points):
    """Write the `text` of points, so that labels do not overlap and cross few lines.

    Points with the same x and text have one label, above the highest or below the lowest. If there
    is no room for a label, it is not written.

    Args:
        axes: matplotlib Axes in the final layout.
        points: DataFrame as for `panels.draw`, with the column `text`.
    """
    lines, markers = _obstacles(axes)
    texts = []
    for (x, text), same in points[points["text"] != ""].groupby(["x", "text"], sort=False):
        error = same["error"].fillna(0)
        ends = {1: (same["y"] + error).max(), -1: (same["y"] - error).min()}
        note = _note(axes, text)
        costs = []
        for place in PLACES:
            box = _put(note, x, ends, place)
            crossed = sum(line.intersects_bbox(box, filled=False) for line in lines)
            wrong = _leaves(axes.bbox, box) + box.count_overlaps(texts)
            costs.append(crossed + 2 * box.count_overlaps(markers) + WRONG * wrong)
        place = PLACES[costs.index(min(costs))]
        if min(costs) >= WRONG:
            note.remove()
            continue
        texts.append(_put(note, x, ends, place))
        if place[:2] != PLACES[0][:2]:
            _lead(axes, note)


def at_ends(axes, names):
    """Write names to the right of the ends of lines, so that they do not overlap.

    Args:
        axes: matplotlib Axes in the final layout.
        names: list of `(name, x, y, color)`.
    """
    names = sorted(names, key=lambda each: each[2])
    points = 72 / axes.figure.dpi
    ends = [axes.transData.transform((0, y))[1] * points for _, _, y, _ in names]
    bottom, top = axes.bbox.y0 * points, axes.bbox.y1 * points
    heights = _apart(ends, bottom, top)
    for (name, x, y, color), end, height in zip(names, ends, heights, strict=True):
        place = {"xytext": (12, height - end), "textcoords": "offset points", "va": "center"}
        thin = {"arrowstyle": "-", "color": color, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 1}
        thin["relpos"] = (0, 0.5)  # the line starts at the left of the name
        axes.annotate(name, (x, y), **place, color=color, fontsize="small", arrowprops=thin)


def _note(axes, text):
    centred = {"ha": "center", "va": "center", "fontsize": "small"}
    return axes.annotate(text, (0, 0), xytext=(0, 0), textcoords="offset points", **centred)


def _put(note, x, ends, place):
    """Move the label to a place; returns its box in pixels."""
    right, away, side = place
    note.xy = x, ends[side]
    note.set_position((right, away * side))
    return note.get_window_extent()


def _lead(axes, note):
    """Draw a thin line from a label to its point."""
    right, up = note.get_position()
    thin = {"arrowstyle": "-", "color": figures.GREY, "linewidth": 0.5, "shrinkA": 4, "shrinkB": 2}
    place = {"xytext": (right, up), "textcoords": "offset points"}
    axes.annotate("", note.xy, **place, arrowprops=thin)


def _leaves(panel, box):
    """Whether a part of the box is outside the panel."""
    return not (panel.contains(box.x0, box.y0) and panel.contains(box.x1, box.y1))


def _obstacles(axes):
    """`(lines and bars as paths, markers as boxes)`, in pixels."""
    half = 3 / 72 * axes.figure.dpi
    paths, boxes = [], []
    for line in axes.lines:
        path = line.get_transform().transform_path(line.get_path())
        if line.get_linestyle() != "None":
            paths.append(path)
        if line.get_marker() != "None":
            boxes += [Bbox([point - half, point + half]) for point in path.vertices]
    for bars in axes.collections:
        paths += map(bars.get_transform().transform_path, bars.get_paths())
    return paths, boxes


def _apart(heights, bottom, top):
    """The ascending heights, moved apart by at least the height `NAME`, inside the panel."""
    heights, last = list(heights), len(heights) - 1
    for number in list(range(last)) * 50:
        lacking = max(0, NAME - heights[number + 1] + heights[number]) / 2
        heights[number] -= lacking
        heights[number + 1] += lacking
    highest = [top - NAME / 2 - NAME * (last - number) for number in range(len(heights))]
    lowest = [bottom + NAME / 2 + NAME * number for number in range(len(heights))]
    return [max(low, min(each)) for low, *each in zip(lowest, heights, highest, strict=True)]
