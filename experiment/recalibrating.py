"""Accuracies of stored networks with new statistics of BatchNormalization."""

import math

import pruning
from experiment import pruned, samples
from experiment.errors import UserError, as_the_users
from experiment.study import Trial
from scnnb import training
from scnnb.augmentation import Augmented

IMAGES = "recalibration_images"  # column of the number of images


def recalibrate(trial: Trial, dataset, count):
    """Measure the networks of a finished trial with new statistics; returns its record.

    The images are changed at random as in the training, because its statistics were those of such
    images.

    The stored networks are unchanged. The network right after the cut is not stored: the stored
    baseline is pruned again. Of an iterative or stepwise schedule this is not possible, because the
    last cut follows a retraining.

    Args:
        trial: study.Trial; its network and its baseline are stored. Its record is stored again.
        dataset: Dataset.
        count: number of random training images.

    Raises:
        UserError: a network is missing, or its new statistics are not finite.
    """
    record, how = trial.entry.read_record(), trial.settings
    images, _ = samples.training_images(dataset, trial.seed, count)
    networks = {
        "recalibrated_baseline_accuracy": _stored(trial.baseline.entry),
        "recalibrated_pruned_accuracy": None,
        "recalibrated_accuracy": _stored(trial.entry),
    }
    if how.schedule == "one-shot" and not how.control:
        baseline = networks["recalibrated_baseline_accuracy"]
        ((_, cut),) = pruned.cuts(baseline, how, dataset)
        networks["recalibrated_pruned_accuracy"] = cut
    if augment := how.baseline.recipe.augment:
        images = Augmented(images, augment, trial.seed)
    record[IMAGES] = len(images)
    for name, model in networks.items():
        record[name] = math.nan
        if model is not None:
            with as_the_users(ValueError):
                size = how.baseline.recipe.batch_size
                new = pruning.recalibrate(model, images, batch_size=size)
            record[name] = training.accuracy(new, *dataset.test)
    trial.entry.save_record(record)
    return record


def is_stored(record, count):
    """Whether a record has the accuracies with statistics of this number of images."""
    return record.get(IMAGES) == count


def _stored(entry):
    model = entry.read_model()
    if model is None:
        raise UserError(f"{entry.model_file}: it is missing; call with --fresh")
    return model
