"""Parameters against accuracy: the row of each trial, the summary, the table and the figures."""

import contextlib
import functools
import time
from pathlib import Path

import numpy as np

from data import split
from experiment import (
    curve_figure,
    exporting,
    layer_tables,
    log,
    preflight,
    progress,
    record,
    summary,
)
from experiment.columns import TRIALS
from experiment.errors import UserError, as_the_users
from experiment.here import Here
from experiment.options import Options
from experiment.runner import Outcome, Runner
from experiment.study import RESULTS, Study, Trial
from experiment.work import Shared, callbacks

SECONDS_BETWEEN_FIGURES = 60  # drawing takes 1 to 4 seconds
ROOT = Path(__file__).parent.parent
PACKAGES = ("data", "scnnb", "pruning", "experiment")  # what nodes of a cluster need


def draw(study: Study, sizes: preflight.Sizes, dataset, network, options: Options):
    """Run all trials, append their rows, write the table and draw the figures.

    Args:
        study: Study.
        sizes: preflight.Sizes of it.
        dataset: Dataset.
        network: name or path of the network, as `networks.build` takes it.
        options: options.Options.

    Raises:
        UserError: a trial, a recalibration or an export failed; all others are finished.
    """
    csv = options.csv or RESULTS / f"{dataset.name}.csv"
    _prepare(csv, study, sizes, options)
    validation = study.trials[0].settings.baseline.validation
    trained_on = int(np.count_nonzero(~split.chosen(dataset.train_labels, validation)))
    recalibration = min(options.recalibrate or 0, trained_on)
    shared, failed = Shared(network, options.export, options.int8_io, recalibration), []

    def time_left():
        return progress.time_left(study, sizes, counts=runner.counts)

    drawn = time.monotonic()
    try:
        with _pool(dataset, shared, options, time_left) as pool:
            runner = Runner(
                study,
                pool,
                formats=shared.formats,
                int8_io=shared.int8_io,
                recalibration=recalibration,
                fresh=options.fresh,
            )
            left = functools.partial(
                progress.in_words, study, sizes, counts=runner.counts, at_once=pool.places
            )
            for outcome in runner.outcomes():
                failed += _recorded(outcome, csv, shared.formats, left, options.verbose)
                if time.monotonic() - drawn > SECONDS_BETWEEN_FIGURES:
                    _draw_figures(csv)
                    drawn = time.monotonic()
            if outcome.record and not outcome.computed:  # else its end was followed by this line
                print(left())
    finally:
        pictures = _draw_figures(csv)  # also if the run was stopped
    if pictures:
        _print_files(csv, pictures)
    if failed:
        raise UserError(f"failed: {'; '.join(failed)}")


def _prepare(csv, study: Study, sizes: preflight.Sizes, options: Options):
    """Check what could fail later; with --fresh, delete the backups."""
    preflight.check_csv(csv, TRIALS)
    preflight.check_space(study, sizes, options.export)
    if options.fresh:
        for subject in progress.in_order(study):
            subject.entry.remove_backups()


@contextlib.contextmanager
def _pool(dataset, shared: Shared, options: Options, time_left):
    """The pool that does the jobs: this process, or with --ray the nodes of Ray."""
    if not options.ray:
        watch = functools.partial(callbacks, tensorboard=options.tensorboard, time_left=time_left)
        yield Here(dataset, shared, watch)
        return
    from experiment.cluster import Cluster, ClusterError  # an optional package
    from experiment.nodes import Nodes

    given = {"cpus": options.cpus_per_trial or 1, "gpus": options.gpus_per_trial or 0}
    code, plain = [ROOT / name for name in PACKAGES], (UserError, OSError, MemoryError)
    with as_the_users(ClusterError):
        with Cluster(options.ray, code=code, plain=plain, **given) as cluster:
            yield Nodes(cluster, dataset, shared, options.tensorboard, options.custom)


def _recorded(outcome: Outcome, csv, formats, left, verbose):
    """Append the row of a job to the CSV and print it; returns the failures, a list of texts."""
    job, row = outcome.job, outcome.record
    if job.kind == "baseline":
        if row and not outcome.computed:
            print(log.baseline_read(job.entry.path.parent, row))
        return []  # a failure is reported with each of its trials
    if row is None:
        failed = f"{job.name}: {outcome.error}"
        print(f"FAILED: {failed}; {left()}")
        return [failed]
    if isinstance(job.subject, Trial):
        with as_the_users(record.NotARecordError):  # another program may have written it
            record.append_rows(csv, [row])
            summary.write(csv)
    if job.kind == "recalibration":
        print(log.recalibrated(row))
        return []
    if job.kind == "exports":
        exporting.report_loss(job.entry, row, formats)
        why = row.get("failed_exports")
        if outcome.computed:  # its own lines may have been printed on another machine
            print(f"{job.name}: {why or 'done'}")
        return [f"{job.name}: {why}"] if why else []
    if not outcome.computed:
        print(f"{job.name} was finished at {row['finished_at']}; it is not trained again:")
    table = layer_tables.read(job.entry.layers_file)
    if verbose and table:
        print(table)
    print(log.in_words(row, table and layer_tables.filters(table)))
    if outcome.computed:
        print(left())
    return []


def _draw_figures(csv):
    """Draw the figures of the rows so far; returns the PNG files."""
    if not csv.exists():  # no trial is finished
        return []
    with as_the_users(record.NotARecordError):
        return curve_figure.draw(csv, csv.with_suffix(".png"))


def _print_files(csv, pictures):
    figures = ", ".join(each.name for each in pictures)
    print(
        f"written in {csv.parent}/: {csv.name} (rows), {csv.stem}.md (table), "
        f"{csv.stem}-summary.csv (means), {figures} and .pdf (figures); models in {RESULTS}/*/"
    )
