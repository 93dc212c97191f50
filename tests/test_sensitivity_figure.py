"""experiment/sensitivity_figure.py: how sensitive each layer is."""

import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from experiment import figures, record, sensitivity_figure
from experiment.columns import BASELINE_SETTINGS, NORMS, SENSITIVITY
from tests.rows import sensitivities


def figure_of(folder, curves, norms):
    """The figure of new CSVs: `[(accuracies, changes)]` and `[(layer, norms, changes)]`."""
    csv, norms_csv = folder / "a.csv", folder / "norms.csv"
    for accuracies, changes in curves:
        record.append_rows(csv, sensitivities(accuracies, **changes), SENSITIVITY)
    shared = {name: sensitivities([0])[0][name] for name in BASELINE_SETTINGS}
    for layer, of_layer, changes in norms:
        rows = [
            shared | {"layer": layer, "filter": number, "l1_norm": norm} | changes
            for number, norm in enumerate(of_layer)
        ]
        record.append_rows(norms_csv, rows, NORMS)
    rows = record.read_rows(csv, SENSITIVITY)
    return sensitivity_figure.sensitivities(rows, record.read_rows(norms_csv, NORMS))


def many_layers(folder, number):
    """The figure of many layers; the last are the most sensitive, and all lines end close by."""
    curves = [
        ([0.8 - 0.01 * layer] * 8 + [0.1 + 0.0001 * layer], {"layers": f"conv{layer}"})
        for layer in range(number)
    ]
    return figure_of(folder, curves, [("conv0", [0.0], {})])  # a layer whose norms are 0


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """The figure of 57 layers."""
    return many_layers(tmp_path_factory.mktemp("crowded"), 57)


def names(axes):
    """The names at the ends of lines."""
    return [text for text in axes.texts if text.get_text()]


def test_a_network_has_a_panel_of_norms_and_one_per_criterion(tmp_path):
    resnet = {"model": "resnet20"}
    curves = (
        ([0.8, 0.7], {"layers": "conv1"}),
        ([0.6, 0.5], {"layers": "conv2"}),
        ([0.4, 0.3], {"layers": "conv2", "criterion": "random"}),
        ([0.2, 0.1], {"layers": "conv1 conv3 conv5"} | resnet),
    )
    norms = (("conv1", [1.0, 4, 2], {}), ("conv3", [3.0], resnet))
    figure = figure_of(tmp_path, curves, norms)
    panels = [
        [line.get_xydata() for line in axes.lines if len(line.get_xdata()) != 2]
        for axes in figure.axes
    ]
    np.testing.assert_allclose(panels[0][0], [[100 / 3, 100], [200 / 3, 50], [100, 25]])
    np.testing.assert_allclose(
        panels[1], [[[0, 90], [10, 80], [20, 70]], [[0, 90], [10, 60], [20, 50]]]
    )
    np.testing.assert_allclose(panels[2], [[[0, 90], [10, 40], [20, 30]]])
    np.testing.assert_allclose(panels[4][0], [[100, 100]])
    np.testing.assert_allclose(panels[5], [[[0, 90], [10, 20], [20, 10]]])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        *("scnnb on fashion\n35 epochs, n = 1 seed", "", "", ""),
        *("resnet20 on fashion\n35 epochs, n = 1 seed", ""),
    ]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[1:3] == ["filters removed by l1 (%)", "filters removed by random (%)"]
    assert [axes.axison for axes in figure.axes] == [True, True, True, False, True, True]
    assert [[name.get_text() for name in names(axes)] for axes in figure.axes] == [
        *([], ["conv2", "conv1"], ["conv2"], [], [], ["conv1 (+2)"])
    ]
    assert figure.legends[0].get_title().get_text() == "(+n): with n layers coupled to it"


def test_values_are_means_over_the_seeds(tmp_path):
    curves = [
        ([accuracy], {"layers": "conv1", "seed": seed, "baseline_accuracy": accuracy + 0.2})
        for seed, accuracy in enumerate((0.5, 0.7))
    ]
    norms = [("conv1", of_seed, {"seed": seed}) for seed, of_seed in enumerate(([1, 2], [8, 2]))]
    figure = figure_of(tmp_path, curves, norms)
    norms, accuracies = figure.axes
    np.testing.assert_allclose(norms.lines[0].get_xydata(), [[50, 100], [100, 37.5]])
    reference, line = accuracies.lines
    np.testing.assert_allclose(reference.get_ydata(), [80, 80])
    np.testing.assert_allclose(line.get_xydata(), [[0, 80], [10, 60]])
    assert norms.get_title(loc="left").endswith("n = 2 seeds")


def test_the_most_sensitive_layers_have_their_own_style_and_a_name(crowded):
    axes = crowded.axes[1]
    sensitive = [f"conv{layer}" for layer in range(50, 57)]
    assert sorted(name.get_text() for name in names(axes)) == sensitive
    lines = [line for line in axes.lines if line.get_marker() != "None"]
    styles = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}
    assert len(styles) == len(lines) == len(figures.STYLES) == 7
    assert {name.get_color() for name in names(axes)} == {line.get_color() for line in lines}
    labels = figures.handles([axes])
    assert labels.keys() == {"baseline", "less sensitive layers"}


def test_names_do_not_overlap_each_other_or_lines_and_are_inside_their_panel(crowded):
    crowded.draw_without_rendering()
    axes = crowded.axes[1]
    boxes = [Text.get_window_extent(name) for name in names(axes)]
    assert len(boxes) == 7
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    end = max(axes.transData.transform(line.get_xydata())[-1, 0] for line in axes.lines[1:])
    for box in boxes:
        assert end < box.x0 and box.x1 < axes.bbox.x1
        assert axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1


def test_many_layers_leave_room_for_the_curves_and_norms_of_0_are_drawn(crowded):
    np.testing.assert_array_equal(crowded.axes[0].lines[0].get_ydata(), [0])
    inch = crowded.dpi
    for axes in crowded.axes:
        assert axes.bbox.width > 1.2 * inch and axes.bbox.height > 1.2 * inch


def test_the_figure_is_drawn_as_png_and_pdf(tmp_path):
    many_layers(tmp_path, 3)
    sensitivity_figure.draw(tmp_path / "a.csv", tmp_path / "norms.csv", tmp_path / "a.png")
    assert (tmp_path / "a.png").exists() and (tmp_path / "a.pdf").exists()
