"""Whatever would fail fails now, before any training."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pruning
from experiment import record
from experiment.arguments import Options
from experiment.backend import require
from experiment.columns import Table
from experiment.errors import UserError, as_the_users
from experiment.progress import in_order
from experiment.study import RESULTS, Baseline, Study
from pruning import cost
from scnnb import precision
from scnnb.files import set_aside


class Size(NamedTuple):
    """What a network costs; MACs are None if they cannot be counted."""

    parameters: int
    macs: int | None


@dataclass(frozen=True)
class Sizes:
    """What the networks of a study cost.

    Attributes:
        full: Size of the unpruned network.
        after: `{pruning ratio: [pruning.sizes.Cut, one for each cut of the schedule]}`.
    """

    full: Size
    after: dict


def check_machine(options: Options, given):
    """Raise UserError if the machine lacks what the call needs.

    Args:
        options: arguments.Options.
        given: dict of the parsed arguments.
    """
    if options.ray:
        os.environ.setdefault("RAY_task_oom_retries", "2")  # of what took too much memory
        require("ray", "--ray")
    else:
        with as_the_users(ValueError):
            precision.check(given["precision"])
    if options.tensorboard:
        require("tensorboard", "--tensorboard")
        options.tensorboard.mkdir(parents=True, exist_ok=True)
    for file_format in options.export:
        for package in file_format.packages:
            require(package, f"--export {file_format.name}")


def sizes(network, study: Study):
    """The Sizes of a study; UserError if the network cannot be pruned like this.

    Args:
        network: Keras model, untrained or not.
        study: Study.
    """
    how = study.trials[0].settings  # all of a call agree in what is asked here
    try:
        full = Size(cost.parameters(network), cost.macs(network))
    except ValueError as error:
        print(f"MACs are left out: {error}")
        full = Size(cost.parameters(network), None)
    with as_the_users(ValueError):
        after = pruning.planned_sizes(
            network,
            list(dict.fromkeys(each.settings.pruning_ratio for each in study.trials)),
            layer_ratios=how.ratios,
            coupled=how.coupled,
            schedule=how.schedule,
        )
    return Sizes(full, after)


def check_csv(csv, table: Table):
    """Make sure that rows can be appended; what is no such CSV is set aside.

    Args:
        csv: pathlib.Path of the CSV.
        table: columns.Table that it holds.
    """
    csv.parent.mkdir(parents=True, exist_ok=True)
    with as_the_users(NotImplementedError), record.lock(csv):
        try:
            record.check(csv, table)
        except record.NotARecordError as error:
            set_aside(Path(os.path.realpath(csv)), error)


def check_space(study: Study, sizes: Sizes, formats):
    """Raise UserError if the disk has no room for the models, exports and backups to come.

    Args:
        study: Study.
        sizes: Sizes.
        formats: list of Format, the exports wanted.
    """
    stages = max(len(each) for each in sizes.after.values())
    # a backup of each and the one that replaces it, with Adam's two moments
    needed = (1 + stages) * 3 * sizes.full.parameters
    for subject in in_order(study):
        size = sizes.full
        if not isinstance(subject, Baseline):
            size = sizes.after[subject.settings.pruning_ratio][-1]
        entry = subject.entry
        files = [entry.model_file, *map(entry.export_file, formats)]
        needed += size.parameters * sum(not file.exists() for file in files)
    RESULTS.mkdir(exist_ok=True)
    free = shutil.disk_usage(RESULTS).free
    if 4 * needed > free:
        raise UserError(
            f"{RESULTS}/: {free / 1e6:,.0f} MB are free, but what this call stores may "
            f"need {4 * needed / 1e6:,.0f} MB; make room, or take fewer percentages or seeds"
        )
