"""The pruned network of a trial, stage by stage."""

import dataclasses
from typing import Any

import pruning
from experiment import samples, settings
from experiment.errors import UserError, as_the_users
from experiment.settings import TrialSettings
from pruning import cost, groups, surgery

COMPENSATION_IMAGES = 2_000  # some thousand: the mean is over their positions, too


def cuts(model, trial: TrialSettings, dataset=None):
    """Yield the names of the layers that are pruned in each stage, and the network after it.

    The caller may retrain a network before it asks for the next one.

    Args:
        model: Keras model.
        trial: TrialSettings.
        dataset: Dataset, for criteria that look at more than kernels, and for the compensation,
            which uses `COMPENSATION_IMAGES` training images, chosen by the seed.

    Raises:
        UserError: the network cannot be pruned like this.
    """
    if trial.schedule == "one-shot":
        yield "all layers", _prune(model, trial, dataset)
        return
    trial = _with_ratio(model, trial)
    if trial.schedule == "stepwise":
        full = model
        for step in range(1, trial.steps + 1):
            model = _prune(model, trial, dataset, part=step / trial.steps, full=full)
            yield f"all layers (step {step} of {trial.steps})", model
        return
    with as_the_users(ValueError):
        stages = pruning.stages(model, trial.pruning_ratio, **trial.options)
    if not stages:
        raise UserError(f"{model.name}: it has no convolution that could lose a filter")
    for only in stages:
        model = _prune(model, trial, dataset, only=only)
        yield " ".join(only), model


def renewed(model, trial: TrialSettings, dataset=None):
    """The pruned network with new weights; arguments as for `cuts`.

    The order of the filters of a layer has no effect on it. If all layers are ranked together, it
    has, so the scores are those of the trial.
    """
    return surgery.renewed(groups.find(_prune(model, settings.unranked(trial), dataset)))


def macs(model):
    """Multiply-accumulates for one image, or None if they cannot be counted."""
    try:
        return cost.macs(model)
    except ValueError:
        return None


def _with_ratio(model, trial: TrialSettings):
    """The trial with the ratio that reaches its target, in the place of the target."""
    if not trial.target:
        return trial
    with as_the_users(ValueError):
        ratio = pruning.target_ratio(model, **dict([trial.amount]), **trial.options)
    return dataclasses.replace(trial, pruning_ratio=ratio, target="")


def _prune(model, trial: TrialSettings, dataset=None, part=1.0, **stage):
    """The network pruned by a part of the ratios; `stage`: `only` or `full` of `pruning.prune`."""
    criterion: Any = trial.criterion
    what, amount = trial.amount
    seed, options = trial.baseline.seed, trial.options
    options["layer_ratios"] = {pattern: part * ratio for pattern, ratio in trial.ratios.items()}
    needed = samples.for_criterion(criterion, model, dataset, seed) if dataset else {}
    with as_the_users(ValueError):
        if trial.compensate:  # on fewer images than a criterion of feature maps
            criterion = pruning.judge(model, criterion, seed=seed, **needed)
            needed = {"images": samples.training_images(dataset, seed, COMPENSATION_IMAGES)[0]}
        return pruning.prune(
            model,
            **{what: part * amount},
            criterion=criterion,
            strategy=trial.strategy,
            compensate=bool(trial.compensate),
            seed=seed,
            **needed,
            **options,
            **stage,
        )
