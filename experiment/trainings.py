"""Training of a baseline; pruning and retraining of a trial."""

import dataclasses
import datetime
import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from experiment import backend, fields, gap, histories, layer_tables, log, networks, timings
from experiment.columns import Measured
from experiment.errors import UserError
from experiment.pruned import cuts, macs, renewed
from experiment.recipe import Recipe
from experiment.store import Entry
from experiment.study import Baseline, Trial
from pruning import cost, timing
from scnnb import training
from scnnb.teacher import Teacher

# class or words of TensorFlow, JAX, PyTorch on a GPU and on a processor
OUT_OF_MEMORY = re.compile("ResourceExhausted|RESOURCE_EXHAUSTED|OutOfMemory|can't allocate memory")


class Trained(NamedTuple):
    """A baseline in memory, shared by its trials.

    Attributes:
        model: Keras model.
        record: dict of plain values, with `accuracy` and `seconds`.
        infer: function of a batch of images, as `timing.inference` returns it.
    """

    model: keras.Model
    record: dict
    infer: Callable


def train_baseline(baseline: Baseline, dataset, network, callbacks=()):
    """Train the unpruned network and store it; returns its record, a dict of plain values.

    Args:
        baseline: study.Baseline; if its recipe has no epochs, the network is trained already.
        dataset: Dataset.
        network: name or path of the network, as `networks.build` takes it.
        callbacks: Keras callbacks of the training.
    """
    entry, recipe = baseline.entry, baseline.settings.recipe
    keras.utils.set_random_seed(baseline.seed)
    model, trained = networks.build(network, dataset, baseline.settings.normalize), []
    if recipe.epochs:
        print(f"training the baseline of seed {baseline.seed}, {log.epochs(recipe.epochs)}")
        trained = [_train(model, dataset, recipe, entry.backup_file(), callbacks)]
    accuracy = training.accuracy(model, *dataset.test)
    print(f"baseline (seed {baseline.seed}): test accuracy {log.percent(accuracy)}")
    remedy = "take --lr-schedule cosine, more epochs (Epoch1) or a lower lr"
    finished = _finish(baseline, model, dataset, trained, accuracy, remedy)
    record = {"accuracy": accuracy, "seconds": finished.pop("retrain_seconds")}
    if dataset.validation:
        record |= finished | {"validation_accuracy": _validation_accuracy(model, dataset)}
    entry.save_model(model)
    entry.save_record(record)
    entry.remove_backups()
    return record


def train_or_read(baseline: Baseline, dataset, network, fresh, callbacks=()):
    """The baseline as Trained, read if it is stored; arguments as for `train_baseline`.

    With `fresh`, it is trained in any case.
    """
    entry = baseline.entry
    lock = entry.lock()
    if fresh:
        entry.remove_backups()
    record = None if fresh else entry.read_record()
    if record and entry.read_model() is not None:
        entry.remove_backups()  # of a run that was killed just after its end
        print(log.baseline_read(entry.path.parent, record))
    else:
        train_baseline(baseline, dataset, network, callbacks)
    lock.release()
    return trained(baseline)


