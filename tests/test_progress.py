"""experiment/progress.py: the remaining part of a study, and the time left."""

import dataclasses
import os

import numpy as np
import pytest

from experiment import progress, study
from experiment.preflight import Size, Sizes
from tests import studies

SIZES = Sizes(Size(9, 300), {("ratio", 0.0): [Size(9, 300)], ("ratio", 0.5): [Size(5, 100)]}, {})


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A Study of two seeds and the ratios 0.5 and 0.0, with 7 + 60 epochs."""
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    return studies.of_two_seeds(
        studies.recipe(learning_rate=0.1, batch_size=1, epochs=7), (0.5, 0.0), 60
    )


def under_way(subject, epoch_seconds):
    """Write a backup with these seconds of epochs, and 1000 seconds in total."""
    done = {"done": len(epoch_seconds), "seconds": 1000.0, "epoch_seconds": epoch_seconds}
    np.savez(subject.entry.backup_file(), **done)


def store_record(subject, **measured):
    """Store the record of a baseline or trial; values that are not given are 0 or empty."""
    kinds, *_ = subject.entry.kinds
    subject.entry.save_record({name: kind() for name, kind in kinds.items()} | measured)


def test_the_time_left_is_the_sum_of_the_usual_epochs_of_each_network(grid):
    assert progress.remaining(grid, SIZES) == (0, 2 * 7 + 4 * 60, None)
    assert progress.time_left(grid, SIZES) == ""
    (baseline, other), (half, full, other_half, other_full) = grid.baselines, grid.trials
    under_way(baseline, [4.0, 90.0, 5.0])
    left = progress.remaining(grid, SIZES)
    assert left == (0, 251, 251 * 5)  # also for pruned networks, before one is trained
    store_record(baseline, seconds=28.0)  # an epoch of 4
    os.remove(baseline.entry.backup_file())
    under_way(half, [2.0])
    left = progress.remaining(grid, SIZES)
    assert left == (0, 246, 59 * 2 + 60 * 4 + 7 * 4 + 60 * 2 + 60 * 4)
    assert progress.time_left(grid, SIZES) == "about 12 min left"  # 746 seconds
    assert progress.in_words(grid, SIZES) == "0 of 4 trials done, 246 epochs left, about 12 min"
    store_record(other, seconds=28.0)
    for trial in (half, full, other_half):
        store_record(trial, retrain_seconds=120.0)
    under_way(other_full, [3.0] * 59)
    assert progress.in_words(grid, SIZES) == (
        "3 of 4 trials done, 1 epoch left, less than a minute"
    )
    left = progress.remaining(grid, SIZES, counts=lambda subject: subject != other_half)
    assert left[:2] == (2, 61)


def test_trials_that_are_not_retrained_take_no_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    recipe = studies.recipe(learning_rate=0.1, batch_size=1, epochs=7)
    grid = studies.of_two_seeds(recipe, (0.5, 0.0), 0)
    store_record(grid.trials[0], retrain_seconds=0.0)
    under_way(grid.baselines[0], [10.0])
    assert progress.remaining(grid, SIZES) == (1, 6 + 7, 130)
    for baseline in grid.baselines:
        store_record(baseline, seconds=70.0)
    assert progress.in_words(grid, SIZES) == "1 of 4 trials done, 0 epochs left"


def test_each_step_of_a_stepwise_schedule_takes_its_own_epochs_at_its_own_size(grid):
    half, *_ = grid.trials
    settings = dataclasses.replace(half.settings, schedule="stepwise", steps=4, epoch2=6)
    cuts = [Size(9, macs) for macs in (250, 200, 150, 100)]
    sizes = Sizes(Size(9, 300), {("ratio", 0.5): cuts}, {})
    trial = dataclasses.replace(half, settings=settings)
    assert progress.trainings(trial, sizes) == [(1, 250), (1, 200), (2, 150), (2, 100)]
    trial = dataclasses.replace(half, settings=dataclasses.replace(settings, distill=0.9))
    # the full network computes forwards, too: a third of the time of its own step
    assert progress.trainings(trial, sizes) == [(1, 350), (1, 300), (2, 250), (2, 200)]


def test_a_dry_run_says_which_ratio_reaches_a_target(grid, capsys):
    target = {"pruning_ratio": None, "target": "macs 0.5", "ranking": "uniform"}
    settings = [dataclasses.replace(each.settings, **target) for each in grid.trials]
    amount = ("macs", 0.5)
    # of 2 / 3, another filter would go with 0.666667
    progress.show(
        study.study(settings), Sizes(Size(90, 300), {amount: [Size(30, 150)]}, {amount: 2 / 3})
    )
    line = (
        "pruned to 50 % of the MACs (ratio 0.666666): parameters 90 -> 30 (-66.7 %), "
        "MACs 300 -> 150 (-50.0 %)\n"
    )
    assert line in capsys.readouterr().out
    settings = [dataclasses.replace(each, ranking="global", keep=0.1) for each in settings]
    progress.show(study.study(settings), Sizes(Size(90, 300), {amount: [Size(30, 150)]}, {}))
    assert (
        line.replace(" (ratio 0.666666)", "")
        + "with global ranking, by the L1 norms of the weights"
        in capsys.readouterr().out
    )


def test_parallel_trials_take_at_least_the_time_of_a_baseline_and_its_longest_trial(grid):
    under_way(grid.baselines[0], [10.0])
    total = 10 * (6 + 7 + 4 * 60)
    for places, seconds in ((1, total), (2, total / 2), (4, 670), (100, 670)):
        assert progress.remaining(grid, SIZES, at_once=places) == (0, 253, seconds)


def test_the_time_of_an_epoch_is_the_median_at_its_macs_or_is_interpolated():
    seen = [(100, [10.0, 150.0]), (300, [25.0]), (100, [20.0])]  # median 20 at 100 MACs
    for left, seconds in (
        ([(3, 100)], 60),
        ([(2, 200)], 45),  # half way
        ([(2, 50), (1, 400)], 2 * 20 + 25),
        ([], 0),
    ):
        assert progress.training_seconds(left, seen) == seconds
