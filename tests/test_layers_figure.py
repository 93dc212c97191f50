"""experiment/layers_figure.py: the filters that each layer keeps."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiment import layers_figure, record
from tests.rows import row

FOLDER = "fashion_scnnb_lr1e-05_batch128_epochs35_0..255_seed{}_0123456789ab"
BEFORE = [32, 64]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw rows: `drawn(rows, {file: filters after pruning})` -> Figure."""
    monkeypatch.chdir(tmp_path)

    def figure(rows, tables, before=BEFORE):
        for name, after in tables.items():
            file = Path("results", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            layers = [f"conv{number}" for number in range(1, len(before) + 1)]
            table = {"layer": layers, "filters_before": before, "filters_after": after}
            others = [{"layer": "fc1", "parameters_after": 10}, {"layer": "total"}]
            pd.concat([pd.DataFrame(table), pd.DataFrame(others)]).to_csv(file, index=False)
        csv = tmp_path / "a.csv"
        record.append_rows(csv, rows)
        return layers_figure.layers(record.read_rows(csv))

    return figure


def steps(axes):
    """`{label: the heights of its steps}`."""
    return {each.get_label(): each.get_data().values.tolist() for each in axes.patches}


def test_every_ratio_has_a_line_of_steps_over_the_filters_before_pruning(drawn):
    folder = FOLDER.format(0)
    rows = [row(pruning_ratio=ratio) for ratio in (0.8, 0.4, 0.0, 0.2)]
    tables = {
        f"{folder}/pruned0.8_retrained30_layers.csv": [6, 12],
        f"{folder}/pruned0.4_retrained30_layers.csv": [19, 38],
        f"{folder}/pruned0.0_retrained30_layers.csv": BEFORE,  # no filter is removed
    }
    (axes,) = drawn(rows, tables).axes
    assert steps(axes) == {
        "before pruning": BEFORE,
        "40% removed": [19, 38],
        "80% removed": [6, 12],
    }
    assert list(steps(axes))[1] == "40% removed"  # the line with most filters first
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "conv2"]
    assert (axes.get_ylabel(), axes.get_ylim()[0]) == ("filters", 0)
    assert axes.get_title(loc="left") == "scnnb on fashion, filters of each layer"
    colors = [np.mean(each.get_edgecolor()[:3]) for each in axes.patches[1:]]
    assert colors[0] < colors[1] - 0.2  # also if printed in grey


def test_networks_of_the_same_shape_have_one_line_for_all_seeds_and_criteria(drawn):
    rows = [row(seed=seed, criterion=name) for seed in (0, 1) for name in ("l1", "random")]
    tables = {
        f"{FOLDER.format(seed)}/pruned0.4_{name}retrained30_layers.csv": [19, 38]
        for seed in (0, 1)
        for name in ("", "random_")
    }
    (axes,) = drawn(rows, tables).axes
    assert steps(axes).keys() == {"before pruning", "40% removed"}


def test_labels_name_layer_ratios_and_the_treatment_of_coupled_layers(drawn):
    rows = [row(layer_ratios="vgg16-A", pruning_ratio=0.0), row(), row(coupled="skip")]
    tables = {
        f"{FOLDER.format(0)}/{name}_retrained30_layers.csv": [number, 10]
        for number, name in enumerate(("pruned0.0_vgg16-A", "pruned0.4", "pruned0.4_skip"), 1)
    }
    (axes,) = drawn(rows, tables).axes
    assert steps(axes).keys() == {
        "before pruning",
        "vgg16-A, coupled joint",
        "40% removed, coupled joint",
        "40% removed, coupled skip",
    }


def test_labels_name_what_is_pruned_and_rounded_if_it_differs(drawn):
    rows = [row(pruning_ratio=0.0), row(round_to=8), row(round_to=8, dense="dense")]
    tables = {
        f"{FOLDER.format(0)}/{name}_retrained30_layers.csv": [16, after]
        for name, after in (("pruned0.4_round8", 64), ("pruned0.4_dense-layers_round8", 32))
    }
    (axes,) = drawn(rows, tables).axes
    assert steps(axes) == {
        "before pruning": BEFORE,
        "40% removed": [16, 64],
        "40% removed, dense": [16, 32],
    }


def test_with_global_ranking_criteria_differ_in_shape_and_the_first_seed_is_drawn(drawn):
    together = {"ranking": "global", "keep": 0.1}
    rows = [row(), *(row(criterion=c, seed=s, **together) for c in ("l1", "l2") for s in (0, 1))]
    tables = {
        f"{FOLDER.format(seed)}/pruned0.4_{name}_retrained30_layers.csv": [number, 38 + seed]
        for seed in (0, 1)
        for number, name in enumerate(("global", "global_l2"), 10)
    }
    (axes,) = drawn(rows, tables).axes
    assert steps(axes) == {
        "before pruning": BEFORE,
        "40% removed, ranking global, criterion l1": [10, 38],
        "40% removed, ranking global, criterion l2": [11, 38],
    }


def test_the_names_of_many_layers_do_not_overlap(drawn):
    table = {f"{FOLDER.format(0)}/pruned0.4_retrained30_layers.csv": [10] * 57}
    figure = drawn([row()], table, before=[16] * 57)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) > 15
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_rows_without_a_table_are_not_drawn(drawn):
    assert drawn([row()], {}) is None
    folder = FOLDER.format(0).replace("scnnb", "other")
    tables = {f"{folder}/pruned0.4_retrained30_layers.csv": [19, 38]}
    (axes,) = drawn([row(model="other")], tables).axes
    assert axes.get_title(loc="left").startswith("other on fashion")


def test_of_a_long_name_of_a_layer_only_the_end_is_shown():
    assert layers_figure._short("backbone/conv1") == "conv1"
    assert (
        layers_figure._short("block_" * 9 + "expand_depthwise")
        == "...pand_depthwise"[:3] + ("block_" * 9 + "expand_depthwise")[-17:]
    )
