"""The command line: what it takes, and how it refuses the rest."""

import argparse
import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import scnnb
from data.dataset import PIXELS
from experiment import backend, checks
from experiment.settings import TrialSettings, fields
from pruning import criteria
from pruning.exports import FORMATS

POSITIONS = "dataset lr batchSz Epoch1 Epoch2 filterPercentage".split()
UNUSED = {  # by an analysis of sensitivities: flag and its name in the code
    "--strategy": "strategy",
    "--schedule": "schedule",
    "--retrain-lr": "retrain_learning_rate",
    "--control": "control",
    "--layer-ratios": "layer_ratios",
    "--dry-run": "dry_run",
    "--export": "export",
    "--ray": "ray",
}
NEED_TENSORFLOW = {  # flags, and what else their user can do
    "export": ", or give the stored .keras files to pruning.export there",
    "tensorboard": "",
}


@dataclass(frozen=True)
class Options:
    """What of a call shapes no result.

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
        description="Train a network, remove the least important filters from every "
        "convolution, retrain, and append parameters against accuracy to a CSV, one row per "
        "percentage.",
        epilog="example: python3 formal.py fashion 0.001 128 35 30 0.4 (with KERAS_BACKEND=jax or "
        "torch in front of it on that backend instead of tensorflow)",
    )
    _add_settings(parser.add_argument)
    _add_options(parser.add_argument)
    parser.set_defaults(model="scnnb")
    return parser


def _add_settings(add):
    """The fields of the settings: positions first, in their order; `_defaults` comes after."""
    flags = {f.metadata["flag"]: f for f in fields(TrialSettings).values() if f.metadata["flag"]}
    for flag in [*POSITIONS, *(flag for flag in flags if flag not in POSITIONS)]:
        field = flags[flag]
        if flag in POSITIONS:
            add(field.name, metavar=flag, **field.metadata["parsed"])
        else:
            add(flag, dest=field.name, **field.metadata["parsed"])


def _defaults():
    """`{name: value}` of the settings whose flags may be left out; a list if it takes several."""
    found = {}
    for field in fields(TrialSettings).values():
        default, parsed = field.metadata["default"], field.metadata["parsed"]
        if field.metadata["flag"] and default is not dataclasses.MISSING and not callable(default):
            found[field.name] = [default] if "nargs" in parsed else default
    return found


def _add_options(add):
    add(
        "--trained",
        action="store_true",
        help="The file of --model is the trained baseline: Epoch1 is not used. "
        "Example: --model mine.keras --trained",
    )
    add(
        "--sensitivity",
        action="store_true",
        help="Instead, remove 0.1 ... 0.9 of each layer's filters alone and measure at once: "
        "nothing is retrained, Epoch2 and filterPercentage are not used. Example: --sensitivity",
    )
    add(
        "--max-drop",
        type=checks.ratio,
        metavar="PART",
        help="Of a sensitivity analysis, on training images, write the largest ratio of each layer "
        "that costs no more than this part of them, for --layer-ratios. Example: --max-drop 0.01",
    )
    add(
        "--seed",
        dest="seed",
        type=checks.seed,
        nargs=1,
        default=[0],
        metavar="N",
        help="Number that fixes initial weights, shuffling, dropout, shifts and flips "
        "(default 0). Example: --seed 1",
    )
    add(
        "--seeds",
        dest="seed",
        type=checks.seed,
        nargs="+",
        metavar="N",
        help="Several of them: everything is done with each, the summary and the figure hold the "
        "means. Example: --seeds 0 1 2",
    )
    add(
        "--dry-run",
        action="store_true",
        help="Print the grid of trials, what of it is done and what is left, and how long that may "
        "take, from the epochs seen so far; then end. Example: --dry-run",
    )
    add(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="Folder for TensorBoard's logs, one of each training, named like the stored models. "
        "Example: --tensorboard logs",
    )
    add(
        "--export",
        choices=list(FORMATS),
        nargs="+",
        action="extend",
        metavar="FORMAT",
        help="Write the baseline and every retrained network also as litert, litert-int8 (full "
        "integer quantisation), onnx or saved-model, and measure size, accuracy and latency of "
        "each file in its own runtime. Finished rows are not trained again. "
        "Example: --export litert litert-int8",
    )
    add(
        "--int8-io",
        action="store_true",
        help="The files of litert-int8 take and give int8 instead of float32. Example: --int8-io",
    )
    add(
        "--ray",
        type=checks.address,
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="Trials run side by side on Ray: on this machine, or on a running cluster (auto, "
        "HOST:PORT or ray://HOST:PORT), whose nodes need share no files. Example: --ray auto",
    )
    add(
        "--cpus-per-trial",
        type=checks.share,
        metavar="N",
        help="Processors that each trial of --ray is given, and its threads (default 1). "
        "Example: --cpus-per-trial 4",
    )
    add(
        "--gpus-per-trial",
        type=checks.share,
        metavar="N",
        help="GPUs that each trial of --ray is given, or the part of one (default none). "
        "Example: --gpus-per-trial 0.25",
    )
    add(
        "--csv",
        type=checks.csv,
        metavar="PATH",
        help="File the rows are appended to, its figure beside it (default "
        "results/<dataset>.csv, or results/<dataset>-sensitivity.csv). "
        "Example: --csv results/try.csv",
    )
    add(
        "--fresh",
        action="store_true",
        help="Compute anew what is stored or finished, and replace it. Example: --fresh",
    )


def _refuse_what_does_not_fit(parser, args):
    """End the program if arguments do not fit together."""
    if args.int8_io and not any(each.quantised for each in args.export):
        parser.error("--int8-io came without --export litert-int8; give both")
    for flag, instead in NEED_TENSORFLOW.items():
        if getattr(args, flag) and args.backend != "tensorflow":
            parser.error(
                f"--{flag} came with KERAS_BACKEND={args.backend}, but its files are written by "
                f"TensorFlow; take KERAS_BACKEND=tensorflow{instead}"
            )
    if args.trained and args.model in scnnb.NETWORKS:
        parser.error(f"--trained came with --model {args.model}; give the path of its file")
    if args.trained and args.control:
        parser.error(f"--trained came with --control {args.control}, which needs Epoch1; give one")
    for flag, given in (("cpus", args.cpus_per_trial), ("gpus", args.gpus_per_trial)):
        if given and not args.ray:
            parser.error(f"--{flag}-per-trial came without --ray; give both")
    if args.max_drop is not None and not args.sensitivity:
        parser.error("--max-drop came without --sensitivity; give both")
    for flag, name in UNUSED.items() if args.sensitivity else ():
        if (value := getattr(args, name)) and value != _defaults().get(name):
            parser.error(f"{flag} came with --sensitivity, which does not use it; leave one out")
    of_maps = [name for name in args.criterion if name in criteria.OF_FEATURE_MAPS]
    if args.strategy == "greedy" and of_maps:
        parser.error(
            f"--strategy greedy came with --criterion {of_maps[0]}; greedy leaves out parts of "
            f"kernels: give {', '.join(criteria.OF_KERNELS)}"
        )
    if args.augment and args.dataset == "mnist":
        parser.error(
            "--augment came with dataset mnist, and digits do not survive a flip; "
            "leave it out or name another dataset"
        )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        unknown = re.match("unrecognized arguments: (--[^ =]+)", message)
        choice = re.match(r".*invalid choice: '(.*)' \(choose from (.*)\)$", message)
        if unknown:
            message += checks.did_you_mean(unknown[1], re.findall(r"--[\w-]+", self.format_usage()))
        elif choice:
            message += checks.did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see --help\n")
