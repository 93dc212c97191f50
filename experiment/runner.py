"""Give the jobs of a study to a pool, each after the job that it needs."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from experiment import exporting, recalibrating
from experiment.progress import peek
from experiment.study import Baseline, Study, Trial


@dataclass(frozen=True)
class Job:
    """A training, the recalibration or the exports of a network, to be computed and stored.

    Attributes:
        kind: "baseline", "trial", "recalibration" of a trial, or "exports" of a baseline or trial.
        subject: study.Baseline or study.Trial.
    """

    kind: str
    subject: Baseline | Trial

    @property
    def entry(self):
        """The Entry of the network."""
        return self.subject.entry

    @property
    def name(self):
        """The name for messages; every job has another name."""
        what = "" if self.kind in ("baseline", "trial") else f" {self.kind}"
        return f"seed {self.subject.seed} {self.entry.name}{what}"

    @property
    def needs(self):
        """The job that must end before this one begins, or None."""
        if self.kind in ("recalibration", "exports"):
            return Job("baseline" if isinstance(self.subject, Baseline) else "trial", self.subject)
        return Job("baseline", self.subject.baseline) if isinstance(self.subject, Trial) else None

    def within(self, folder):
        """The same job with its files below another folder."""
        return replace(self, subject=self.subject.within(folder))


class Outcome(NamedTuple):
    """The result of a job.

    Attributes:
        job: Job.
        record: dict of plain values, None if the job failed.
        error: the error message if it failed, or None.
        computed: whether this call computed the job; if not, its result was read from its files.
    """

    job: Job
    record: dict | None
    error: str | None
    computed: bool


class Runner:
    """Gives the jobs of a study to a pool, and holds the lock of each running job."""

    def __init__(
        self, study: Study, pool, *, formats=(), int8_io=False, recalibration=0, fresh=False
    ):
        """List the jobs.

        Args:
            study: Study.
            pool: object with `full`, `submit(job)` and `finished()`, which returns a list of
                `(job, record, error)`.
            formats: list of Format to export to.
            int8_io: whether inputs and outputs of int8 files are int8.
            recalibration: number of training images, as `work.Shared` has it.
            fresh: whether all jobs are computed again, even if their results are stored.
        """
        self.pool, self.formats, self.int8_io, self.fresh = pool, list(formats), int8_io, fresh
        self.recalibration = recalibration
        self.todo = jobs(study, recalibration=bool(recalibration), exports=bool(formats))
        self.running = {}  # job: its lock
        self.computed, self.failed = set(), {}  # job: error

    def counts(self, subject: Baseline | Trial):
        """Whether the stored record of a study.Baseline or study.Trial is used, not replaced."""
        kind = "baseline" if isinstance(subject, Baseline) else "trial"
        return not self.fresh or Job(kind, subject) in self.computed

    def outcomes(self):
        """Run all jobs; yields the Outcome of each job when the job ends."""
        try:
            while self.todo or self.running:
                for job in list(self.todo):
                    if self.pool.full:
                        break
                    if outcome := self._begin(job):
                        yield outcome
                if self.running:
                    yield from self._end()
                elif self.todo:  # another run holds the locks of all jobs that could begin
                    self._first_ready().entry.lock().release()
        finally:
            for lock in self.running.values():
                lock.release()

    def _begin(self, job: Job):
        """Submit a job if it can begin; returns its Outcome if nothing must be computed."""
        if job.needs in self.todo or job.needs in self.running:
            return None
        lock = job.entry.lock(wait=False)
        if lock is None:
            return None
        record = job.entry.read_record() if self.counts(job.subject) else None
        if record:  # a run that was killed just after it wrote the record left its backups
            job.entry.remove_backups()
        self.todo.remove(job)
        wanted = self._is_wanted(job, record)
        outcome = self._without_computing(job, record) if wanted else None
        if wanted and outcome is None:
            self.running[job] = lock
            self.pool.submit(job)
        else:
            lock.release()
        return outcome

    def _without_computing(self, job: Job, record):
        """The Outcome of a job that cannot or need not be computed, or None."""
        if job.needs in self.failed and not record:
            self.failed[job] = f"its baseline failed: {self.failed[job.needs]}"
            return Outcome(job, None, self.failed[job], computed=False)
        if record and self._is_stored(job, record):
            return Outcome(job, record, None, computed=False)
        return None

    def _is_stored(self, job: Job, record):
        if job.kind == "exports":
            return not exporting.missing(job.entry, record, self.formats, self.int8_io)
        if job.kind == "recalibration":
            return recalibrating.is_stored(record, self.recalibration)
        return job.kind == "trial" or job.entry.read_model() is not None

    def _is_wanted(self, job: Job, record):
        """Whether anything needs the job."""
        if job.kind == "baseline":  # only for trials that must be computed
            trials = [each for each in self.todo if each.kind == "trial" and each.needs == job]
            return any(not (self.counts(t.subject) and peek(t.entry)) for t in trials)
        return job.kind == "trial" or record is not None

    def _first_ready(self):
        return next(job for job in self.todo if job.needs not in self.todo)

    def _end(self):
        for job, record, error in self.pool.finished():
            self.running.pop(job).release()
            if error:
                self.failed[job] = error
            else:
                self.computed.add(job)
            yield Outcome(job, record, error, computed=True)


def jobs(study: Study, *, recalibration, exports):
    """The jobs of a study, each after the job that it needs; exports of baselines come last."""
    wanted = {"trial": True, "recalibration": recalibration, "exports": exports}
    kinds, jobs = [kind for kind, holds in wanted.items() if holds], []
    for baseline in study.baselines:
        jobs.append(Job("baseline", baseline))
        for trial in study.of(baseline):
            jobs += [Job(kind, trial) for kind in kinds]
    return jobs + [Job("exports", each) for each in study.baselines if exports]
