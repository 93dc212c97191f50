"""experiment/curve_figure.py: accuracy against parameters and MACs."""

import itertools
import json

import numpy as np
import pytest

from experiment import curve_figure, figures, record
from tests.rows import exported, row

MACS = [  # of SCNNB with 0.1, 0.2, ... of the filters removed
    *(6600752, 5637020, 4635264, 3803832, 3035904, 2194672, 1569628, 934784, 442040),
]
BASELINE = (4.04737, 7.865344)  # parameters and MACs in millions


def figure_of(csv, rows):
    """The figure of a new CSV of these rows."""
    csv.unlink(missing_ok=True)
    record.append_rows(csv, rows)
    return curve_figure.curve(record.read_rows(csv))


def points(axes):
    """`{label: [(x, y) of its points]}`, in the order of the legend."""
    lines = {label: handle[0] for label, handle in figures.handles([axes]).items()}
    return {label: list(map(tuple, line.get_xydata())) for label, line in lines.items()}


def texts(axes):
    """The texts at points."""
    return sorted(text.get_text() for text in axes.texts if text.get_text())


def bars(axes):
    """`(x, lowest y, highest y)` of the error bars, in pixels."""
    ends = []
    for container in axes.containers:
        for collection in container[2]:
            transform = collection.get_transform().transform
            ends += [transform(segment) for segment in collection.get_segments()]
    return [(end[0, 0], *sorted(end[:, 1])) for end in ends]


def test_points_are_in_millions_and_percent_and_a_star_is_the_baseline(tmp_path):
    rows = [
        row(pruning_ratio=ratio, parameters=size, macs=2 * size, accuracy=accuracy)
        for ratio, size, accuracy in ((0.8, 1_000_000, 0.7), (0.4, 2_500_000, 0.8))
    ]
    figure = figure_of(tmp_path / "a.csv", rows)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["parameters (M)", "MACs per image (M)"]
    assert figure.axes[0].get_ylabel() == "test accuracy (%)"
    for axes, factor, size in zip(figure.axes, (1, 2), BASELINE, strict=True):
        drawn = points(axes)
        assert drawn.keys() == {"pruned, retrained", "baseline"}
        np.testing.assert_allclose(drawn["pruned, retrained"], [(factor, 70), (2.5 * factor, 80)])
        np.testing.assert_allclose(drawn["baseline"], [(size, 90)])
        assert texts(axes) == ["40%", "80%"]
        assert axes.get_xlim()[0] == 0 and axes.get_xscale() == "linear"


def test_the_panel_of_the_target_is_the_first_and_its_points_name_it(tmp_path):
    rows = [row(pruning_ratio=0.0), row(pruning_ratio=None, target="macs 0.5")]
    axes, other = figure_of(tmp_path / "a.csv", rows).axes
    assert [axes.get_xlabel(), other.get_xlabel()] == ["MACs per image (M)", "parameters (M)"]
    assert texts(axes) == ["0%", "MACs 50%"]
    np.testing.assert_allclose(points(axes)["pruned, retrained"], [(3.803832, 30)])
    first, _ = figure_of(tmp_path / "b.csv", [row(target="bytes 500000", pruning_ratio=None)]).axes
    assert (first.get_xlabel(), texts(first)) == ("parameters (M)", ["500,000 bytes"])


def test_a_line_at_the_accuracy_of_the_baseline_goes_from_edge_to_edge(tmp_path):
    rows = [row(seed=seed, baseline_accuracy=0.6 + 0.1 * seed) for seed in (0, 1)]
    rows += [row(pruning_ratio=0.2, baseline_accuracy=0.6)]  # has one seed only
    for axes in figure_of(tmp_path / "a.csv", rows).axes:
        (line,) = (line for line in axes.lines if list(line.get_xdata()) == [0, 1])
        np.testing.assert_allclose(line.get_ydata(), [65, 65])
        np.testing.assert_allclose(points(axes)["baseline"][0][1], 65)


def test_the_title_has_dataset_network_epochs_criterion_and_seeds(tmp_path):
    csv = tmp_path / "a.csv"
    first, second = figure_of(csv, [row()]).axes
    assert first.get_title(loc="left") == (
        "scnnb on fashion, pruned by l1\n35 epochs, retrained for 30, n = 1 seed"
    )
    rows = [row(criterion=name, seed=seed) for name in ("l1", "l2") for seed in (0, 1, 2)]
    rows += [row(criterion="l1", epoch2=5)]
    assert figure_of(csv, rows).axes[0].get_title(loc="left") == (
        "scnnb on fashion\n35 epochs, retrained for 5 to 30, n = 1 to 3 seeds, bars: ±1 SD"
    )
    title = figure_of(csv, [row(epoch1=0)]).axes[0].get_title(loc="left")
    assert "\ntrained before, retrained for 30," in title
    title = figure_of(tmp_path / "b.csv", [row(epoch2=0)]).axes[0].get_title(loc="left")
    assert "\n35 epochs, not retrained," in title


