"""pruning/report.py, pruning/plots.py and pruning/table.py: what is kept of a pruning."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pruning import plots, prune, report, table
from scnnb.model import build_scnnb

EXPORTS = ["litert", "litert_int8", "onnx", "saved_model"]


def row(**changes):
    return {
        "dataset": "fashion",
        "model": "scnnb",
        "pruning_ratio": 0.4,
        "seed": 0,
        "parameters": 2404404,
        "accuracy": 0.1 + 0.2,
        "pruned_accuracy": 1 / 3,
        "baseline_parameters": 4047370,
        "baseline_accuracy": 0.9,
        "macs": 3803832,
        "baseline_macs": 7865344,
        "criterion": "l1",
        "strategy": "independent",
        "schedule": "one-shot",
        "learning_rate": 1e-05,
        "batch_size": 128,
        "epoch1": 35,
        "epoch2": 30,
        "optimizer": "adam",
        "baseline_seconds": 700.1,
        "retrain_seconds": 500.2,
        "finished_at": "2026-01-01T00:00:00+00:00",
        "keras": "3.15.1",
        "tensorflow": "2.21.0",
        "coupled": "joint",
        "layer_ratios": "",
        "retrain_learning_rate": 1e-05,
        "control": "",
        "augment": "",
        "precision": "float32",
        "content": "0123456789ab",
        "pixels": "0..255",
        "model_bytes": 9666403.0,
        "latency_ms": 1.5,
        "baseline_latency_ms": 2.5,
        "throughput": 4000.5,
        "baseline_throughput": 3000.5,
        "peak_memory_mb": 1200.5,
        "machine": "AMD EPYC, 2 cores, Linux",
    } | changes


def exported(size=1.0, **changes):
    """What the formats of a row came to: the first has `size` MB, the others 2, 3, 4 times that."""
    found = {"export_threads": 2.0, "litert_int8_io": "float32", "failed_exports": "onnx: no"}
    for number, name in enumerate(EXPORTS, 1):
        found[f"{name}_bytes"] = size * number * 1e6
        found |= {f"{name}_accuracy": 0.9 - number / 10, f"{name}_latency_ms": 0.1 * number}
    return found | changes


def test_the_columns_are_these_in_this_order(tmp_path):
    report.append_rows(tmp_path / "a.csv", [row()])
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header == (
        "dataset,model,pruning_ratio,seed,parameters,accuracy,pruned_accuracy,baseline_parameters,"
        "baseline_accuracy,macs,baseline_macs,criterion,strategy,schedule,learning_rate,batch_size,"
        "epoch1,epoch2,optimizer,baseline_seconds,retrain_seconds,finished_at,keras,tensorflow,"
        "coupled,layer_ratios,retrain_learning_rate,control,augment,"
        "model_bytes,latency_ms,baseline_latency_ms,throughput,baseline_throughput,peak_memory_mb,"
        "machine,precision,litert_bytes,litert_accuracy,litert_latency_ms,litert_int8_bytes,"
        "litert_int8_accuracy,litert_int8_latency_ms,onnx_bytes,onnx_accuracy,onnx_latency_ms,"
        "saved_model_bytes,saved_model_accuracy,saved_model_latency_ms,export_threads,"
        "litert_int8_io,failed_exports,content,pixels"
    )


def test_a_csv_and_a_row_from_before_a_column_was_added_are_read(tmp_path):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row()])
    lines = [",".join(line.split(",")[:24]) for line in csv.read_text().splitlines()]
    csv.write_text("\n".join(lines) + "\n")
    assert lines[0].endswith(",tensorflow")
    unmeasured = dict.fromkeys([*report.MEASURED, *exported()], -1.0) | {"machine": ""}
    unmeasured |= {"litert_int8_io": "", "failed_exports": "", "content": "", "pixels": "0..1"}
    old = {name: value for name, value in row(seed=1).items() if name not in report.TRIALS.added}
    for rows in (1, 2):
        assert report.read_rows(csv)[report.MEASURED].isna().all(axis=None)
        found = report.read_rows(csv).fillna(-1.0)
        expected = [row() | unmeasured, row(seed=1) | unmeasured]
        assert found.to_dict("records") == expected[:rows]
        report.append_rows(csv, [old])


@pytest.mark.parametrize("dataset", ["fashion", "001", "NA", "a,b", 'a"b', "1e5"])
def test_a_row_comes_back_as_it_was_written(tmp_path, dataset):
    written = row(dataset=dataset, **exported())
    report.append_rows(tmp_path / "a.csv", [written])
    (found,) = report.read_rows(tmp_path / "a.csv").to_dict("records")
    assert found == written


@pytest.mark.parametrize("name", report.TRIALS.settings)
def test_a_row_of_other_settings_is_another_row(tmp_path, name):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row()])
    value = row()[name]
    other = row(**{name: f"{value}x" if isinstance(value, str) else value * 2 + 1})
    report.append_rows(csv, [other])
    assert len(report.read_rows(csv)) == 2


def test_a_row_without_content_stays_beside_one_of_known_content(tmp_path):
    csv = tmp_path / "a.csv"
    old = {name: value for name, value in row().items() if name != "content"}
    report.append_rows(csv, [old])
    report.append_rows(csv, [row()])
    report.append_rows(csv, [old])
    assert report.read_rows(csv)["content"].tolist() == ["", "0123456789ab"]


def test_a_new_result_takes_the_place_of_the_old_one_of_the_same_settings(tmp_path):
    csv = tmp_path / "a.csv"
    for changes in ({"accuracy": 0.5}, {"pruning_ratio": 0.2}, {"accuracy": 0.75}):
        report.append_rows(csv, [row(**changes)])
    assert report.read_rows(csv)["accuracy"].tolist() == [0.1 + 0.2, 0.75]


def test_a_row_that_is_there_already_changes_nothing(tmp_path):
    csv = tmp_path / "a.csv"
    for ratio in (0.2, 0.4, 0.2):
        report.append_rows(csv, [row(pruning_ratio=ratio)])
    assert report.read_rows(csv)["pruning_ratio"].tolist() == [0.2, 0.4]


def test_a_csv_that_can_be_written_passes_the_check_and_no_file_is_left(tmp_path):
    report.check(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_fails_the_check(tmp_path):
    (tmp_path / "a.csv.partial").mkdir()  # root may write anywhere, but not make a folder a file
    with pytest.raises(OSError, match="partial"):
        report.check(tmp_path / "a.csv")


def test_rows_written_at_the_same_time_all_arrive_once(tmp_path):
    csv = tmp_path / "a.csv"
    seeds = list(range(20))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: report.append_rows(csv, [row(seed=seed)]), seeds))
    assert sorted(report.read_rows(csv)["seed"]) == seeds
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.lock"]


@pytest.mark.parametrize(
    "content",
    ["", "foreign", "a,b\n1,2\n", ",".join(report.TRIALS.columns) + "\nfashion,scnnb,0.4\n"],
)
def test_a_csv_that_is_not_ours_is_refused_and_left_alone(tmp_path, content):
    csv = tmp_path / "a.csv"
    csv.write_text(content)
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        report.append_rows(csv, [row()])
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        report.check(csv)
    assert csv.read_text() == content


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("accuracy", "nan"),
        ("accuracy", ""),
        ("accuracy", "1.5"),
        ("pruned_accuracy", "-0.1"),
        ("learning_rate", "1e400"),
        ("latency_ms", "inf"),
        ("litert_accuracy", "2"),
        ("retrain_learning_rate", "nan"),
        ("seed", "9223372036854775808"),
        ("parameters", "-1"),
        ("macs", "1.5"),
        ("epoch1", "many"),
    ],
)
def test_a_csv_with_a_number_that_cannot_be_is_refused(tmp_path, name, cell):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row(**exported())])
    cells = pd.read_csv(csv, dtype=str, keep_default_na=False)
    cells[name] = cell
    cells.to_csv(csv, index=False)
    with pytest.raises(report.NotARecordError, match=r"a\.csv is not a record .*\)$"):
        report.read_rows(csv)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from([*report.TRIALS.columns]), cell=st.text(st.characters(codec="utf-8")))
def test_any_text_in_a_cell_is_read_and_summarised_or_refused_in_one_line(tmp_path, name, cell):
    csv = tmp_path / "a.csv"
    csv.unlink(missing_ok=True)
    report.append_rows(csv, [row()])
    cells = pd.read_csv(csv, dtype=str, keep_default_na=False)
    cells[name] = cell
    cells.to_csv(csv, index=False)
    try:
        rows = report.read_rows(csv)
    except report.NotARecordError as error:
        assert "\n" not in str(error)
    else:
        assert len(report.summarised(rows)) == 1
        report.append_rows(csv, [row(seed=1)])
        assert report.read_rows(csv)[:1].equals(rows)


def test_a_pipe_in_place_of_a_csv_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(report.NotARecordError, match=r"a\.csv is not a record .*it is no file"):
        report.check(tmp_path / "a.csv")


def test_a_link_to_a_csv_stays_and_what_it_leads_to_is_replaced(tmp_path):
    link, target = tmp_path / "a.csv", tmp_path / "other" / "b.csv"
    target.parent.mkdir()
    link.symlink_to(target)
    for seed in (0, 1):  # the file is made, then replaced
        report.check(link)
        report.append_rows(link, [row(seed=seed)])
    assert link.is_symlink()
    assert report.read_rows(target)["seed"].tolist() == [0, 1]
    files = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.*"))
    assert files == ["a.csv", "other/b.csv", "other/b.csv.lock"]  # the lock of both names


@pytest.mark.parametrize("missing", [1, 3, 40, 200])
def test_a_csv_that_is_cut_short_is_never_read_as_rows(tmp_path, missing):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row(), row(seed=1)])
    csv.write_bytes(csv.read_bytes()[:-missing])
    with pytest.raises(ValueError, match=r"a\.csv is not a record of this program"):
        report.read_rows(csv)


def test_the_summary_holds_mean_deviation_and_number_per_setting_whatever_the_seed(tmp_path):
    csv, summary = tmp_path / "a.csv", tmp_path / "a-summary.csv"
    for seed, accuracy in enumerate((0.25, 0.5, 1.0)):
        report.append_rows(csv, [row(seed=seed, accuracy=accuracy, latency_ms=2.0 * seed)])
    report.append_rows(csv, [row(pruning_ratio=0.8, accuracy=0.5, parameters=7)])
    report.write_summary(csv, summary)
    found = pd.read_csv(summary)
    assert "seed" not in found.columns
    assert found["n"].tolist() == [3, 1]
    assert found["parameters"].tolist() == [2404404, 7]
    # (0.25 + 0.5 + 1) / 3; deviations -1/3, -1/12, 5/12: squares 16 + 1 + 25 of 144, over 2
    np.testing.assert_allclose(found["accuracy_mean"], [7 / 12, 0.5])
    np.testing.assert_allclose(found["accuracy_std"], [(42 / 144 / 2) ** 0.5, np.nan])
    np.testing.assert_allclose(found["latency_ms_mean"][0], 2)
    np.testing.assert_allclose(found["latency_ms_std"][0], 2)


def test_a_mean_over_rows_of_which_one_was_not_measured_is_no_number(tmp_path):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row(), row(seed=1, latency_ms=float("nan"))])
    (found,) = report.summarised(report.read_rows(csv)).to_dict("records")
    assert np.isnan(found["latency_ms_mean"])
    assert found["accuracy_mean"] == row()["accuracy"]


def test_macs_that_cannot_be_counted_stay_empty_and_others_whole_numbers(tmp_path):
    csv, uncounted = tmp_path / "a.csv", {"macs": None, "baseline_macs": None}
    rows = [
        row(),
        row(seed=1),
        row(model="own", **uncounted),
        row(model="own", seed=1, **uncounted),
    ]
    report.append_rows(csv, rows[:2])
    first = csv.read_text()
    report.append_rows(csv, rows[2:])
    assert csv.read_text().startswith(first) and ",3803832,7865344,l1," in first
    assert csv.read_text().count(",0.9,,,l1,") == 2
    assert report.read_rows(csv)["macs"].tolist() == [3803832, 3803832, pd.NA, pd.NA]
    assert report.summarised(report.read_rows(csv))["n"].tolist() == [2, 2]
    figure = plots._curve(report.read_rows(csv))
    assert [len(points(axes)) for axes in figure.axes] == [5, 3]  # one network less
    figure = plots._curve(report.read_rows(csv).query("model == 'own'"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["parameters"]


def test_a_row_without_a_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="row has the columns .*seed; give dataset, model"):
        report.append_rows(tmp_path / "a.csv", [{"seed": 1}])


def test_the_layer_table_shows_filters_and_parameters_before_and_after():
    model = build_scnnb((28, 28, 1), 10)
    lines = table.layer_table(model, prune(model, 0.4)).splitlines()
    assert [line.split() for line in lines] == [
        ["layer", "filters", "parameters"],
        ["conv1", "32", "->", "19", "320", "->", "190"],
        ["norm1", "128", "->", "76"],
        ["conv2", "64", "->", "38", "18,496", "->", "6,536"],
        ["norm2", "256", "->", "152"],
        ["fc1", "4,015,360", "->", "2,384,640"],
        ["fc2", "12,810", "->", "12,810"],
        ["total", "4,047,370", "->", "2,404,404"],
    ]
    assert len({len(line) for line in lines}) == 1


def points(axes):
    """`{label: [x of its points]}`, as they stand in the legend."""
    handles, labels = axes.get_legend_handles_labels()
    lines = [handle[0] if isinstance(handle, tuple) else handle for handle in handles]
    return {label: list(line.get_xdata()) for label, line in zip(labels, lines, strict=True)}


FRONT = "Pareto front: none as small is as accurate"


def test_the_curve_has_a_marker_and_a_ratio_per_mean_and_a_star_per_baseline(tmp_path):
    csv = tmp_path / "a.csv"
    for ratio, size in ((0.8, 1), (0.4, 2), (0.0, 3)):
        report.append_rows(csv, [row(pruning_ratio=ratio, parameters=size, macs=size * 10)])
    report.append_rows(csv, [row(epoch1=5, parameters=5, macs=50)])
    figure = plots._curve(report.read_rows(csv))
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
        report.append_rows(csv, [row(seed=seed, **measured)])
    figure = plots._curve(report.read_rows(csv))
    assert figure.get_suptitle().endswith(
        "mean over 3 seeds; bars: one sample standard deviation up and down"
    )
    for axes in figure.axes:
        bars = [container[2][0].get_segments()[0] for container in axes.containers]
        np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.5, 0.7], [0.6, 0.8]])
    csv.unlink()
    report.append_rows(csv, [row(), row(seed=1), row(pruning_ratio=0.2)])
    title = plots._curve(report.read_rows(csv)).get_suptitle()
    assert "mean over 1 to 2 seeds" in title


def test_exports_have_a_panel_of_their_own_with_a_line_per_format(tmp_path):
    csv = tmp_path / "a.csv"
    report.append_rows(csv, [row(**exported(2.0)), row(pruning_ratio=0.8, **exported())])
    report.append_rows(csv, [row(pruning_ratio=0.2)])
    figure = plots._curve(report.read_rows(csv))
    *_, axes = figure.axes
    assert len(figure.axes) == 3
    assert points(axes) == {
        f"exported, {name}": [number, 2 * number] for number, name in enumerate(EXPORTS, 1)
    }
    assert [text.get_text() for text in axes.texts] == ["0.8", "0.4"] * 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "exported, litert_int8" in labels and "baseline" in labels
    missing = dict.fromkeys(["onnx_bytes", "onnx_accuracy"], float("nan"))
    report.append_rows(csv, [row(**exported(2.0) | missing)])
    *_, axes = plots._curve(report.read_rows(csv)).axes
    assert points(axes)["exported, onnx"] == [3]


def test_the_pareto_front_is_what_no_point_as_small_equals():
    points = [(3, 0.9), (1, 0.5), (2, 0.5), (2, 0.7), (4, 0.9), (5, 0.95), (1, 0.4), (3, 0.9)]
    assert plots.pareto_front(points) == [(1, 0.5), (2, 0.7), (3, 0.9), (5, 0.95)]


def test_layer_ratios_of_a_file_are_told_in_a_few_characters(tmp_path):
    csv = tmp_path / "a.csv"
    many = {f"conv{n}": 0.1 for n in range(50)}
    for ratios in (json.dumps(many), json.dumps(many | {"conv1": 0.2}), "vgg16-A"):
        report.append_rows(csv, [row(layer_ratios=ratios)])
    labels = [label for label in points(plots._curve(report.read_rows(csv)).axes[0])]
    labels = [label for label in labels if label.startswith("pruned")]
    assert "pruned, retrained: layer_ratios vgg16-A" in labels
    assert len(labels) == 3
    assert all(len(label) < 45 for label in labels)


def test_many_layers_leave_room_for_the_curves(tmp_path):
    csv, norms_csv = tmp_path / "a.csv", tmp_path / "norms.csv"
    for number in range(57):
        rows = sensitivities([0.5, 0.4], layers=f"conv{number}")
        report.append_rows(csv, rows, report.SENSITIVITY)
    norm = {name: rows[0][name] for name in report.BASELINE_SETTINGS} | {"layer": "conv0"}
    norms = [norm | {"filter": 0, "l1_norm": 0.0}]  # a dead layer
    report.append_rows(norms_csv, norms, report.NORMS)
    plots.draw_sensitivity(csv, norms_csv, tmp_path / "a.png")  # a warning would be an error
    figure = plots._sensitivity(
        report.read_rows(csv, report.SENSITIVITY), report.read_rows(norms_csv, report.NORMS)
    )
    figure.draw_without_rendering()
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.width > 200 and box.height > 200


def test_every_control_has_a_labelled_line_of_its_own_and_one_baseline(tmp_path):
    csv = tmp_path / "a.csv"
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    for changes in ({}, {"criterion": "random"}, {"criterion": "largest"}, scratch):
        for ratio, parameters in ((0.4, 2), (0.8, 1)):
            report.append_rows(csv, [row(pruning_ratio=ratio, parameters=parameters, **changes)])
    report.append_rows(csv, [row(pruning_ratio=0.0, parameters=4047370)])
    axes, _ = plots._curve(report.read_rows(csv)).axes
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
    report.append_rows(csv, [row()])
    assert plots._curve(report.read_rows(csv)).axes[0].get_xscale() == "linear"
    small = {"parameters": 90_000, "baseline_parameters": 270_000, "layer_ratios": "resnet56-A"}
    report.append_rows(csv, [row(model="resnet56", **small)])
    axes, of_macs = plots._curve(report.read_rows(csv)).axes
    assert (axes.get_xscale(), of_macs.get_xscale()) == ("log", "linear")
    assert {
        "pruned, retrained: model scnnb",
        "pruned, retrained: model resnet56, layer_ratios resnet56-A",
    } <= set(points(axes))


def sensitivities(accuracies, **changes):
    """Rows of one layer, 0.1, 0.2, ... of its filters removed."""
    row = {"dataset": "fashion", "model": "scnnb", "seed": 0, "learning_rate": 0.001}
    row |= {"batch_size": 128, "epoch1": 35, "optimizer": "adam", "criterion": "l1"}
    row |= {
        "augment": "",
        "content": "0123456789ab",
        "pixels": "0..255",
        "precision": "float32",
        "coupled": "joint",
        "images": "test",
        "baseline_accuracy": 0.9,
    }
    row |= {"finished_at": "2026", "keras": "3", "tensorflow": "2"} | changes
    return [
        row | {"pruning_ratio": number / 10, "accuracy": accuracy}
        for number, accuracy in enumerate(accuracies, 1)
    ]


def test_the_figure_of_sensitivities_has_a_row_per_network_and_a_panel_per_criterion(tmp_path):
    csv, norms_csv = tmp_path / "a.csv", tmp_path / "norms.csv"
    resnet = {"model": "resnet20"}
    for accuracies, changes in (
        ([0.8, 0.7], {"layers": "conv1"}),
        ([0.6, 0.5], {"layers": "conv2"}),
        ([0.4, 0.3], {"layers": "conv2", "criterion": "random"}),
        ([0.2, 0.1], {"layers": "conv1 conv3 conv5"} | resnet),
    ):
        report.append_rows(csv, sensitivities(accuracies, **changes), report.SENSITIVITY)
    shared = {name: sensitivities([0])[0][name] for name in report.BASELINE_SETTINGS}
    norms = [
        shared | {"layer": layer, "filter": number, "l1_norm": norm} | changes
        for layer, of_layer, changes in (("conv1", [1.0, 4, 2], {}), ("conv3", [3.0], resnet))
        for number, norm in enumerate(of_layer)
    ]
    report.append_rows(norms_csv, norms, report.NORMS)
    rows = report.read_rows(csv, report.SENSITIVITY)
    figure = plots._sensitivity(rows, report.read_rows(norms_csv, report.NORMS))
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
    plots.draw_sensitivity(csv, norms_csv, tmp_path / "a.png")
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (1200, 2100)


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path):
    report.append_rows(tmp_path / "a.csv", [row(dataset="\u6a21\u578b")])
    plots.draw_curve(tmp_path / "a.csv", tmp_path / "a.png")  # a warning would be an error
    assert (tmp_path / "a.png").exists()


def test_the_curve_is_a_picture_that_can_be_read(tmp_path):
    report.append_rows(tmp_path / "a.csv", [row(dataset="a$_$b")])
    report.append_rows(tmp_path / "a.csv", [row(dataset="$^$")])
    plots.draw_curve(tmp_path / "a.csv", tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")
    height, width = picture.shape[:2]
    assert width == 1800 and height > 750  # a line for every label
    assert picture[..., :3].std() > 0.01
    assert not list(tmp_path.glob("*partial*"))
