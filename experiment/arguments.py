"""The command line: its arguments, and the errors about wrong ones."""

import argparse
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import scnnb
from data.dataset import PIXELS
from experiment import backend, checks
from experiment.settings import PRUNE, TRAIN, TrialSettings, fields
from pruning import criteria
from pruning.exports import FORMATS

WRITE, RUN = "what to write", "where to run"  # groups of --help
POSITIONS = "dataset lr batchSz Epoch1 Epoch2 filterPercentage".split()
UNUSED = {  # with --sensitivity: flag and its name in the code
    "--strategy": "strategy",
    "--schedule": "schedule",
    "--retrain-lr": "retrain_learning_rate",
    "--control": "control",
    "--layer-ratios": "layer_ratios",
    "--dry-run": "dry_run",
    "--export": "export",
    "--verbose": "verbose",
    "--ray": "ray",
}
NEED_TENSORFLOW = {  # flags, and what else their user can do
    "export": "; or call pruning.export with the stored .keras files there",
    "tensorboard": "",
}


@dataclass(frozen=True)
class Options:
    """Arguments that do not shape a result.

    Attributes: those of the flags; `export` is a list of Format.
    """

    sensitivity: bool
    max_drop: float | None
    dry_run: bool
    tensorboard: Path | None
    export: list
    int8_io: bool
    ray: str | None
    cpus_per_trial: float | None
    gpus_per_trial: float | None
    csv: Path | None
    fresh: bool
    verbose: bool


def parse(argv):
    """The arguments, each checked; a wrong one ends the program with status 2 and one line.

    KERAS_BACKEND is one of them: what it names shapes every result.

    Args:
        argv: list of texts.

    Returns:
        `(given, options)`: what `settings.grid` takes, and Options.
    """
    parser = make_parser()
    # A blank in front keeps argparse from taking -inf, -1e-3 or -1..1 for an option
    values = [f" {a}" if checks.is_number(a) or a in PIXELS else a for a in argv]
    given = vars(parser.parse_intermixed_args(values))
    given |= {name: value for name, value in _defaults().items() if given[name] is None}
    for name in ("criterion", "export"):
        given[name] = list(dict.fromkeys(given[name] or []))
    given["export"] = [FORMATS[name] for name in given["export"]]
    try:
        given["backend"] = backend.chosen()
    except ValueError as error:
        parser.error(str(error))
    _refuse_what_does_not_fit(parser, argparse.Namespace(**given))
    options = {field.name: given.pop(field.name) for field in dataclasses.fields(Options)}
    return given, Options(**options)


def make_parser():
    """The argparse.ArgumentParser of the command line."""
    parser = _Parser(
        prog="formal.py",
        allow_abbrev=False,
        description="Train a network, remove the least important filters from each convolution, "
        "retrain, and write parameters, MACs and accuracy to a CSV file, a row for each fraction.",
        epilog="Example: python3 formal.py fashion 0.001 128 35 30 0.4. For another backend than "
        "tensorflow, write KERAS_BACKEND=jax or KERAS_BACKEND=torch before it.",
    )
    groups = {title: parser.add_argument_group(title) for title in (PRUNE, TRAIN, WRITE, RUN)}
    _add_settings(parser, groups)
    _add_to_prune(groups[PRUNE].add_argument)
    _add_seeds(groups[TRAIN].add_argument)
    _add_to_write(groups[WRITE].add_argument)
    _add_to_run(groups[RUN].add_argument)
    parser.set_defaults(model="scnnb")
    return parser


def _add_settings(parser, groups):
    """The fields of the settings: positions first, in their order; `_defaults` comes after."""
    flags = {f.metadata["flag"]: f for f in fields(TrialSettings).values() if f.metadata["flag"]}
    for flag in [*POSITIONS, *(flag for flag in flags if flag not in POSITIONS)]:
        field = flags[flag]
        parsed = field.metadata["parsed"]
        if flag in POSITIONS:
            parser.add_argument(field.name, metavar=flag, **parsed)
        else:
            groups[field.metadata["group"]].add_argument(flag, dest=field.name, **parsed)


def _defaults():
    """`{name: value}` of the settings whose flags may be left out; a list if it takes several."""
    found = {}
    for field in fields(TrialSettings).values():
        default, parsed = field.metadata["default"], field.metadata["parsed"]
        if field.metadata["flag"] and default is not dataclasses.MISSING and not callable(default):
            found[field.name] = [default] if "nargs" in parsed else default
    return found


def _add_to_prune(add):
    add(
        "--trained",
        action="store_true",
        help="The file of --model is trained already: it is the baseline, and Epoch1 is not used. "
        "Example: --model mine.keras --trained",
    )
    add(
        "--sensitivity",
        action="store_true",
        help="Only measure the accuracy when a single layer is pruned, by 0.1, 0.2 ... 0.9 of its "
        "filters. Nothing is retrained; Epoch2 and filterPercentage are not used. "
        "Example: --sensitivity",
    )
    add(
        "--max-drop",
        type=checks.ratio,
        metavar="DROP",
        help="With --sensitivity: measure on training images, and write a file for --layer-ratios "
        "with the largest fraction of each layer that loses at most this much accuracy, 0..1. "
        "Example: --max-drop 0.01 for 1 point",
    )


