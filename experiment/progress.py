"""The finished and remaining part of a study, and an estimate of the time left."""

import math
import statistics
from typing import NamedTuple

import numpy as np

from experiment.log import change, duration, epochs, percent, size
from experiment.store import Entry
from experiment.study import Baseline, Study, Trial
from scnnb import backup


class Remaining(NamedTuple):
    """The remaining part of a study.

    Attributes:
        finished: number of finished trials.
        epochs: number of epochs left.
        seconds: estimated time of these epochs, None before the first epoch has ended.
    """

    finished: int
    epochs: int
    seconds: float | None


def trainings(subject: Baseline | Trial, sizes):
    """`[(epochs, MACs)]` of the trainings of a study.Baseline or study.Trial.

    Args:
        subject: study.Baseline or study.Trial.
        sizes: preflight.Sizes.
    """
    if isinstance(subject, Baseline):
        return [(subject.settings.recipe.epochs, sizes.full.macs or 0)]
    settings = subject.settings
    # with MACs of 0 for all, every epoch takes the same time
    macs = [cut.macs or 0 for cut in sizes.after[settings.amount]]
    if settings.control:
        return [(settings.from_scratch.epochs, macs[-1])]
    if settings.distill:
        # a step computes forwards and backwards, about three times the MACs; the baseline once
        macs = [each + (sizes.full.macs or 0) // 3 for each in macs]
    return [(settings.retraining(stage).epochs, each) for stage, each in enumerate(macs)]


def remaining(study, sizes, counts=lambda subject: True, at_once=1):
    """The remaining part of a study.

    Args:
        study: Study.
        sizes: preflight.Sizes.
        counts: function of a study.Baseline or study.Trial that returns whether its stored record
            is used; if not, it is computed again.
        at_once: number of trials that run at the same time.

    Returns:
        Remaining.
    """
    left, seen, finished = {}, [], 0
    for subject in in_order(study):
        planned, record = trainings(subject, sizes), peek(subject.entry)
        is_baseline = isinstance(subject, Baseline)
        if record and len(planned) == 1:
            ((count, macs),) = planned
            if seconds := record.get("seconds" if is_baseline else "retrain_seconds"):
                seen.append((macs, [seconds / count]))
        if record and counts(subject):
            finished += not is_baseline
            continue
        left[subject] = []
        for number, (count, macs) in enumerate(planned):
            done, _, epoch_seconds = backup.progress(subject.entry.backup_file(number))
            left[subject].append((count - done, macs))
            seen += [(macs, epoch_seconds)] if epoch_seconds else []
    count = sum(count for planned in left.values() for count, _ in planned)
    if not seen:
        return Remaining(finished, count, None)
    seconds = {subject: training_seconds(planned, seen) for subject, planned in left.items()}
    # a trial cannot run at the same time as its baseline
    chains = [
        own if isinstance(subject, Baseline) else own + seconds.get(subject.baseline, 0)
        for subject, own in seconds.items()
    ]
    return Remaining(finished, count, max([sum(seconds.values()) / at_once, *chains]))


def in_words(study: Study, sizes, **options):
    """A line about the remaining part of a study; arguments as for `remaining`."""
    left = remaining(study, sizes, **options)
    message = f"{left.finished} of {len(study.trials)} trials done, {epochs(left.epochs)} left"
    if not left.epochs:
        return message
    if left.seconds is None:
        return f"{message}; the time is known after the first epoch"
    return f"{message}, {duration(left.seconds)}"


def time_left(study: Study, sizes, **options):
    """The time left as a text, "" if it is not known; arguments as for `remaining`."""
    seconds = remaining(study, sizes, **options).seconds
    return "" if seconds is None else f"{duration(seconds)} left"


def show(study: Study, sizes):
    """Print the finished and remaining part of each trial; no file is changed."""
    print()
    for subject in in_order(study):
        planned = trainings(subject, sizes)
        total = sum(count for count, _ in planned)
        backups = [subject.entry.backup_file(number) for number in range(len(planned))]
        done = sum(backup.progress(file)[0] for file in backups)
        state = f"epoch {done} of {total}" if done else f"{epochs(total)} left"
        try:
            if record := subject.entry.peek():
                state = f"done, test accuracy {percent(record.get('accuracy', math.nan))}"
        except ValueError as error:
            state = f"{error}, {epochs(total)} left"
        print(f"seed {subject.seed}  {subject.entry.name:40} {state}")
    for amount, cuts in sizes.after.items():
        parameters = change(sizes.full.parameters, cuts[-1].parameters)
        macs = "" if cuts[-1].macs is None else f", MACs {change(sizes.full.macs, cuts[-1].macs)}"
        ratio = sizes.ratios.get(amount)
        # rounded down, because with a little more, another filter could go
        found = "" if ratio is None else f" (ratio {math.floor(1e6 * ratio) / 1e6:g})"
        print(f"pruned {size(*amount)}{found}: parameters {parameters}{macs}")
    if any(each.settings.ranking == "global" for each in study.trials):
        print("with global ranking, by the L1 norms of the weights that the network has now")
    print(in_words(study, sizes))


def in_order(study: Study):
    """The baselines of a study, each followed by its trials."""
    for baseline in study.baselines:
        yield baseline
        yield from study.of(baseline)


def peek(entry: Entry):
    """The record of an Entry, or None if it is missing or damaged; no file is changed."""
    try:
        return entry.peek()
    except ValueError:
        return None


def training_seconds(left, seen):
    """Estimated seconds of trainings.

    The time of an epoch is the median of the measured epochs of a network with the same MACs.
    Between two measured networks, the time is interpolated linearly in the MACs. Outside of them,
    it is the time of the nearest one.

    Args:
        left: list of `(epochs, MACs of the network)`.
        seen: list of `(MACs of the network, [seconds of each epoch])`, at least one epoch each.

    Returns:
        Float.
    """
    of_size = {}
    for of_network, seconds in seen:
        of_size.setdefault(of_network, []).extend(seconds)
    known = sorted(of_size)
    per_epoch = [statistics.median(of_size[each]) for each in known]
    return sum(count * float(np.interp(each, known, per_epoch)) for count, each in left)
