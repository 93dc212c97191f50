"""experiment/runner.py: the order of jobs, their locks, and the effect of a failed job."""

import dataclasses

import pytest

from experiment import fields, study
from experiment.columns import TRIALS
from experiment.runner import Job, Runner, jobs
from pruning.exports import FORMATS
from tests import studies

RECIPE = studies.recipe(learning_rate=0.1, batch_size=1, epochs=1)
ONNX = [FORMATS["onnx"]]


class _Pool:
    """Runs two jobs at a time without training; they end when `finished` is called."""

    def __init__(self):
        self.submitted, self.under_way, self.errors = [], [], {}

    @property
    def full(self):
        return len(self.under_way) == 2

    def submit(self, job):
        assert job.entry.lock(wait=False) is None  # the runner holds it
        self.submitted.append(job.name)
        self.under_way.append(job)

    def finished(self):
        done, self.under_way = self.under_way, []
        return [(job, *self._result(job)) for job in done]

    def _result(self, job):
        if job.name in self.errors:
            return None, self.errors[job.name]
        record = finished(job.subject)
        if job.kind == "exports":
            record["onnx_bytes"] = 1.0
        if job.kind == "recalibration":
            record["recalibration_images"] = 100
        job.entry.save_record(record)
        job.entry.model_file.write_text("")
        return record, None


def finished(subject):
    """The record of a baseline or trial; measured values are 0 or empty."""
    required, *_ = subject.entry.kinds
    values = fields.row(subject.settings) if isinstance(subject, study.Trial) else {}
    return {name: kind() for name, kind in required.items()} | values


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """A Study of two seeds and two ratios, below a temporary folder."""
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    return studies.of_two_seeds(RECIPE, (0.0, 0.5), 1)


@pytest.fixture(autouse=True)
def models(monkeypatch):
    """Accept any file as a stored model, so that no test needs a network."""
    monkeypatch.setattr(
        "experiment.store.Entry.read_model",
        lambda entry: "model" if entry.model_file.exists() else None,
    )
    monkeypatch.setattr(
        "experiment.store.Entry.export_file", lambda entry, file_format: entry.model_file
    )


def run(grid, pool, **options):
    return [
        (outcome.job.name, outcome.error, outcome.computed)
        for outcome in Runner(grid, pool, **options).outcomes()
    ]


def free(grid):
    """Whether no lock is held."""
    entries = [each.entry for each in (*grid.trials, *grid.baselines)]
    return all((lock := entry.lock(wait=False)) and not lock.release() for entry in entries)


def test_each_job_comes_after_the_job_it_needs_and_exports_of_baselines_come_last(grid):
    names = [job.name for job in jobs(grid, recalibration=False, exports=True)]
    assert names == [
        "seed 0 baseline",
        "seed 0 pruned0.0_retrained1",
        "seed 0 pruned0.0_retrained1 exports",
        "seed 0 pruned0.5_retrained1",
        "seed 0 pruned0.5_retrained1 exports",
        "seed 1 baseline",
        "seed 1 pruned0.0_retrained1",
        "seed 1 pruned0.0_retrained1 exports",
        "seed 1 pruned0.5_retrained1",
        "seed 1 pruned0.5_retrained1 exports",
        "seed 0 baseline exports",
        "seed 1 baseline exports",
    ]
    assert [job.name for job in jobs(grid, recalibration=False, exports=False)] == [
        n for n in names if "exp" not in n
    ]
    for job in jobs(grid, recalibration=False, exports=True):
        assert job.needs is None or names.index(job.needs.name) < names.index(job.name)


def test_a_job_is_submitted_after_the_job_it_needs_has_ended_and_every_lock_is_released(grid):
    pool, over = _Pool(), []
    submit = pool.submit

    def check(job):
        assert job.needs is None or job.needs.name in over
        submit(job)

    pool.submit = check
    for outcome in Runner(grid, pool, formats=ONNX).outcomes():
        assert outcome.error is None
        over.append(outcome.job.name)
    assert sorted(over) == sorted(job.name for job in jobs(grid, recalibration=False, exports=True))
    assert pool.submitted[:2] == ["seed 0 baseline", "seed 1 baseline"]  # at the same time
    assert free(grid)


def test_stored_trials_and_their_baseline_are_not_computed_again(grid):
    for trial in grid.of(grid.baselines[0]):
        trial.entry.save_record(finished(trial))
    pool = _Pool()
    outcomes = run(grid, pool)
    assert pool.submitted == [
        "seed 1 baseline",
        "seed 1 pruned0.0_retrained1",
        "seed 1 pruned0.5_retrained1",
    ]
    assert outcomes[:2] == [
        ("seed 0 pruned0.0_retrained1", None, False),
        ("seed 0 pruned0.5_retrained1", None, False),
    ]
    assert len(outcomes) == 5


def test_backups_of_stored_networks_are_deleted(grid):
    for subject in (*grid.baselines, *grid.trials):
        subject.entry.save_record(finished(subject))
        subject.entry.backup_file(1).touch()
    run(grid, _Pool())
    assert not any(subject.entry.backups() for subject in (*grid.baselines, *grid.trials))