def _add_seeds(add):
    add(
        "--seed",
        dest="seed",
        type=checks.seed,
        nargs=1,
        default=[0],
        metavar="N",
        help="Seed of the initial weights, the order of images, dropout and --augment "
        "(default 0). Example: --seed 1",
    )
    add(
        "--seeds",
        dest="seed",
        type=checks.seed,
        nargs="+",
        metavar="N",
        help="Repeat everything with each of these seeds; table, summary and figure show mean and "
        "standard deviation. Example: --seeds 0 1 2",
    )


def _add_to_write(add):
    add(
        "--csv",
        type=checks.csv,
        metavar="PATH",
        help="CSV file to which rows are added; table, summary and figures are beside it (default "
        "results/<dataset>.csv, or results/<dataset>-sensitivity.csv). "
        "Example: --csv results/try.csv",
    )
    add(
        "--export",
        choices=list(FORMATS),
        nargs="+",
        action="extend",
        metavar="FORMAT",
        help="Also write the baseline and each retrained network as litert, litert-int8 (full "
        "integer quantisation), onnx or saved-model, and measure bytes, accuracy and latency of "
        "each file in its own runtime. Finished trials are not trained again. "
        "Example: --export litert litert-int8",
    )
    add(
        "--int8-io",
        action="store_true",
        help="Inputs and outputs of litert-int8 files are int8 instead of float32. "
        "Example: --export litert-int8 --int8-io",
    )
    add(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="Folder for TensorBoard logs of each training, named like the stored models. "
        "Example: --tensorboard logs",
    )
    add(
        "--verbose",
        action="store_true",
        help="Print filters, parameters and MACs of each layer after each pruning. "
        "Example: --verbose",
    )
    add(
        "--fresh",
        action="store_true",
        help="Compute finished trials and stored baselines again, and replace them. "
        "Example: --fresh",
    )
    add(
        "--dry-run",
        action="store_true",
        help="Only print which trials are finished, which are left, and how long these may take "
        "by the epochs so far. Example: --dry-run",
    )


def _add_to_run(add):
    add(
        "--ray",
        type=checks.address,
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="Run trials at the same time with Ray: on this machine, or on a running cluster "
        "(auto, HOST:PORT or ray://HOST:PORT), whose nodes need no shared folder. "
        "Example: --ray auto",
    )
    add(
        "--cpus-per-trial",
        type=checks.share,
        metavar="N",
        help="With --ray: processor cores, and threads, of each trial (default 1). "
        "Example: --cpus-per-trial 4",
    )
    add(
        "--gpus-per-trial",
        type=checks.share,
        metavar="N",
        help="With --ray: GPUs of each trial, or the part of one (default 0). "
        "Example: --gpus-per-trial 0.25",
    )


def _refuse_what_does_not_fit(parser, args):
    """End the program if arguments do not fit together."""
    if args.int8_io and not any(each.quantised for each in args.export):
        parser.error("--int8-io requires --export litert-int8")
    for flag, instead in NEED_TENSORFLOW.items():
        if getattr(args, flag) and args.backend != "tensorflow":
            parser.error(
                f"--{flag} requires KERAS_BACKEND=tensorflow, got {args.backend}: TensorFlow "
                f"writes its files{instead}"
            )
    if args.trained and args.model in scnnb.NETWORKS:
        parser.error(f"--trained requires --model with the path of a file, got {args.model}")
    if args.trained and args.control:
        parser.error(f"--control {args.control} does not fit --trained: it needs Epoch1")
    for flag, given in (("cpus", args.cpus_per_trial), ("gpus", args.gpus_per_trial)):
        if given and not args.ray:
            parser.error(f"--{flag}-per-trial requires --ray")
    if args.max_drop is not None and not args.sensitivity:
        parser.error("--max-drop requires --sensitivity")
    for flag, name in UNUSED.items() if args.sensitivity else ():
        if (value := getattr(args, name)) and value != _defaults().get(name):
            parser.error(f"{flag} does not fit --sensitivity, which does not use it")
    of_maps = [name for name in args.criterion if name in criteria.OF_FEATURE_MAPS]
    if args.strategy == "greedy" and of_maps:
        parser.error(
            f"--strategy greedy requires a --criterion of weights ({', '.join(criteria.OF_KERNELS)}"
            f"), got {of_maps[0]}"
        )
    if args.augment and args.dataset == "mnist":
        parser.error("--augment does not fit dataset mnist: a flipped digit is no digit")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        unknown = re.match("unrecognized arguments: (--[^ =]+)", message)
        choice = re.match(r"(.*): invalid choice: '(.*)' \(choose from (.*)\)$", message, re.S)
        if unknown:
            message += checks.did_you_mean(unknown[1], re.findall(r"--[\w-]+", self.format_usage()))
        elif choice:
            argument, given, choices = choice.groups()
            choices = choices.replace("'", "")  # of Python 3.11
            message = f"{argument}: {checks.expected(choices, given)}"
            message += checks.did_you_mean(given, choices.split(", "))
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see --help\n")
