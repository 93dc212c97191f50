"""experiment/history_figure.py: loss and accuracy of each epoch."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiment import history_figure, record
from tests.rows import row

FOLDER = "fashion_scnnb_lr1e-05_batch128_epochs{}_0..255_seed{}_0123456789ab"


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw rows: `drawn(rows, {file: losses})` -> Figure; an accuracy is a tenth of its loss."""
    monkeypatch.chdir(tmp_path)

    def figure(rows, tables, validation=False):
        for name, losses in tables.items():
            file = Path("results", f"{name}_history.csv")
            file.parent.mkdir(parents=True, exist_ok=True)
            table = {"epoch": 1, "loss": losses, "training_accuracy": np.array(losses) / 10}
            if validation:
                table["validation_accuracy"] = np.array(losses) / 5
            pd.DataFrame(table | {"seconds": 1.0}).to_csv(file, index=False)
        csv = tmp_path / "a.csv"
        record.append_rows(csv, rows)
        return history_figure.histories(record.read_rows(csv))

    return figure


def points(axes):
    """`[x and y of each line with data]`, and the x of vertical lines, which have two of them."""
    return [[*map(list, line.get_data())] for line in axes.lines]


def test_a_retraining_follows_its_baseline_after_a_line_at_the_cut(drawn):
    folder = FOLDER.format(3, 0)
    tables = {f"{folder}/baseline": [3, 2, 1], f"{folder}/pruned0.4_retrained2": [2, 0.5]}
    loss, accuracy = drawn([row(epoch1=3, epoch2=2)], tables).axes
    assert points(loss) == [[[1, 2, 3], [3, 2, 1]], [[4, 5], [2, 0.5]], [[3.5, 3.5], [0, 1]]]
    assert points(accuracy)[:2] == [[[1, 2, 3], [30, 20, 10]], [[4, 5], [20, 5]]]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("training loss", "accuracy (%)")
    assert [line.get_label() for line in loss.lines] == ["baseline", "40% removed", "pruning"]
    assert loss.get_title(loc="left") == (
        "scnnb on fashion, loss and accuracy of each epoch\nn = 1 seed"
    )


def test_a_line_is_the_mean_over_the_seeds_and_the_name_of_a_setting_is_that_of_the_other_figures(
    drawn,
):
    rows = [row(epoch1=1, epoch2=2, seed=seed) for seed in (0, 1)]
    rows += [row(epoch1=1, epoch2=2, criterion="random")]
    tables = {f"{FOLDER.format(1, seed)}/baseline": [4 + seed] for seed in (0, 1)}
    tables |= {
        f"{FOLDER.format(1, seed)}/pruned0.4_retrained2": [2 + seed, 1 + 3 * seed]
        for seed in (0, 1)
    }
    tables[f"{FOLDER.format(1, 0)}/pruned0.4_random_retrained2"] = [7, 6]
    loss, _ = drawn(rows, tables).axes
    assert points(loss)[:3] == [[[1], [4.5]], [[2, 3], [2.5, 2.5]], [[2, 3], [7, 6]]]
    assert [line.get_label() for line in loss.lines[:3]] == [
        *("baseline", "40% removed, criterion l1", "40% removed, criterion random")
    ]
    assert "\nn = 1 to 2 seeds" in loss.get_title(loc="left")
    assert loss.lines[0].get_marker() == "."  # a line of one point would not be seen


def test_a_network_trained_from_new_weights_begins_at_the_first_epoch(drawn):
    scratch = {"control": "scratch", "criterion": "", "strategy": "", "schedule": ""}
    tables = {f"{FOLDER.format(1, 0)}/pruned0.4_scratch_retrained2": [3, 2, 1]}
    loss, _ = drawn([row(epoch1=1, epoch2=2, **scratch)], tables).axes
    assert points(loss)[0] == [[1, 2, 3], [3, 2, 1]]
    assert loss.lines[0].get_label() == "40% removed, new weights"


def test_beside_the_accuracy_on_validation_images_that_in_training_is_thin(drawn):
    tables = {f"{FOLDER.format(2, 0)}/baseline": [2, 1]}
    figure = drawn([row(epoch1=2, epoch2=0)], tables, validation=True)
    loss, accuracy = figure.axes
    assert points(accuracy) == [[[1, 2], [40, 20]], [[1, 2], [20, 10]]]
    first, second = accuracy.lines
    assert first.get_linewidth() > second.get_linewidth()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("baseline", "accuracy on validation images", "accuracy in training")
    ]
    assert len(loss.lines) == 1  # no retraining, and so no line at the cut


def test_each_of_many_lines_has_a_style_of_its_own(drawn):
    ratios = [number / 20 for number in range(1, 11)]
    folder = FOLDER.format(1, 0)
    tables = {f"{folder}/baseline": [3]}
    tables |= {f"{folder}/pruned{ratio}_retrained2": [2, 1] for ratio in ratios}
    loss, _ = drawn([row(epoch1=1, epoch2=2, pruning_ratio=each) for each in ratios], tables).axes
    styles = [(line.get_color(), line.get_linestyle()) for line in loss.lines[:11]]
    assert len(set(styles)) == 11 and [color for color, _ in styles].count("black") == 1


def test_a_target_is_named(drawn):
    folder = FOLDER.format(1, 0)
    tables = {f"{folder}/pruned_bytes5000_retrained2": [2, 1]}
    row_of_target = row(epoch1=1, epoch2=2, pruning_ratio=None, target="bytes 5000")
    loss, _ = drawn([row_of_target], tables).axes
    assert loss.lines[0].get_label() == "to 5,000 bytes"


def test_rows_without_histories_are_not_drawn(drawn):
    assert drawn([row()], {}) is None