def test_a_stored_baseline_is_used_unless_its_model_is_missing(grid):
    for baseline in grid.baselines:
        baseline.entry.save_record(finished(baseline))
    grid.baselines[0].entry.model_file.write_text("")
    pool = _Pool()
    outcomes = run(grid, pool)
    assert ("seed 0 baseline", None, False) in outcomes
    assert ("seed 1 baseline", None, True) in outcomes


def test_fresh_computes_every_job_again_once(grid):
    run(grid, _Pool(), formats=ONNX)
    pool = _Pool()
    outcomes = run(grid, pool, formats=ONNX, fresh=True)
    assert sorted(pool.submitted) == sorted(
        job.name for job in jobs(grid, recalibration=False, exports=True)
    )
    assert all(computed for *_, computed in outcomes)


def test_if_a_baseline_fails_only_its_trials_fail(grid):
    pool = _Pool()
    pool.errors["seed 0 baseline"] = "no memory"
    outcomes = run(grid, pool, formats=ONNX)
    failed = {name: error for name, error, _ in outcomes if error}
    assert failed == {
        "seed 0 baseline": "no memory",
        "seed 0 pruned0.0_retrained1": "its baseline failed: no memory",
        "seed 0 pruned0.5_retrained1": "its baseline failed: no memory",
    }
    assert {name for name, error, _ in outcomes if not error} == {
        job.name for job in jobs(grid, recalibration=False, exports=True) if job.subject.seed == 1
    }
    assert free(grid)


def test_if_a_trial_fails_only_its_exports_are_missing(grid):
    pool = _Pool()
    pool.errors["seed 0 pruned0.5_retrained1"] = "diverged"
    outcomes = run(grid, pool, formats=ONNX)
    assert [(name, error) for name, error, _ in outcomes if error] == [
        ("seed 0 pruned0.5_retrained1", "diverged")
    ]
    assert "seed 0 pruned0.5_retrained1 exports" not in pool.submitted
    assert len(outcomes) == len(jobs(grid, recalibration=False, exports=True)) - 1


def test_stored_exports_are_not_computed_again(grid):
    run(grid, _Pool(), formats=ONNX)
    pool = _Pool()
    outcomes = run(grid, pool, formats=ONNX)
    assert pool.submitted == []
    assert not any(computed for *_, computed in outcomes)


def test_a_recalibration_comes_after_its_trial_and_before_the_exports(grid):
    names = [job.name for job in jobs(grid, recalibration=True, exports=True)]
    assert names[1:4] == [
        "seed 0 pruned0.0_retrained1",
        "seed 0 pruned0.0_retrained1 recalibration",
        "seed 0 pruned0.0_retrained1 exports",
    ]
    assert len(names) == 2 * (2 + 2 * 3)
    outcomes = run(grid, pool := _Pool(), recalibration=100, formats=ONNX)
    assert sorted(pool.submitted) == sorted(names)
    assert not any(error for _, error, _ in outcomes) and free(grid)


def test_a_recalibration_is_stored_of_one_number_of_images(grid):
    run(grid, _Pool(), recalibration=100)
    run(grid, pool := _Pool(), recalibration=100)
    assert pool.submitted == []
    run(grid, pool, recalibration=50)
    assert len(pool.submitted) == 4 and all("recalibration" in each for each in pool.submitted)
    run(grid, pool := _Pool(), recalibration=100, fresh=True)
    assert len(pool.submitted) == 2 * (1 + 2 * 2)


def test_a_finished_trial_is_recalibrated_after_its_baseline_if_that_is_made_again(grid):
    first, _ = grid.of(grid.baselines[0])
    first.entry.save_record(finished(first))  # the baseline's files are missing
    pool, over = _Pool(), []
    submit = pool.submit

    def check(job):
        assert job.kind == "baseline" or f"seed {job.subject.seed} baseline" in over
        submit(job)

    pool.submit = check
    for outcome in Runner(grid, pool, recalibration=100).outcomes():
        over.append(outcome.job.name)
    assert f"seed 0 {first.entry.name} recalibration" in pool.submitted


def test_the_result_of_another_run_is_waited_for_and_then_read(grid, monkeypatch, capsys):
    trial = grid.trials[0]
    theirs = trial.entry.lock()
    pool = _Pool()

    def waited(message):
        trial.entry.save_record(finished(trial))
        theirs.release()

    runner = Runner(grid, pool)
    monkeypatch.setattr("builtins.print", waited)
    names = [(outcome.job.name, outcome.computed) for outcome in runner.outcomes()]
    assert names[-1] == ("seed 0 pruned0.0_retrained1", False)
    assert len(names) == 6


def test_an_error_in_the_pool_releases_every_lock(grid):
    pool = _Pool()

    def stopped():
        raise KeyboardInterrupt

    pool.finished = stopped
    with pytest.raises(KeyboardInterrupt):
        run(grid, pool)
    assert len(pool.submitted) == 2
    assert free(grid)


def test_a_job_within_another_folder_has_all_its_files_there(grid, tmp_path):
    job = Job("trial", grid.trials[0])
    moved = job.within(tmp_path / "node")
    assert moved.entry.path == tmp_path / "node" / job.entry.path.relative_to(tmp_path)
    assert moved.needs.entry.path.parent == moved.entry.path.parent
    assert dataclasses.replace(moved.subject, entry=job.entry, baseline=job.subject.baseline) == (
        job.subject
    )
    assert TRIALS.kinds == moved.entry.kinds
