"""A pool that runs its jobs in this process, one after the other."""

from experiment.errors import UserError
from experiment.runner import Job
from experiment.work import Shared, work


class Here:
    """Runs the submitted job when `finished` is called."""

    places = 1

    def __init__(self, dataset, shared: Shared, callbacks):
        """Keep the settings of all jobs.

        Args:
            dataset: Dataset.
            shared: work.Shared.
            callbacks: function of an Entry that returns the Keras callbacks of its trainings.
        """
        self.dataset, self.shared, self.callbacks = dataset, shared, callbacks
        self.job: Job | None = None

    @property
    def full(self):
        """Whether a submitted job waits."""
        return self.job is not None

    def submit(self, job: Job):
        """Keep a runner.Job until `finished` is called."""
        self.job = job

    def finished(self):
        """Run the job; returns `[(job, record, error)]`.

        An error of a training ends the program. After one of a recalibration, other trials can
        still be finished.
        """
        if self.job is None:
            return []
        job, self.job = self.job, None
        try:
            return [(job, work(job, self.dataset, self.shared, self.callbacks), None)]
        except UserError as error:
            if job.kind != "recalibration":
                raise
            return [(job, None, str(error))]