def test_every_network_has_a_row_of_panels_with_its_own_accuracies(tmp_path):
    small = {"parameters": 90_000, "baseline_parameters": 270_000, "content": "other"}
    rows = [row(), row(model="resnet56", accuracy=0.5, **small), row(epoch1=5)]
    grid = np.reshape(figure_of(tmp_path / "a.csv", rows).axes, (3, 2))
    titles = [axes.get_title(loc="left").splitlines() for axes in grid[:, 0]]
    assert [title[0] for title in titles] == [
        "scnnb on fashion, pruned by l1",
        "resnet56 on fashion, pruned by l1",
        "scnnb on fashion, pruned by l1",
    ]
    assert titles[2][1].startswith("5 epochs, ")
    np.testing.assert_allclose(points(grid[1, 0])["pruned, retrained"], [(0.09, 50)])
    assert grid[0, 0].get_ylim() == grid[0, 1].get_ylim() != grid[1, 0].get_ylim()
    rows = [row(), row(content="other")]  # all other settings are equal
    title = figure_of(tmp_path / "a.csv", rows).axes[2].get_title(loc="left")
    assert title.startswith("scnnb on fashion, content other, ")


def test_a_marker_is_the_mean_over_seeds_and_its_bar_one_standard_deviation(tmp_path):
    rows = [
        row(seed=seed, accuracy=accuracy, baseline_accuracy=accuracy + 0.1)
        for seed, accuracy in enumerate((0.5, 0.6, 0.7))
    ]
    for axes in figure_of(tmp_path / "a.csv", rows).axes:
        segments = [container[2][0].get_segments()[0] for container in axes.containers]
        np.testing.assert_allclose([bar[:, 1] for bar in segments], [[50, 70], [60, 80]])
    for axes in figure_of(tmp_path / "a.csv", rows[:1]).axes:
        assert bars(axes) == []


@pytest.fixture(scope="module")
def criteria(tmp_path_factory):
    """The figure of nine ratios, three criteria and two seeds."""
    rows = []
    names = ("l1", "random", "largest")
    for number, ratio in itertools.product(range(3), range(1, 10)):
        size = {"parameters": 4_047_370 - ratio * 406_000, "macs": MACS[ratio - 1]}
        for seed in (0, 1):
            accuracy = 0.9 - 0.02 * ratio * (number + seed) + 0.01 * (ratio % 2)
            changes = {"pruning_ratio": ratio / 10, "criterion": names[number], "seed": seed}
            rows.append(row(accuracy=accuracy, **changes, **size))
    return figure_of(tmp_path_factory.mktemp("criteria") / "a.csv", rows)


def test_the_bars_of_several_criteria_do_not_overlap(criteria):
    for axes in criteria.axes:
        places = bars(axes)
        assert len(places) == 28  # with the baseline
        for one, other in itertools.combinations(places, 2):
            apart = abs(one[0] - other[0]) > 1 / 72 * figures.DPI  # wider than a bar
            assert apart or one[1] > other[2] or other[1] > one[2]


def test_labels_do_not_overlap_and_are_inside_their_panel(criteria):
    criteria.draw_without_rendering()
    for axes in criteria.axes:
        assert texts(axes) == [f"{ratio}0%" for ratio in range(1, 10)]
        notes = [text for text in axes.texts if text.get_text()]
        boxes = [note.get_window_extent() for note in notes]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
        for box in boxes:
            assert axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)


def test_the_legend_names_only_the_settings_that_differ(criteria, tmp_path):
    labels = ["criterion l1", "criterion random", "criterion largest", "baseline"]
    (legend,) = criteria.legends
    assert [text.get_text() for text in legend.get_texts()] == labels
    assert "at a point: filters removed, or the target" in legend.get_title().get_text()
    rows = [row(), row(model="resnet20", coupled="skip", criterion="l2", epoch2=5)]
    (legend,) = figure_of(tmp_path / "b.csv", rows).legends  # one setting for each network
    assert {text.get_text() for text in legend.get_texts()} == {"pruned, retrained", "baseline"}


def test_the_legend_explains_filled_markers_shifted_points_and_the_line_of_the_baseline(tmp_path):
    unpruned = row(pruning_ratio=0.0, parameters=4047370, macs=7865344)  # as the baseline
    for rows, shifted in (([row()], False), ([row(), unpruned], True)):
        figure = figure_of(tmp_path / "a.csv", rows)
        (legend,) = figure.legends
        text = legend.get_title().get_text()
        assert "filled: no smaller network is as accurate" in text
        assert ("same x are drawn side by side" in text) == shifted
        (reference,) = (line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1])
        shown = figures.handles(figure.axes)["baseline"][0].get_linestyle()
        assert shown == reference.get_linestyle() != "None"


