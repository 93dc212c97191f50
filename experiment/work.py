"""Run one job: train, prune and retrain, recalibrate or export, and store the result."""

from typing import NamedTuple

import keras

from data.split import split
from experiment import exporting, recalibrating, trainings
from experiment.runner import Job
from experiment.store import Entry
from experiment.study import Baseline
from scnnb import training


class Shared(NamedTuple):
    """The settings that all jobs of a call share.

    Attributes:
        network: name or path of the network, see `networks.build`.
        formats: list of Format to export to.
        int8_io: whether inputs and outputs of int8 files are int8.
        recalibration: number of training images for new statistics of BatchNormalization; 0 if
            nothing is recalibrated.
    """

    network: str
    formats: list
    int8_io: bool
    recalibration: int = 0


def work(job: Job, dataset, shared: Shared, callbacks):
    """Run a job and store its result; returns the record, a dict of plain values.

    Args:
        job: runner.Job; its lock is held, and the job that it needs is stored.
        dataset: Dataset with all training images.
        shared: Shared.
        callbacks: function of an Entry that returns the Keras callbacks of its trainings.
    """
    subject, entry = job.subject, job.entry
    dataset = split(dataset, subject.baseline.settings.validation, subject.seed)
    if job.kind == "exports":
        return exporting.export(entry, dataset, subject.seed, shared.formats, shared.int8_io)
    if isinstance(subject, Baseline):
        return trainings.train_baseline(subject, dataset, shared.network, callbacks(entry))
    if job.kind == "recalibration":
        return recalibrating.recalibrate(subject, dataset, shared.recalibration)
    return trainings.make_trial(subject, dataset, callbacks(entry))


def callbacks(entry: Entry, tensorboard, time_left=None):
    """The Keras callbacks for the trainings of a stored network.

    Args:
        entry: Entry.
        tensorboard: pathlib.Path of the folder for TensorBoard's logs, or None.
        time_left: function that returns the text printed with every epoch, or None.
    """
    callbacks = [training.EpochLines(time_left)] if time_left else []
    if tensorboard:
        folder = tensorboard / entry.path.parent.name / entry.name
        callbacks.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    return callbacks
