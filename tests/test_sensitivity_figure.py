"""experiment/sensitivity_figure.py: how sensitive each layer is."""

import matplotlib.image

from experiment import record, sensitivity_figure
from experiment.columns import BASELINE_SETTINGS, NORMS, SENSITIVITY
from tests.rows import sensitivities


def test_many_layers_leave_room_for_the_curves(tmp_path):
    csv, norms_csv = tmp_path / "a.csv", tmp_path / "norms.csv"
    for number in range(57):
        rows = sensitivities([0.5, 0.4], layers=f"conv{number}")
        record.append_rows(csv, rows, SENSITIVITY)
    norm = {name: rows[0][name] for name in BASELINE_SETTINGS} | {"layer": "conv0"}
    norms = [norm | {"filter": 0, "l1_norm": 0.0}]  # a dead layer
    record.append_rows(norms_csv, norms, NORMS)
    sensitivity_figure.draw(csv, norms_csv, tmp_path / "a.png")  # a warning would be an error
    figure = sensitivity_figure.sensitivities(
        record.read_rows(csv, SENSITIVITY), record.read_rows(norms_csv, NORMS)
    )
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.width > 200 and box.height > 200


def test_the_figure_of_sensitivities_has_a_row_per_network_and_a_panel_per_criterion(tmp_path):
    csv, norms_csv = tmp_path / "a.csv", tmp_path / "norms.csv"
    resnet = {"model": "resnet20"}
    for accuracies, changes in (
        ([0.8, 0.7], {"layers": "conv1"}),
        ([0.6, 0.5], {"layers": "conv2"}),
        ([0.4, 0.3], {"layers": "conv2", "criterion": "random"}),
        ([0.2, 0.1], {"layers": "conv1 conv3 conv5"} | resnet),
    ):
        record.append_rows(csv, sensitivities(accuracies, **changes), SENSITIVITY)
    shared = {name: sensitivities([0])[0][name] for name in BASELINE_SETTINGS}
    norms = [
        shared | {"layer": layer, "filter": number, "l1_norm": norm} | changes
        for layer, of_layer, changes in (("conv1", [1.0, 4, 2], {}), ("conv3", [3.0], resnet))
        for number, norm in enumerate(of_layer)
    ]
    record.append_rows(norms_csv, norms, NORMS)
    rows = record.read_rows(csv, SENSITIVITY)
    figure = sensitivity_figure.sensitivities(rows, record.read_rows(norms_csv, NORMS))
    panels = [
        [(line.get_label(), line.get_xydata().tolist()) for line in axes.lines]
        for axes in figure.axes
    ]
    (_, sorted_norms), (_, single) = panels[0][0], panels[3][0]
    assert sorted_norms == [[1 / 3, 1], [2 / 3, 0.5], [1, 0.25]]
    assert single == [[1, 1]]
    assert panels[1] == [
        ("conv1", [[0, 0.9], [0.1, 0.8], [0.2, 0.7]]),
        ("conv2", [[0, 0.9], [0.1, 0.6], [0.2, 0.5]]),
    ]
    assert panels[2] == [("conv2", [[0, 0.9], [0.1, 0.4], [0.2, 0.3]])]
    assert panels[4] == [("conv1 and 2 tied to it", [[0, 0.9], [0.1, 0.2], [0.2, 0.1]])]
    assert panels[5] == []
    sensitivity_figure.draw(csv, norms_csv, tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (1200, 2100)
