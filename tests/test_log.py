"""experiment/log.py: texts for people."""

import pytest

from experiment import log
from tests.rows import recalibrated, row


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


def test_a_trial_is_two_lines_with_percent_removed_and_points_lost():
    main_job = row(baseline_accuracy=0.9235, pruned_accuracy=0.8439, accuracy=0.9123)
    assert log.in_words(main_job, (96, 57)) == (
        "pruned 40 % by l1 (seed 0): filters 96 -> 57 (-40.6 %), parameters 4.05 M -> 2.40 M "
        "(-40.6 %), MACs 7.87 M -> 3.80 M (-51.6 %)\n"
        "test accuracy: baseline 92.35 %, after pruning 84.39 % (-7.96 points), after retraining "
        "91.23 % (-1.12 points)"
    )
    measured = log.in_words(main_job | {"epoch2": 0, "accuracy": 0.8439})
    assert measured.endswith("baseline 92.35 %, after pruning 84.39 % (-7.96 points)")
    uncounted = log.in_words(main_job | {"macs": None, "baseline_macs": None})
    assert ": parameters 4.05 M -> 2.40 M (-40.6 %)\n" in uncounted
    scratch = {"control": "scratch", "strategy": "", "schedule": "", "epoch2": 0}
    control = log.in_words(main_job | scratch)
    assert control.startswith("same shape as pruned 40 %, new weights (seed 0): parameters ")
    assert control.endswith(
        "baseline 92.35 %, after training from new weights 91.23 % (-1.12 points)"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "pruned 40 % by l1 (seed 0)"),
        ({"pruning_ratio": 0.125, "criterion": "random"}, "pruned 12.5 % by random (seed 0)"),
        ({"pruning_ratio": 0.0}, "not pruned (seed 0)"),
        ({"pruning_ratio": 0.0, "layer_ratios": "vgg16-A"}, "pruned vgg16-A by l1 (seed 0)"),
        ({"layer_ratios": "vgg16-A"}, "pruned vgg16-A, rest 40 % by l1 (seed 0)"),
        (
            {"coupled": "skip", "strategy": "greedy", "retrain_learning_rate": 0.5, "seed": 3},
            "pruned 40 % by l1 (coupled skip, strategy greedy, retrain learning rate 0.5, seed 3)",
        ),
        ({"compensate": "compensate"}, "pruned 40 % by l1 (compensate, seed 0)"),
        (
            {"pruning_ratio": None, "target": "macs 0.5"},
            "pruned to 50 % of the MACs by l1 (seed 0)",
        ),
        (
            {"pruning_ratio": None, "target": "bytes 500000", "layer_ratios": "vgg16-A"},
            "pruned vgg16-A, in all to 500,000 bytes by l1 (seed 0)",
        ),
        (
            {"ranking": "global", "keep": 0.1},
            "pruned 40 % by l1 (ranking global, seed 0)",
        ),
        (
            {"ranking": "global", "keep": 0.3, "control": "scratch", "criterion": "l2"},
            "same shape as pruned 40 % by l2, new weights (ranking global, keep 0.3, seed 0)",
        ),
        (
            {"combine": "max", "dense": "dense", "round_to": 8},
            "pruned 40 % by l1 (combine max, dense, round to 8, seed 0)",
        ),
    ],
)
def test_only_settings_that_are_not_the_usual_are_named(changes, words):
    assert log.how(row(**changes)) == words


def test_recalibrated_accuracies_are_one_line_without_those_that_are_missing():
    start = (
        "pruned 40 % by l1 (seed 0), recalibrated on 10,000 images: test accuracy: baseline 80.00 %"
    )
    end = "after retraining 70.00 % (-10.00 points)"
    measured = row(**recalibrated())
    assert log.recalibrated(measured) == f"{start}, after pruning 60.00 % (-20.00 points), {end}"
    missing = {"recalibrated_pruned_accuracy": float("nan")}
    assert log.recalibrated(measured | missing) == f"{start}, {end}"


def test_a_stage_of_an_iterative_schedule_is_one_line():
    stage = {"layers": "conv1 conv2", "parameters": 300, "before": 400}
    stage |= {"pruned_accuracy": 0.5, "accuracy": 0.6251}
    pruned = (
        "stage conv1 conv2: parameters 400 -> 300 (-25.0 %), test accuracy 50.00 % after pruning"
    )
    assert log.stage(**stage, retrained=True) == f"{pruned}, 62.51 % after retraining"
    assert log.stage(**stage, retrained=False) == pruned


@pytest.mark.parametrize(
    ("number", "words"),
    [(7, "7"), (9216, "9,216"), (57_150, "57.1 k"), (4_047_370, "4.05 M"), (41_999_999, "42.0 M")]
    + [(123_456_789, "123 M"), (3.87e9, "3.87 G")],
)
def test_large_numbers_have_a_unit(number, words):
    assert log.amount(number) == words


def test_no_change_of_an_accuracy_has_a_plus():
    assert log.points(-1e-9) == "+0.00 points"


def test_what_did_not_change_says_so():
    assert log.change(7, 7) == "7 (unchanged)"
