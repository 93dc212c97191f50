"""experiment/progress.py: what is left of a study, and how long it may take."""

import os

import numpy as np
import pytest

from experiment import progress, study
from experiment.preflight import Size, Sizes
from experiment.settings import BaselineSettings, Recipe, TrialSettings

SIZES = Sizes(Size(9, 300), {0.0: [Size(9, 300)], 0.5: [Size(5, 100)]})


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A Study of two seeds at 0.5 and 0.0, 7 + 60 epochs."""
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    recipe = Recipe(learning_rate=0.1, batch_size=1, epochs=7)
    trials = [
        TrialSettings(
            baseline=BaselineSettings(dataset="d", model="m", seed=seed, recipe=recipe),
            pruning_ratio=ratio,
            epoch2=60,
            retrain_learning_rate=0.1,
        )
        for seed in (0, 1)
        for ratio in (0.5, 0.0)
    ]
    made = study.study(trials)
    for baseline in made.baselines:
        baseline.entry.path.parent.mkdir()
    return made


def under_way(subject, epoch_seconds):
    """A backup of so many epochs, which took longer as a whole."""
    done = {"done": len(epoch_seconds), "seconds": 1000.0, "epoch_seconds": epoch_seconds}
    np.savez(subject.entry.backup_file(), **done)


def store_record(subject, **measured):
    """Store the record of a baseline or trial; what is not given is 0 or empty."""
    kinds, *_ = subject.entry.kinds
    subject.entry.save_record({name: kind() for name, kind in kinds.items()} | measured)


def test_the_time_left_is_that_of_the_usual_epoch_of_each_network_left(grid):
    assert progress.remaining(grid, SIZES) == (0, 2 * 7 + 4 * 60, None)
    assert progress.time_left(grid, SIZES) == ""
    (baseline, other), (half, whole, other_half, other_whole) = grid.baselines, grid.trials
    under_way(baseline, [4.0, 90.0, 5.0])
    left = progress.remaining(grid, SIZES)
    assert left == (0, 251, 251 * 5)  # pruned ones as long: none is seen
    store_record(baseline, seconds=28.0)  # an epoch of 4
    os.remove(baseline.entry.backup_file())
    under_way(half, [2.0])
    left = progress.remaining(grid, SIZES)
    assert left == (0, 246, 59 * 2 + 60 * 4 + 7 * 4 + 60 * 2 + 60 * 4)
    assert progress.time_left(grid, SIZES) == "about 12 min left"  # 746 seconds
    assert progress.in_words(grid, SIZES) == "0 of 4 trials done, 246 epochs left, about 12 min"
    store_record(other, seconds=28.0)
    for trial in (half, whole, other_half):
        store_record(trial, retrain_seconds=120.0)
    under_way(other_whole, [3.0] * 59)
    assert progress.in_words(grid, SIZES) == (
        "3 of 4 trials done, 1 epoch left, less than a minute"
    )
    left = progress.remaining(grid, SIZES, counts=lambda subject: subject != other_half)
    assert left[:2] == (2, 61)


def test_side_by_side_it_takes_no_less_than_a_baseline_and_its_longest_trial(grid):
    under_way(grid.baselines[0], [10.0])
    total = 10 * (6 + 7 + 4 * 60)
    for places, seconds in ((1, total), (2, total / 2), (4, 670), (100, 670)):
        assert progress.remaining(grid, SIZES, at_once=places) == (0, 253, seconds)


def test_the_time_of_trainings_is_that_of_the_usual_epoch_seen_at_their_size():
    seen = [(100, [10.0, 150.0]), (300, [25.0]), (100, [20.0])]  # median 20 at 100 MACs
    for left, seconds in (
        ([(3, 100)], 60),
        ([(2, 200)], 45),  # half way
        ([(2, 50), (1, 400)], 2 * 20 + 25),
        ([], 0),
    ):
        assert progress.training_seconds(left, seen) == seconds
