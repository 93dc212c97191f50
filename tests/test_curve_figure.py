"""experiment/curve_figure.py: accuracy against parameters, MACs and file size."""

import json

import matplotlib.image
import numpy as np

from experiment import curve_figure, record
from tests.rows import EXPORTS, exported, row

FRONT = "Pareto front: none as small is as accurate"


def test_the_curve_has_a_marker_and_a_ratio_per_mean_and_a_star_per_baseline(tmp_path):
    csv = tmp_path / "a.csv"
    for ratio, size in ((0.8, 1), (0.4, 2), (0.0, 3)):
        record.append_rows(csv, [row(pruning_ratio=ratio, parameters=size, macs=size * 10)])
    record.append_rows(csv, [row(epoch1=5, parameters=5, macs=50)])
    figure = curve_figure.curve(record.read_rows(csv))
    for axes, factor, baseline in zip(figure.axes, (1, 10), (4047370, 7865344), strict=True):
        assert points(axes) == {
            "pruned, retrained: epoch1 35": [factor, 2 * factor, 3 * factor],
            "not pruned, same epochs: epoch1 35": [0, 1],  # from edge to edge
            "pruned, retrained: epoch1 5": [5 * factor],
            "baseline: epoch1 35": [baseline],
            "baseline: epoch1 5": [baseline],
            FRONT: [factor, baseline],
        }
        assert [text.get_text() for text in axes.texts] == ["0.8", "0.4", "0", "0.4"]
    assert figure.get_suptitle().endswith("one seed")


def test_seeds_share_a_marker_at_their_mean_with_a_bar_of_one_deviation(tmp_path):
    csv = tmp_path / "a.csv"
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):
        measured = {"accuracy": accuracy, "baseline_accuracy": accuracy + 0.1}
        record.append_rows(csv, [row(seed=seed, **measured)])
    figure = curve_figure.curve(record.read_rows(csv))
    assert figure.get_suptitle().endswith(
        "mean over 3 seeds; bars: one sample standard deviation up and down"
    )
    for axes in figure.axes:
        bars = [container[2][0].get_segments()[0] for container in axes.containers]
        np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.5, 0.7], [0.6, 0.8]])
    csv.unlink()
    record.append_rows(csv, [row(), row(seed=1), row(pruning_ratio=0.2)])
    title = curve_figure.curve(record.read_rows(csv)).get_suptitle()
    assert "mean over 1 to 2 seeds" in title


def test_exports_have_a_panel_of_their_own_with_a_line_per_format(tmp_path):
    csv = tmp_path / "a.csv"
    record.append_rows(csv, [row(**exported(2.0)), row(pruning_ratio=0.8, **exported())])
    record.append_rows(csv, [row(pruning_ratio=0.2)])
    figure = curve_figure.curve(record.read_rows(csv))
    *_, axes = figure.axes
    assert len(figure.axes) == 3
    assert points(axes) == {
        f"exported, {name}": [number, 2 * number] for number, name in enumerate(EXPORTS, 1)
    }
    assert [text.get_text() for text in axes.texts] == ["0.8", "0.4"] * 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "exported, litert_int8" in labels and "baseline" in labels
    missing = dict.fromkeys(["onnx_bytes", "onnx_accuracy"], float("nan"))
    record.append_rows(csv, [row(**exported(2.0) | missing)])
    *_, axes = curve_figure.curve(record.read_rows(csv)).axes
    assert points(axes)["exported, onnx"] == [3]


def test_the_pareto_front_is_what_no_point_as_small_equals():
    points = [(3, 0.9), (1, 0.5), (2, 0.5), (2, 0.7), (4, 0.9), (5, 0.95), (1, 0.4), (3, 0.9)]
    assert curve_figure.pareto_front(points) == [(1, 0.5), (2, 0.7), (3, 0.9), (5, 0.95)]


