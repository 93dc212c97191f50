"""experiment/markdown.py: the table of a study for people."""

import re

import pytest

from experiment import markdown, record, summary
from tests.rows import recalibrated, row


@pytest.fixture
def page(tmp_path):
    """The page of rows."""

    def of(*rows):
        record.append_rows(tmp_path / "a.csv", rows)
        return markdown.page(summary.summarised(record.read_rows(tmp_path / "a.csv")))

    return of


def test_a_study_is_a_row_per_setting_with_mean_deviation_and_change(page):
    half = {"parameters": 2_000_000, "baseline_parameters": 4_000_000, "macs": 9000}
    half |= {"baseline_macs": 36_000, "baseline_accuracy": 0.5}
    text = page(
        row(seed=0, accuracy=0.25, **half),
        row(seed=1, accuracy=0.75, **half),
        row(seed=0, accuracy=0.625, criterion="random", **half),
        row(accuracy=0.4, pruning_ratio=0.0, **half | {"parameters": 4_000_000, "macs": 36_000}),
    )
    # deviation of 0.25 and 0.75: 0.25 * 2 ** 0.5 = 0.35355
    heading, _, *lines, empty, last = text.splitlines()
    assert empty == ""
    assert last.startswith("The baseline had fewer epochs. So compare ") and "ratio 0.0" in last
    assert heading == "**scnnb on fashion**, 35 epochs of training, 30 of retraining"
    assert len({line.index("|", 1) for line in lines}) == 1  # aligned
    assert [re.sub(" *[|] *", "|", line) for line in lines] == [
        "|network|filters removed|parameters|MACs|test accuracy (%)"
        "|change from baseline (points)|n|",
        lines[1].replace(" ", ""),
        "|baseline||4.00 M|36.0 k|50.00 ± 0.00||2|",
        "|not pruned, retrained|0 %|4.00 M|36.0 k|40.00|-10.00|1|",
        "|criterion l1|40 %|2.00 M (-50.0 %)|9,000 (-75.0 %)|50.00 ± 35.36|+0.00|2|",
        "|criterion random|40 %|2.00 M (-50.0 %)|9,000 (-75.0 %)|**62.50**|+12.50|1|",
    ]


def test_targets_stand_from_the_largest_network_to_the_smallest(page):
    sizes = {"macs 0.3": 1_000_000, "macs 0.5": 2_000_000}
    rows = [row(pruning_ratio=None, target=each, parameters=n) for each, n in sizes.items()]
    removed = [
        line.split("|")[2].strip() for line in page(*rows).splitlines() if "| pruned" in line
    ]
    assert removed == ["to 50 % of the MACs", "to 30 % of the MACs"]


def test_every_network_has_a_table_and_a_best_accuracy(page):
    better = {"baseline_accuracy": 0.5, "accuracy": 0.75}
    text = page(row(**better), row(model="a|b.keras", epoch1=0, accuracy=0.25))
    assert text.count("| baseline ") == 2
    assert "**scnnb on fashion**, 35 epochs of training, 30 of retraining\n" in text
    assert "**a|b.keras on fashion**, 30 of retraining\n" in text  # trained before
    assert text.count("**75.00**") == text.count("**90.00**") == 1 == text.count(" 25.00 ")


def test_a_network_that_was_only_pruned_is_not_called_retrained(page):
    text = page(row(epoch2=0), row(epoch2=0, pruning_ratio=0.0))
    assert text.startswith("**scnnb on fashion**, 35 epochs of training, not retrained\n")
    assert [line.split("|")[1].strip() for line in text.splitlines()[4:]] == [
        *("baseline", "not pruned", "pruned")
    ]


def test_macs_that_are_not_counted_are_empty_and_exports_have_their_bytes(page):
    text = page(row(macs=None, baseline_macs=None, litert_int8_bytes=2_450_000.0))
    heads, _, baseline, pruned = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:-2]
    ]
    assert heads[-2:] == ["n", "litert-int8 (bytes)"]
    assert (baseline[3], pruned[3]) == ("", "")
    assert (baseline[-1], pruned[-1]) == ("", "2.45 M")


def test_recalibrated_accuracies_have_a_column_if_a_row_has_them(page):
    assert "recalibrated" not in page(row())
    better = {"recalibrated_accuracy": 0.9}
    text = page(
        *(row(seed=seed, **recalibrated() | changes) for seed, changes in ((0, {}), (1, better))),
        row(pruning_ratio=0.5),
    )
    heads, _, *lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:-2]
    ]
    assert heads[-2:] == ["n", "recalibrated (%)"]
    # deviation of 0.7 and 0.9: 0.1 * 2 ** 0.5
    assert [line[-1] for line in lines] == ["80.00 ± 0.00", "80.00 ± 14.14", ""]


def test_a_bar_in_a_cell_does_not_end_it():
    assert markdown.table(["a|b", "c"], [["d", "e"]]) == [
        r"| a\|b |   c |",
        "| ---- | --: |",
        "| d    |   e |",
    ]