def test_a_point_of_layer_ratios_has_their_name_and_no_line(tmp_path):
    many = {f"conv{n}": 0.1 for n in range(50)}
    rows = [row(pruning_ratio=ratio, parameters=int(ratio * 1e6)) for ratio in (0.2, 0.4)]
    rows += [
        row(pruning_ratio=ratio, layer_ratios=ratios, accuracy=accuracy)
        for ratios, ratio, accuracy in (
            ("vgg16-A", 0.0, 0.5),
            ("vgg16-A", 0.3, 0.6),
            (json.dumps(many), 0.0, 0.7),
        )
    ]
    for axes in figure_of(tmp_path / "a.csv", rows).axes:
        written = set(texts(axes))
        assert {"20%", "40%", "vgg16-A", "vgg16-A, rest 30%"} < written
        (checksum,) = written - {"20%", "40%", "vgg16-A", "vgg16-A, rest 30%"}
        assert len(checksum) == 8
        lines = [(len(line.get_xdata()), line.get_linestyle()) for line in axes.lines]
        assert (3, "None") in lines and (2, "-") in lines
        assert {label for label in points(axes)} == {"pruned, retrained", "baseline"}


def test_controls_have_their_own_lines(tmp_path):
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    rows = [row(pruning_ratio=0.0, parameters=4047370, macs=7865344)]
    for changes in ({}, {"criterion": "random"}, scratch):
        rows += [row(**changes), row(pruning_ratio=0.8, parameters=2_000_000, **changes)]
    figure = figure_of(tmp_path / "a.csv", rows)
    for axes in figure.axes:
        assert points(axes).keys() == {
            "criterion l1",
            "criterion random",
            "not pruned, retrained",
            "same shape, new weights",
            "baseline",
        }
        assert texts(axes) == ["0%", "40%", "80%"]
    assert list(points(figure.axes[0]))[0] == "criterion l1"


def test_in_the_pareto_front_no_other_point_is_as_small_and_as_accurate():
    points = [(3, 0.9), (1, 0.5), (2, 0.5), (2, 0.7), (4, 0.9), (5, 0.95), (1, 0.4), (3, 0.9)]
    assert curve_figure.pareto_front(points) == [(1, 0.5), (2, 0.7), (3, 0.9), (5, 0.95)]


def test_markers_of_the_pareto_front_are_filled(tmp_path):
    accuracies = {1_000_000: 0.5, 2_000_000: 0.4, 3_000_000: 0.95}
    rows = [
        row(pruning_ratio=1 - size / 4e6, parameters=size, accuracy=accuracy)
        for size, accuracy in accuracies.items()
    ]
    axes = figure_of(tmp_path / "a.csv", rows).axes[0]
    filled = [line for line in axes.lines if line.get_markerfacecolor() != "white"]
    places = [
        point
        for line in filled
        if line.get_linestyle() == "None"
        for point in line.get_xydata()
        if line.get_marker() == "o"
    ]
    np.testing.assert_allclose(places, [(1, 50), (3, 95)])


def test_the_noise_of_a_seed_does_not_look_like_a_trend(tmp_path):
    low, high = figure_of(tmp_path / "a.csv", [row(accuracy=0.9001)]).axes[0].get_ylim()
    assert high - low >= 2


def test_networks_whose_macs_are_not_counted_have_no_panel_of_macs(tmp_path):
    uncounted = {"macs": None, "baseline_macs": None}
    own = [row(model="own", seed=seed, **uncounted) for seed in (0, 1)]
    figure = figure_of(tmp_path / "a.csv", [row(), *own])
    assert [len(points(axes)) for axes in figure.axes] == [2, 2, 2, 0]
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]
    figure = figure_of(tmp_path / "a.csv", own)
    assert [axes.get_xlabel() for axes in figure.axes] == ["parameters (M)"]


def test_all_figures_of_a_csv_are_drawn_as_png_and_pdf(tmp_path):
    csv = tmp_path / "a.csv"
    record.append_rows(csv, [row()])
    curve_figure.draw(csv, tmp_path / "a.png")
    pictures = {file.name for file in tmp_path.iterdir() if file.suffix in (".png", ".pdf")}
    assert pictures == {"a.png", "a.pdf"}
    record.append_rows(csv, [row(**exported())])
    curve_figure.draw(csv, tmp_path / "a.png")
    pictures = {file.name for file in tmp_path.iterdir() if file.suffix in (".png", ".pdf")}
    assert pictures == {"a.png", "a.pdf", "a-exports.png", "a-exports.pdf"}
