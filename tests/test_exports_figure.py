"""experiment/exports_figure.py: accuracy against the size of exported files."""

import numpy as np

from experiment import exports_figure, figures, record
from tests.rows import exported, row

FORMATS = ["litert", "litert-int8", "onnx", "saved-model"]  # as users name them


def figure_of(csv, rows):
    record.append_rows(csv, rows)
    return exports_figure.exports(record.read_rows(csv))


def points(axes):
    """`{label: [(x, y) of its points]}` of lines with error bars."""
    handles = {label: h for label, h in figures.handles([axes]).items() if label != "baseline"}
    return {label: handle[0].get_xydata() for label, handle in handles.items()}


def test_every_format_has_a_line_with_the_accuracy_of_its_files(tmp_path):
    rows = [row(**exported(2.0)), row(pruning_ratio=0.8, **exported()), row(pruning_ratio=0.2)]
    figure = figure_of(tmp_path / "a.csv", rows)
    (axes,) = figure.axes
    assert axes.get_title(loc="left").startswith("scnnb on fashion, pruned by l1\n35 epochs")
    assert axes.get_xlabel() == "exported file (MB)"
    drawn = points(axes)
    assert list(drawn) == FORMATS
    for number, name in enumerate(FORMATS, 1):
        accuracy = 90 - 10 * number
        np.testing.assert_allclose(drawn[name], [(number, accuracy), (2 * number, accuracy)])
    (reference,) = (line for line in axes.lines if line.get_label() == "baseline")
    np.testing.assert_allclose(reference.get_ydata(), [90, 90])
    texts = sorted(text.get_text() for text in axes.texts if text.get_text())
    assert texts == ["40%", "40%", "80%", "80%"]  # at the first format and at int8


def test_each_setting_has_a_line_and_failed_files_have_no_point(tmp_path):
    missing = dict.fromkeys(["onnx_bytes", "onnx_accuracy"], float("nan"))
    rows = [row(**exported()), row(criterion="l2", **exported() | missing)]
    drawn = points(figure_of(tmp_path / "a.csv", rows).axes[0])
    names = {f"{name}, criterion {each}" for name in FORMATS for each in ("l1", "l2")}
    assert drawn.keys() == names - {"onnx, criterion l2"}


def test_a_network_without_exports_has_no_panel(tmp_path):
    csv = tmp_path / "a.csv"
    assert figure_of(csv, [row()]) is None
    (axes,) = figure_of(csv, [row(model="other", **exported())]).axes
    assert axes.get_title(loc="left").startswith("other on fashion")
