"""Settings of all trials of a call."""

import dataclasses
import itertools
from pathlib import Path

from experiment.recipe import Recipe
from experiment.settings import BaselineSettings, TrialSettings, unpruned, unranked


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
    amounts = dict.fromkeys(given["pruning_ratio"])
    return [
        trial
        for baseline, amount in itertools.product(baselines, amounts)
        for trial in _trials(given, baseline, amount)
    ]


def _trials(given, baseline: BaselineSettings, amount):
    """Trials of one baseline and amount: one for each criterion, and a control for each shape."""
    ratio, target = _size(given["target"], amount)
    shared = ["layer_ratios", "ranking", "keep", "coupled", "combine", "dense", "round_to"]
    shared += ["strategy", "compensate", "schedule", "steps"]
    shared += ["epoch2", "retrain_learning_rate", "retrain_schedule"]
    shared += ["distill", "distill_temperature"]
    trial = TrialSettings(
        baseline=baseline,
        pruning_ratio=ratio,
        target=target,
        **{name: given[name] for name in shared},
    )
    if trial.target or trial.pruning_ratio or any(trial.ratios.values()):
        ranked = [dataclasses.replace(trial, criterion=each) for each in given["criterion"]]
    else:  # nothing is removed, whatever the ranking
        ranked = [unpruned(trial)]
    yield from ranked
    if given["control"]:
        yield from dict.fromkeys(_control(each, given["control"]) for each in ranked)


def _size(target, amount):
    """The ratio and the target of a trial. If all may remain, it is the trial of ratio 0."""
    if not target:
        return amount, ""
    if target != "bytes" and amount == 1:
        return 0.0, ""
    return None, f"{target} {amount}"


def _control(trial: TrialSettings, kind):
    """The control of a trial: a network of its shape, trained as the baseline."""
    recipe, shape = trial.baseline.recipe, unranked(trial)
    return dataclasses.replace(
        shape,
        control=kind,
        criterion=trial.criterion if trial.ranking == "global" else "",
        strategy="",
        schedule="",
        steps=0,
        retrain_learning_rate=recipe.learning_rate,
        retrain_schedule=recipe.lr_schedule,
        distill=0.0,
        distill_temperature=0.0,
    )
