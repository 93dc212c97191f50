"""experiment/log.py: what came of a trial, in words."""

import pytest

from experiment import log


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59.9, "less than a minute"),
        (60, "about 1 min"),
        (89, "about 1 min"),
        (12.4 * 60, "about 12 min"),
        (59.4 * 60, "about 59 min"),
        (59.6 * 60, "about 1 h"),
        (64 * 60, "about 1 h"),
        (66 * 60, "about 1 h 10 min"),
        (3 * 3600 + 17 * 60, "about 3 h 20 min"),
        (3 * 3600 + 56 * 60, "about 4 h"),
        (30 * 3600, "about 30 h"),
    ],
)
def test_a_time_is_rounded_for_a_person(seconds, words):
    assert log.duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs")])
def test_one_epoch_is_no_plural(number, words):
    assert log.epochs(number) == words


def test_a_row_in_words_says_what_pruning_cost_and_of_a_control_what_it_came_to():
    row = {"baseline_parameters": 4_047_370, "parameters": 2_404_404, "control": ""}
    row |= {"baseline_accuracy": 0.9, "pruned_accuracy": 0.123456, "accuracy": 0.87654}
    costs = "4,047,370 -> 2,404,404 parameters, test accuracy 0.9000 baseline, "
    assert log.in_words(row) == costs + ("0.1235 right after pruning, 0.8765 after retraining")
    assert log.in_words(row | {"control": "scratch"}) == costs + "0.8765 trained from new weights"
