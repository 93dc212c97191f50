"""Check before any training whether it would fail later."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pruning
from data import split
from experiment import record, samples, settings
from experiment.backend import require
from experiment.columns import Table
from experiment.errors import UserError, as_the_users
from experiment.options import Options
from experiment.progress import in_order
from experiment.study import RESULTS, Baseline, Study
from pruning import cost, criteria, groups, recalibration, request, selection, sensitivity
from scnnb import precision
from scnnb.files import set_aside

SCORED_IMAGES = 2  # that try a criterion before any training


class Size(NamedTuple):
    """Parameters and MACs of a network; MACs are None if they cannot be counted."""

    parameters: int
    macs: int | None


@dataclass(frozen=True)
class Sizes:
    """Parameters and MACs of the networks of a study.

    Attributes:
        full: Size of the unpruned network.
        after: `{TrialSettings.amount: [pruning.sizes.Cut, one for each cut of the schedule]}`.
        ratios: `{TrialSettings.amount: ratio}` of the targets that all layers reach by one ratio.
    """

    full: Size
    after: dict
    ratios: dict


def check_machine(options: Options, given):
    """Check that this machine has the packages, the instructions and the folder for a call.

    Args:
        options: options.Options.
        given: dict of the parsed arguments.

    Raises:
        UserError: a package is missing, or the precision would be slow.
    """
    if options.ray:
        os.environ.setdefault("RAY_task_oom_retries", "2")  # after a call used too much memory
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


def check_scores(network, dataset, given, options: Options):
    """Check that each criterion of `--custom` or of networks scores the filters of the network.

    Args:
        network: Keras model, trained or not.
        dataset: Dataset.
        given: dict of the parsed arguments; `criterion` is a list.
        options: options.Options.

    Raises:
        UserError: a score is missing or not finite.
    """
    names, custom = given["criterion"], options.custom
    for name in [name for name in names if name in criteria.OF_NETWORKS]:
        _check_ranking(network, dataset, given, name, options.sensitivity)
    own = [name for name in names if custom and name in custom.functions]
    dense = bool(given["dense"])
    with as_the_users(ValueError):
        members = groups.find(network, dense=dense).members.values() if own else ()
    for filters in (member.flow.filters for member in members):
        for name in own if filters.prunable else ():
            criteria.OF_KERNELS[name](filters.kernel())


def check_validation(dataset, part):
    """Print how many of the training images are for validation, if there are any.

    Args:
        dataset: Dataset.
        part: of the training images, as `split.chosen` takes it.

    Raises:
        UserError: a class has too few training images.
    """
    with as_the_users(ValueError):
        count = np.count_nonzero(split.chosen(dataset.train_labels, part))
    if count:
        print(f"{count:,} of the training images are for validation")


def _check_ranking(network, dataset, given, name, alone):
    """Rank the filters by a criterion of networks, from a few images; `alone`: each layer."""
    most = min if given["target"] else max
    amount: dict[str, Any] = {given["target"] or "ratio": most(given["pruning_ratio"])}
    only, how = None, settings.options(given)
    with as_the_users(ValueError):
        structure = groups.find(network, dense=how["dense"])
        if alone:
            amount = {"ratio": sensitivity.RATIOS[-1]}
            stages, _ = sensitivity.measurable(network, how["coupled"], dense=how["dense"])
            only = [path for stage in stages for path in stage]
        needed = samples.for_criterion(name, network, dataset, given["seed"][0], SCORED_IMAGES)
        scores = pruning.judge(network, name, **needed)
        wanted = request.request(**amount, **how)
        selection.kept(structure, wanted, scores, only=only)


def sizes(network, study: Study, given, unsupported="keep"):
    """The Sizes of a study.

    Args:
        network: Keras model, trained or not.
        study: Study.
        given: dict of the parsed arguments.
        unsupported: as `pruning.prune` takes it.

    Raises:
        UserError: the network cannot be pruned with these settings.
    """
    try:
        full = Size(cost.parameters(network), cost.macs(network))
    except ValueError as error:
        print(f"MACs are not counted: {error}")
        full = Size(cost.parameters(network), None)
    how, ratios = settings.options(given) | {"unsupported": unsupported}, {}
    amounts = dict.fromkeys(each.settings.amount for each in study.trials)
    with as_the_users(ValueError):
        if given["ranking"] == "uniform":
            ratios = {
                (what, amount): pruning.target_ratio(network, **{what: amount}, **how)
                for what, amount in amounts
                if what != "ratio"
            }
        planned = {each: ("ratio", ratios[each]) if each in ratios else each for each in amounts}
        after = _planned(network, planned, given, how)
    return Sizes(full, after, ratios)


def _planned(network, amounts, given, how):
    """`{amount: cuts}` of `{amount: the same, or the ratio that reaches it}`."""
    cuts = {}
    for kind in dict.fromkeys(what for what, _ in amounts.values()):
        numbers = {each: number for each, (what, number) in amounts.items() if what == kind}
        name = "ratios" if kind == "ratio" else kind
        wanted: dict[str, Any] = {name: list(dict.fromkeys(numbers.values()))}
        sizes = pruning.planned_sizes(
            network,
            **wanted,
            schedule=given["schedule"],
            steps=given["steps"] or 1,
            **how,
        )
        cuts |= {each: sizes[number] for each, number in numbers.items()}
    return cuts


def check_recalibration(network, given):
    """Check that `--recalibrate` fits the network.

    Args:
        network: Keras model, trained or not.
        given: dict of the parsed arguments; `model` is the name or path of the network.

    Raises:
        UserError: there is nothing to recalibrate.
    """
    if not recalibration.normalisations(network):
        raise UserError(
            f"--recalibrate does not fit --model {given['model']}: it has no BatchNormalization"
        )


def check_csv(csv, table: Table):
    """Check that rows can be appended to a CSV; a file with other content is set aside.

    Args:
        csv: pathlib.Path of the CSV.
        table: columns.Table of the CSV.
    """
    csv.parent.mkdir(parents=True, exist_ok=True)
    with as_the_users(NotImplementedError), record.lock(csv):
        try:
            record.check(csv, table)
        except record.NotARecordError as error:
            set_aside(Path(os.path.realpath(csv)), error)


def check_space(study: Study, sizes: Sizes, formats):
    """Check that the disk has room for the models, exports and backups of a study.

    Args:
        study: Study.
        sizes: Sizes.
        formats: list of Format to export to.

    Raises:
        UserError: the free space is too small.
    """
    stages = max(len(each) for each in sizes.after.values())
    # a backup of every training and the next one, with the weights and Adam's two moments
    copies = 4 if study.trials[0].settings.baseline.recipe.best_epoch else 3
    needed = (1 + stages) * copies * sizes.full.parameters
    for subject in in_order(study):
        size = sizes.full
        if not isinstance(subject, Baseline):
            size = sizes.after[subject.settings.amount][-1]
        entry = subject.entry
        files = [entry.model_file, *map(entry.export_file, formats)]
        needed += size.parameters * sum(not file.exists() for file in files)
    RESULTS.mkdir(exist_ok=True)
    free = shutil.disk_usage(RESULTS).free
    if 4 * needed > free:
        raise UserError(
            f"{RESULTS}/: expected {4 * needed / 1e6:,.0f} MB of free disk space, got "
            f"{free / 1e6:,.0f} MB; free some space, or give fewer percentages or seeds"
        )