def trained(baseline: Baseline):
    """The stored baseline as Trained; the last one stays in memory for the next trial."""
    return _trained(baseline.entry, baseline.entry.model_file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _trained(entry: Entry, stamp):
    model = entry.read_model()
    return Trained(model, entry.read_record(), timing.inference(model))


def make_trial(trial: Trial, dataset, callbacks=()):
    """Prune the baseline, measure, retrain, measure, store; returns the finished row.

    Args:
        trial: study.Trial, whose baseline is stored.
        dataset: Dataset.
        callbacks: Keras callbacks of every training.

    Returns:
        Dict of plain values, the columns of the CSV without those of exports.
    """
    baseline, entry = trained(trial.baseline), trial.entry
    timings.forget_peak()
    keras.utils.set_random_seed(trial.seed)
    make = train_from_scratch if trial.settings.control else prune_and_retrain
    model, accuracies = make(baseline.model, dataset, trial, callbacks)
    layer_tables.write(entry.layers_file, baseline.model, model)
    measured = Measured(
        parameters=cost.parameters(model),
        **accuracies,
        baseline_parameters=cost.parameters(baseline.model),
        baseline_accuracy=baseline.record["accuracy"],
        macs=macs(model),
        baseline_macs=macs(baseline.model),
        baseline_seconds=baseline.record["seconds"],
        finished_at=now(),
        keras=keras.__version__,
        backend_version=backend.version(),
        validation_accuracy=_validation_accuracy(model, dataset),
        model_bytes=entry.save_model(model),
        **_timed(model, baseline, dataset, trial.settings.baseline.recipe.batch_size),
        peak_memory_mb=round(timings.peak_memory_mb(), 1),
        machine=timings.name(),
    )
    row = fields.row(trial.settings) | dataclasses.asdict(measured)
    entry.save_record(row)
    entry.remove_backups()
    return row


def prune_and_retrain(baseline, dataset, trial: Trial, callbacks=()):
    """The network that is pruned and retrained as the schedule says.

    Args:
        baseline: Keras model.
        dataset: Dataset.
        trial: study.Trial; the backups of its trainings are beside it, and if it has several stages
            a CSV with the accuracies after each. Another CSV is the history of its trainings.
        callbacks: Keras callbacks of every training.

    Returns:
        `(model, {"pruned_accuracy": on the test images right after the last cut, "accuracy": after
        its retraining, "retrain_seconds": of all, "best_epoch": number or None})`.
    """
    how, stages, retrained = trial.settings, [], []
    in_stages = how.schedule != "one-shot"
    teacher = how.distill and Teacher(baseline, how.distill, how.distill_temperature)
    print(f"\n{log.how(fields.row(how))}")
    for layers, model in cuts(baseline, how, dataset):
        accuracy = pruned_accuracy = training.accuracy(model, *dataset.test)
        if how.epoch2:
            recipe = how.retraining(len(stages))
            of_stage = f"{layers} pruned: " if in_stages else ""
            print(
                f"{of_stage}test accuracy before retraining {log.percent(pruned_accuracy)}; "
                f"retraining, {log.epochs(recipe.epochs)}"
            )
            backup = trial.entry.backup_file(len(stages))
            retrained.append(_train(model, dataset, recipe, backup, callbacks, teacher=teacher))
            accuracy = training.accuracy(model, *dataset.test)
        accuracies = {"pruned_accuracy": pruned_accuracy, "accuracy": accuracy}
        stages.append({"layers": layers, "parameters": model.count_params()} | accuracies)
        if in_stages:
            shared = {"before": cost.parameters(baseline), "retrained": how.epoch2 > 0}
            print(log.stage(**stages[-1], **shared))
    remedy = "take --retrain-schedule cosine, more epochs (Epoch2) or a lower --retrain-lr"
    if in_stages:
        pd.DataFrame(stages).to_csv(trial.entry.stages_file, index=False)
    return model, accuracies | _finish(trial, model, dataset, retrained, accuracy, remedy)


def train_from_scratch(baseline, dataset, trial: Trial, callbacks=()):
    """The control: the pruned shape with new weights, trained for all epochs.

    Arguments and result are those of `prune_and_retrain`; `pruned_accuracy` is that of the new
    weights, `retrain_seconds` the time of their training.
    """
    how = trial.settings
    print(f"\n{log.how(fields.row(how))}; training, {log.epochs(how.from_scratch.epochs)}")
    model = renewed(baseline, how, dataset)
    untrained = training.accuracy(model, *dataset.test)
    backup = trial.entry.backup_file()
    trained = [_train(model, dataset, how.from_scratch, backup, callbacks)]
    accuracy = training.accuracy(model, *dataset.test)
    remedy = "take --lr-schedule cosine, more epochs (Epoch1, Epoch2) or a lower lr"
    accuracies = {"pruned_accuracy": untrained, "accuracy": accuracy}
    return model, accuracies | _finish(trial, model, dataset, trained, accuracy, remedy)


def now():
    """Date and time as text, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _train(model, dataset, recipe: Recipe, backup, callbacks, teacher=None):
    """Train the model in place; returns its history, as `training.train` does."""
    how = dataclasses.asdict(recipe) | {"validation": dataset.validation, "teacher": teacher}
    try:
        history = training.train(model, dataset, **how, backup=backup, callbacks=callbacks)
    except training.DivergedError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # each backend has a class of its own
        if not OUT_OF_MEMORY.search(f"{type(error).__name__} {error}"):
            raise
        raise MemoryError("there is not enough memory; take a smaller batchSz") from error
    if recipe.best_epoch:
        print(log.best_epoch(**histories.taken([history]), epochs=recipe.epochs))
    return history


def _finish(subject, model, dataset, trained, accuracy, remedy):
    """Store the histories of a network, and warn if its accuracies are far apart.

    Args:
        subject: study.Baseline or study.Trial.
        model: its trained Keras model.
        dataset: Dataset.
        trained: list of the histories of its trainings; empty if there was none.
        accuracy: on the test images.
        remedy: as `gap.warn` takes it.

    Returns:
        `{"retrain_seconds": of all trainings, "best_epoch": of the last one, see Measured}`.
    """
    best = None
    if trained:
        histories.write(subject.entry.history_file, trained)
        taken = histories.taken(trained)
        apart = {"in_training": taken["training_accuracy"], "in_test": accuracy, "remedy": remedy}
        gap.warn(model, dataset, subject.seed, **apart)
        best = taken["epoch"] if subject.baseline.settings.recipe.best_epoch else None
    return {"retrain_seconds": histories.seconds(trained), "best_epoch": best}


def _validation_accuracy(model, dataset):
    """The accuracy on the validation images, NaN if there are none."""
    return training.accuracy(model, *dataset.validation) if dataset.validation else math.nan


def _timed(model, baseline: Trained, dataset, batch_size):
    """Latency and throughput of both networks: the columns of the CSV."""
    size = min(batch_size, len(dataset.train_labels))  # as a step of training
    batch = np.resize(dataset.test_images[:size], (size, *dataset.image_shape))
    calls = [timing.inference(model), baseline.infer]
    latencies, throughputs = timing.latency_and_throughput(calls, batch)
    return {
        "latency_ms": round(latencies[0], 3),
        "baseline_latency_ms": round(latencies[1], 3),
        "throughput": round(throughputs[0], 1),
        "baseline_throughput": round(throughputs[1], 1),
    }
