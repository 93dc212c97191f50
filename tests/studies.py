"""A small Study, not computed yet."""

from experiment import study
from experiment.recipe import Recipe
from experiment.settings import BaselineSettings, TrialSettings


def recipe(**changes):
    """A Recipe of Adam, with what a call without other flags has."""
    return Recipe(weight_decay=0.0, momentum=0.0, **changes)


def of_two_seeds(recipe, ratios, epoch2):
    """A Study of the seeds 0 and 1 whose folders exist; `study.RESULTS` is their parent."""
    trials = [
        TrialSettings(
            baseline=BaselineSettings(dataset="d", model="m", seed=seed, recipe=recipe),
            pruning_ratio=ratio,
            keep=0.0,
            steps=0,
            epoch2=epoch2,
            retrain_learning_rate=0.1,
            retrain_schedule="constant",
            distill_temperature=0.0,
        )
        for seed in (0, 1)
        for ratio in ratios
    ]
    result = study.study(trials)
    for baseline in result.baselines:
        baseline.entry.path.parent.mkdir()
    return result
