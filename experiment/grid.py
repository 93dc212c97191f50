"""Settings of all trials of a call."""

import dataclasses
import itertools
from pathlib import Path

from experiment.recipe import Recipe
from experiment.settings import BaselineSettings, TrialSettings, unpruned


def trials(given, *, dataset, content):
    """Settings of all trials of a call, seed by seed.

    Args:
        given: dict of the parsed arguments and the backend, by the names of the fields; `seed`,
            `pruning_ratio` and `criterion` are lists; `trained` says that the network is.
        dataset: name of the dataset.
        content: as `BaselineSettings` has it.

    Returns:
        List of TrialSettings.
    """
    how = {field.name: given[field.name] for field in dataclasses.fields(Recipe)}
    if given["trained"]:
        how["epochs"] = 0
    shared = {
        "dataset": dataset,
        "model": Path(given["model"]).name,
        "pixels": given["pixels"],
        "normalize": given["normalize"],
        "validation": given["validation"],
        "backend": given["backend"],
        "content": content,
    }
    baselines = [
        BaselineSettings(seed=seed, recipe=Recipe(**how), **shared)
        for seed in dict.fromkeys(given["seed"])
    ]
    ratios = dict.fromkeys(given["pruning_ratio"])
    return [
        trial
        for baseline, ratio in itertools.product(baselines, ratios)
        for trial in _trials(given, baseline, ratio)
    ]


def _trials(given, baseline: BaselineSettings, ratio):
    """Trials of one baseline and ratio: one for each criterion, and the control."""
    shared = ["layer_ratios", "coupled", "combine", "dense", "round_to"]
    shared += ["strategy", "compensate", "schedule", "steps"]
    shared += ["epoch2", "retrain_learning_rate", "retrain_schedule"]
    shared += ["distill", "distill_temperature"]
    trial = TrialSettings(
        baseline=baseline, pruning_ratio=ratio, **{name: given[name] for name in shared}
    )
    if ratio or any(trial.ratios.values()):
        for criterion in given["criterion"]:
            yield dataclasses.replace(trial, criterion=criterion)
    else:  # nothing is removed, whatever the ranking
        trial = unpruned(trial)
        yield trial
    if given["control"]:
        yield dataclasses.replace(
            trial,
            control=given["control"],
            combine=TrialSettings.combine,
            criterion="",
            strategy="",
            compensate="",
            schedule="",
            steps=0,
            retrain_learning_rate=baseline.recipe.learning_rate,
            retrain_schedule=baseline.recipe.lr_schedule,
            distill=0.0,
            distill_temperature=0.0,
        )
