"""experiment/grid.py: the settings of all trials of a call."""

import dataclasses

import pytest

from experiment import grid
from tests.test_settings import BASELINE, CONTROL, RECIPE, TRIAL

GIVEN = {
    "dataset": "fashion",
    "model": "scnnb",
    "optimizer": "adam",
    "learning_rate": 0.001,
    "lr_schedule": "constant",
    "warmup": 0,
    "weight_decay": 0.0,
    "momentum": 0.0,
    "nesterov": "",
    "batch_size": 128,
    "augment": "",
    "label_smoothing": 0.0,
    "class_weights": "",
    "precision": "float32",
    "best_epoch": "",
    "epochs": 35,
    "pixels": "0..1",
    "normalize": "",
    "validation": 0.0,
    "backend": "tensorflow",
    "pruning_ratio": [0.4],
    "target": "",
    "layer_ratios": "",
    "ranking": "uniform",
    "keep": 0.0,
    "coupled": "joint",
    "combine": "sum",
    "dense": "",
    "round_to": 1,
    "criterion": ["l1"],
    "strategy": "independent",
    "compensate": "",
    "schedule": "one-shot",
    "steps": 0,
    "control": "",
    "epoch2": 30,
    "retrain_learning_rate": 0.001,
    "retrain_schedule": "constant",
    "distill": 0.0,
    "distill_temperature": 0.0,
    "seed": [3],
    "trained": False,
}


def trials(**changes):
    return grid.trials(GIVEN | changes, dataset="fashion", content="0123456789ab")


def in_short(trials):
    return [(t.baseline.seed, t.pruning_ratio, t.criterion, t.control) for t in trials]


def test_a_call_of_one_ratio_is_one_trial():
    assert trials() == [TRIAL]


def test_the_grid_is_seeds_by_ratios_by_criteria_each_once():
    made = trials(seed=[1, 0, 1], pruning_ratio=[0.8, 0.4, 0.8], criterion=["l2", "l1"])
    assert in_short(made) == [
        (seed, ratio, criterion, "")
        for seed in (1, 0)
        for ratio in (0.8, 0.4)
        for criterion in ("l2", "l1")
    ]


def test_a_ratio_of_nothing_is_one_trial_with_the_usual_ranking():
    made = trials(
        pruning_ratio=[0.0, 0.4],
        criterion=["l2", "random"],
        strategy="greedy",
        compensate="compensate",
        combine="max",
        dense="dense",
        round_to=8,
        ranking="global",
        keep=0.1,
    )
    assert in_short(made) == [(3, 0.0, "l1", ""), (3, 0.4, "l2", ""), (3, 0.4, "random", "")]
    assert made[0] == dataclasses.replace(TRIAL, pruning_ratio=0.0)
    assert [each.strategy for each in made] == ["independent", "greedy", "greedy"]
    assert [each.compensate for each in made] == ["", "compensate", "compensate"]


@pytest.mark.parametrize(
    ("ratios", "criteria"), [('{"conv1": 0.5}', ["l2", "random"]), ('{"conv1": 0}', ["l1"])]
)
def test_layer_ratios_alone_are_ranked_if_any_of_them_removes_something(ratios, criteria):
    made = trials(pruning_ratio=[0.0], layer_ratios=ratios, criterion=["l2", "random"])
    assert [each.criterion for each in made] == criteria
    assert {each.layer_ratios for each in made} == {ratios}


def test_each_ratio_has_one_control_that_is_not_ranked_and_trained_at_the_first_rate():
    made = trials(
        pruning_ratio=[0.0, 0.4],
        criterion=["l1", "l2"],
        compensate="compensate",
        combine="mean",
        schedule="iterative",
        control="scratch",
        retrain_learning_rate=0.0001,
        retrain_schedule="cosine",
        distill=0.9,
        distill_temperature=2.0,
    )
    assert in_short(made) == [
        *[(3, 0.0, "l1", ""), (3, 0.0, "", "scratch")],
        *[(3, 0.4, "l1", ""), (3, 0.4, "l2", ""), (3, 0.4, "", "scratch")],
    ]
    assert made[-1] == CONTROL
    assert [each.retrain_learning_rate for each in made[:1] + made[2:4]] == [0.0001] * 3
    assert [each.distill for each in made] == [0.9, 0.0, 0.9, 0.9, 0.0]


def test_an_amount_of_a_target_stands_in_its_column_and_all_that_may_remain_is_ratio_0():
    made = trials(pruning_ratio=[1, 1.0, 0.5, 0.5], target="macs", criterion=["l2"])
    assert made == [
        dataclasses.replace(TRIAL, pruning_ratio=0.0),
        dataclasses.replace(TRIAL, pruning_ratio=None, target="macs 0.5", criterion="l2"),
    ]
    (made,) = trials(pruning_ratio=[1], target="bytes")
    assert (made.pruning_ratio, made.target) == (None, "bytes 1")


def test_with_global_ranking_each_criterion_has_a_control_of_its_own_shape():
    made = trials(
        pruning_ratio=[0.0, 0.4],
        ranking="global",
        keep=0.1,
        criterion=["l1", "l2"],
        combine="mean",
        compensate="compensate",
        control="scratch",
    )
    assert in_short(made) == [
        *[(3, 0.0, "l1", ""), (3, 0.0, "", "scratch"), (3, 0.4, "l1", ""), (3, 0.4, "l2", "")],
        *[(3, 0.4, "l1", "scratch"), (3, 0.4, "l2", "scratch")],
    ]
    scored = {"ranking": "global", "keep": 0.1, "criterion": "l2", "combine": "mean"}
    assert made[-1] == dataclasses.replace(CONTROL, **scored)


def test_a_baseline_that_is_trained_already_has_no_epochs_and_a_file_its_name():
    (each,) = trials(trained=True, model="some/where/mine.keras")
    recipe = dataclasses.replace(RECIPE, epochs=0)
    assert each.baseline == dataclasses.replace(BASELINE, model="mine.keras", recipe=recipe)
