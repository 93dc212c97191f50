"""A pool that does its jobs in this process, one after the other."""

from experiment.runner import Job
from experiment.work import Shared, work


class Here:
    """Does the job that is submitted when it is asked what has finished."""

    places = 1

    def __init__(self, dataset, shared: Shared, callbacks):
        """Take what every job needs.

        Args:
            dataset: Dataset.
            shared: work.Shared.
            callbacks: function of an Entry that gives the Keras callbacks of its trainings.
        """
        self.dataset, self.shared, self.callbacks = dataset, shared, callbacks
        self.job: Job | None = None

    @property
    def full(self):
        """Whether a job waits."""
        return self.job is not None

    def submit(self, job: Job):
        """Take a runner.Job to do."""
        self.job = job

    def finished(self):
        """Do the job: `[(job, record, None)]`; what it raises ends the run."""
        if self.job is None:
            return []
        job, self.job = self.job, None
        return [(job, work(job, self.dataset, self.shared, self.callbacks), None)]