def test_layer_ratios_of_a_file_are_told_in_a_few_characters(tmp_path):
    csv = tmp_path / "a.csv"
    many = {f"conv{n}": 0.1 for n in range(50)}
    for ratios in (json.dumps(many), json.dumps(many | {"conv1": 0.2}), "vgg16-A"):
        record.append_rows(csv, [row(layer_ratios=ratios)])
    labels = [label for label in points(curve_figure.curve(record.read_rows(csv)).axes[0])]
    labels = [label for label in labels if label.startswith("pruned")]
    assert "pruned, retrained: layer_ratios vgg16-A" in labels
    assert len(labels) == 3
    assert all(len(label) < 45 for label in labels)


def test_every_control_has_a_labelled_line_of_its_own_and_one_baseline(tmp_path):
    csv = tmp_path / "a.csv"
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    for changes in ({}, {"criterion": "random"}, {"criterion": "largest"}, scratch):
        for ratio, parameters in ((0.4, 2), (0.8, 1)):
            record.append_rows(csv, [row(pruning_ratio=ratio, parameters=parameters, **changes)])
    record.append_rows(csv, [row(pruning_ratio=0.0, parameters=4047370)])
    axes, _ = curve_figure.curve(record.read_rows(csv)).axes
    assert set(points(axes)) == {
        "pruned, retrained: criterion l1",
        "not pruned, same epochs",
        "pruned, retrained: criterion random",
        "pruned, retrained: criterion largest",
        "same shape trained from new weights",
        "baseline",
        FRONT,
    }
    assert sorted(text.get_text() for text in axes.texts) == ["0", "0.4", "0.8"]


def test_networks_of_very_different_size_stand_on_a_logarithmic_axis(tmp_path):
    csv = tmp_path / "a.csv"
    record.append_rows(csv, [row()])
    assert curve_figure.curve(record.read_rows(csv)).axes[0].get_xscale() == "linear"
    small = {"parameters": 90_000, "baseline_parameters": 270_000, "layer_ratios": "resnet56-A"}
    record.append_rows(csv, [row(model="resnet56", **small)])
    axes, of_macs = curve_figure.curve(record.read_rows(csv)).axes
    assert (axes.get_xscale(), of_macs.get_xscale()) == ("log", "linear")
    assert {
        "pruned, retrained: model scnnb",
        "pruned, retrained: model resnet56, layer_ratios resnet56-A",
    } <= set(points(axes))


def test_networks_whose_macs_are_not_counted_stand_on_no_axis_of_macs(tmp_path):
    csv, uncounted = tmp_path / "a.csv", {"macs": None, "baseline_macs": None}
    record.append_rows(csv, [row(), row(seed=1)])
    record.append_rows(csv, [row(model="own", seed=seed, **uncounted) for seed in (0, 1)])
    figure = curve_figure.curve(record.read_rows(csv))
    assert [len(points(axes)) for axes in figure.axes] == [5, 3]  # one network less
    figure = curve_figure.curve(record.read_rows(csv).query("model == 'own'"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["parameters"]


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path):
    record.append_rows(tmp_path / "a.csv", [row(dataset="\u6a21\u578b")])
    curve_figure.draw(tmp_path / "a.csv", tmp_path / "a.png")  # a warning would be an error
    assert (tmp_path / "a.png").exists()


def test_the_curve_is_a_picture_that_can_be_read(tmp_path):
    record.append_rows(tmp_path / "a.csv", [row(dataset="a$_$b")])
    record.append_rows(tmp_path / "a.csv", [row(dataset="$^$")])
    curve_figure.draw(tmp_path / "a.csv", tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")
    height, width = picture.shape[:2]
    assert width == 1800 and height > 750  # a line for every label
    assert picture[..., :3].std() > 0.01
    assert not list(tmp_path.glob("*partial*"))


def points(axes):
    """`{label: [x of its points]}`, as they stand in the legend."""
    handles, labels = axes.get_legend_handles_labels()
    lines = [handle[0] if isinstance(handle, tuple) else handle for handle in handles]
    return {label: list(line.get_xdata()) for label, line in zip(labels, lines, strict=True)}
