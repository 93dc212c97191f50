"""The jobs of a study in the order of what needs what, handed to a pool that does them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from experiment import exporting
from experiment.progress import peek
from experiment.study import Baseline, Study, Trial


@dataclass(frozen=True)
class Job:
    """Something to be made and stored.

    Attributes:
        kind: "baseline", "trial", or "exports" of one of these.
        subject: study.Baseline or study.Trial.
    """

    kind: str
    subject: Baseline | Trial

    @property
    def entry(self):
        """Where it is stored."""
        return self.subject.entry

    @property
    def name(self):
        """What messages call it; no other job is called so."""
        exports = " exports" if self.kind == "exports" else ""
        return f"seed {self.subject.seed} {self.entry.name}{exports}"

    @property
    def needs(self):
        """The job that must be over before this one begins, or None."""
        if self.kind == "exports":
            return Job("baseline" if isinstance(self.subject, Baseline) else "trial", self.subject)
        return Job("baseline", self.subject.baseline) if isinstance(self.subject, Trial) else None

    def within(self, folder):
        """The same job, all it stores below another folder."""
        return replace(self, subject=self.subject.within(folder))


class Outcome(NamedTuple):
    """What came of a job.

    Attributes:
        job: Job.
        record: dict of plain values, None if it failed.
        error: why it failed in words, or None.
        made: whether it was made now; it was stored already if not.
    """

    job: Job
    record: dict | None
    error: str | None
    made: bool


class Runner:
    """Hands the jobs of a study to a pool, and holds the lock of each that is under way."""

    def __init__(self, study: Study, pool, *, formats=(), int8_io=False, fresh=False):
        """Take what is to be made.

        Args:
            study: Study.
            pool: has `full`, `submit(job)`, and `finished()`: a list of `(job, record, error)`.
            formats: list of Format, the exports wanted.
            int8_io: whether int8 files take and give int8.
            fresh: whether what is stored is made again.
        """
        self.pool, self.formats, self.int8_io, self.fresh = pool, list(formats), int8_io, fresh
        self.todo, self.running = jobs(study, exports=bool(formats)), {}  # job: its lock
        self.made, self.failed = set(), {}  # job: error

    def counts(self, subject: Baseline | Trial):
        """Whether the stored record of a study.Baseline or study.Trial is taken as it is."""
        kind = "baseline" if isinstance(subject, Baseline) else "trial"
        return not self.fresh or Job(kind, subject) in self.made

    def outcomes(self):
        """Do all jobs; yields an Outcome for each as it ends."""
        try:
            while self.todo or self.running:
                for job in list(self.todo):
                    if self.pool.full:
                        break
                    if outcome := self._begin(job):
                        yield outcome
                if self.running:
                    yield from self._end()
                elif self.todo:  # another run makes what could be made now
                    self._first_ready().entry.lock().release()
        finally:
            for lock in self.running.values():
                lock.release()

    def _begin(self, job: Job):
        """Submit a job if it can begin; its Outcome if there is nothing to make."""
        if job.needs in self.todo or job.needs in self.running:
            return None
        lock = job.entry.lock(wait=False)
        if lock is None:
            return None
        record = job.entry.read_record() if self.counts(job.subject) else None
        if record:  # a run that was killed just after it was done left them
            job.entry.remove_backups()
        self.todo.remove(job)
        wanted = self._is_wanted(job, record)
        outcome = self._without_making(job, record) if wanted else None
        if wanted and outcome is None:
            self.running[job] = lock
            self.pool.submit(job)
        else:
            lock.release()
        return outcome

    def _without_making(self, job: Job, record):
        """The Outcome of a job that cannot be made, or need not; None of any other."""
        if job.needs in self.failed and not record:
            self.failed[job] = f"its baseline failed: {self.failed[job.needs]}"
            return Outcome(job, None, self.failed[job], made=False)
        if record and self._is_stored(job, record):
            return Outcome(job, record, None, made=False)
        return None

    def _is_stored(self, job: Job, record):
        if job.kind == "exports":
            return not exporting.missing(job.entry, record, self.formats, self.int8_io)
        return job.kind == "trial" or job.entry.read_model() is not None

    def _is_wanted(self, job: Job, record):
        """Whether anything needs the job."""
        if job.kind == "baseline":  # only for trials that are to be made
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
                self.made.add(job)
            yield Outcome(job, record, error, made=True)


def jobs(study: Study, *, exports):
    """The jobs of a study, each after what it needs; the exports of baselines come last."""
    found = []
    for baseline in study.baselines:
        found.append(Job("baseline", baseline))
        for trial in study.of(baseline):
            found += [Job("trial", trial), *([Job("exports", trial)] if exports else [])]
    return found + [Job("exports", each) for each in study.baselines if exports]
