"""What a worker does: one job, from what is stored to what is stored."""

from typing import NamedTuple

import keras

from experiment import exporting, trainings
from experiment.runner import Job
from experiment.store import Entry
from experiment.study import Baseline
from scnnb import training


class Shared(NamedTuple):
    """What all jobs of a call share.

    Attributes:
        network: name or path of the network, as `networks.build` takes it.
        formats: list of Format, the exports wanted.
        int8_io: whether int8 files take and give int8.
    """

    network: str
    formats: list
    int8_io: bool


def work(job: Job, dataset, shared: Shared, callbacks):
    """Do a job and store what it makes; returns the record, a dict of plain values.

    Args:
        job: runner.Job, whose lock is held and whose needs are stored.
        dataset: Dataset.
        shared: Shared.
        callbacks: function of an Entry that gives the Keras callbacks of its trainings.
    """
    subject, entry = job.subject, job.entry
    if job.kind == "exports":
        return exporting.export(entry, dataset, subject.seed, shared.formats, shared.int8_io)
    if isinstance(subject, Baseline):
        return trainings.train_baseline(subject, dataset, shared.network, callbacks(entry))
    return trainings.make_trial(subject, dataset, callbacks(entry))


def callbacks(entry: Entry, tensorboard, time_left=None):
    """Keras callbacks of the trainings of what is stored in an Entry.

    Args:
        entry: Entry.
        tensorboard: pathlib.Path of the folder for TensorBoard's logs, or None.
        time_left: function whose answer is printed with every epoch, or None.
    """
    found = [training.EpochLines(time_left)] if time_left else []
    if tensorboard:
        folder = tensorboard / entry.path.parent.name / entry.name
        found.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    return found
