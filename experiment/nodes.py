"""A pool that runs its jobs on Ray. Only this process writes the files that the nodes send."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import keras

import scnnb
from experiment import exporting, gap, transport
from experiment.backend import import_keras, version
from experiment.cluster import Cluster
from experiment.custom import Custom, loaded
from experiment.errors import UserError, as_the_users
from experiment.runner import Job
from experiment.store import Entry
from experiment.study import Trial
from experiment.work import Shared, callbacks, work
from scnnb import precision


class Order(NamedTuple):
    """The settings that every node gets.

    Attributes:
        shared: work.Shared.
        network: `(name, None)` of a known network, or `(file name, content of the file)`.
        tensorboard: whether to write logs for TensorBoard.
        versions: `{package: version}` that the node must have.
        custom: the file of `--custom`, or None.
    """

    shared: Shared
    network: tuple
    tensorboard: bool
    versions: dict
    custom: Custom | None = None


class Nodes:
    """Runs jobs on the nodes of a cluster. The nodes share no files with this process."""

    def __init__(self, cluster: Cluster, dataset, shared: Shared, tensorboard, custom=None):
        """Copy the dataset to Ray's store, and keep the settings of all jobs.

        Args:
            cluster: cluster.Cluster.
            dataset: Dataset.
            shared: work.Shared.
            tensorboard: pathlib.Path of the folder for TensorBoard's logs, or None.
            custom: the file of `--custom`, or None.
        """
        self.cluster, self.shared, self.tensorboard = cluster, shared, tensorboard
        self.dataset, self.baselines, self.jobs = cluster.put(dataset), {}, {}
        file = None if shared.network in scnnb.NETWORKS else Path(shared.network)
        network = (file.name, file.read_bytes()) if file else (shared.network, None)
        self.order = Order(shared, network, bool(tensorboard), _versions(), custom)

    @property
    def places(self):
        """Number of jobs that run at the same time."""
        return self.cluster.places

    @property
    def full(self):
        """Whether enough jobs are submitted, so that another one would only wait."""
        return self.cluster.full

    def submit(self, job: Job):
        """Send a runner.Job and the files that it needs to a node."""
        finished = job.kind in ("recalibration", "exports")
        own = job.entry.files() if finished else job.entry.backups()
        inputs = {}
        if isinstance(job.subject, Trial) and job.kind != "exports":
            inputs = self._files_of(job.subject.baseline.entry)
        self.cluster.submit(job.name, on_node, self.dataset, inputs, own, job, self.order)
        self.jobs[job.name] = job

    def finished(self):
        """Wait a moment, and store the results of ended jobs; returns `[(job, record, error)]`."""
        ended = []
        for name, result, error in self.cluster.finished():
            job = self.jobs.pop(name)
            record, files, logs, warnings = result or (None, {}, {}, [])
            if error and job.kind == "exports":  # the record of the training is kept
                record, error = self._without_exports(job, error), None
            for line in warnings:
                print(f"{line} ({name})")
            transport.place(job.entry.path.parent, files)
            transport.place(self.tensorboard, logs)
            if record:
                job.entry.remove_backups()
            ended.append((job, record, error))
        return ended

    def _files_of(self, baseline: Entry):
        if baseline not in self.baselines:
            self.baselines[baseline] = self.cluster.put(baseline.files())
        return self.baselines[baseline]

    def _without_exports(self, job: Job, error):
        record = job.entry.read_record()
        wanted = exporting.missing(job.entry, record, self.shared.formats, self.shared.int8_io)
        failed = exporting.failures(record) | {each.name: error for each in wanted}
        return exporting.save_failures(job.entry, record, failed)


def on_node(dataset, inputs, own, job: Job, order: Order, *, tell):
    """Run a job in a folder of this node; the folder is deleted at the end.

    Args:
        dataset: Dataset.
        inputs: `{name: bytes}`, the files of the baseline if the job is a trial or its
            recalibration.
        own: `{name: bytes}`, files of an earlier call: backups, or the files of a finished trial.
        job: runner.Job.
        order: Order.
        tell: function of a line of text about the progress.

    Returns:
        `(record, {file name: bytes} of new files, {file name: bytes} of the logs, lines that warn
        of a gap)`. The names are relative to the folder of the job, and to the folder of the logs.

    Raises:
        UserError: this node has other versions, or no instructions for the precision.
    """
    import_keras()
    for package, expected in order.versions.items():
        if (installed := _versions().get(package)) != expected:
            raise UserError(
                f"{package}: expected version {expected} on every node, as in this program, got "
                f"{installed}; install the same version"
            )
    with as_the_users(ValueError):
        precision.check(job.subject.baseline.settings.recipe.precision)
    tell("begins")
    with tempfile.TemporaryDirectory() as scratch, loaded(order.custom):
        job = job.within(Path(scratch))
        folder, logs = job.entry.path.parent, Path(scratch, "logs")
        folder.mkdir()
        transport.place(folder, inputs | own)
        shared, (name, content) = order.shared, order.network
        if content is not None:
            transport.place(Path(scratch), {name: content})
            shared = shared._replace(network=str(Path(scratch, name)))

        def watched(entry):
            return [*callbacks(entry, logs if order.tensorboard else None), _Lines(tell)]

        with contextlib.redirect_stdout(io.StringIO()) as printed:
            record = work(job, dataset, shared, watched)
        warnings = [line for line in printed.getvalue().splitlines() if line.startswith(gap.MARK)]
        known = inputs | own
        new = {
            name: content
            for name, content in transport.tree(folder).items()
            if known.get(name) != content and not name.endswith(".lock")
        }
        return record, new, transport.tree(logs), warnings


class _Lines(keras.callbacks.Callback):
    """Sends a line of text about the progress at the end of each epoch."""

    def __init__(self, tell):
        super().__init__()
        self.tell = tell

    def on_epoch_end(self, epoch, logs=None):
        self.tell(f"epoch {epoch + 1}/{self.params['epochs']}  loss {logs['loss']:.4f}")


def _versions():
    return {"keras": keras.__version__, keras.backend.backend(): version()}
