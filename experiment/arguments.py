"""The command line: its arguments, and the errors about wrong ones."""

import argparse
import dataclasses
import functools
import re

import scnnb
from data.dataset import PIXELS
from experiment import backend, checks, fields, options, recipes
from experiment.fields import PRUNE, TRAIN
from experiment.options import Options
from experiment.settings import STEPS, TrialSettings
from pruning import criteria
from pruning.exports import FORMATS

POSITIONS = "dataset lr batchSz Epoch1 Epoch2 filterPercentage".split()
MAY_BE_FUNCTIONS = ("dataset", "model", "criterion")  # of --custom
UNUSED = {  # with --sensitivity: flag and its name in the code
    "--ranking": "ranking",
    "--keep": "keep",
    "--strategy": "strategy",
    "--compensate": "compensate",
    "--schedule": "schedule",
    "--steps": "steps",
    "--retrain-lr": "retrain_learning_rate",
    "--retrain-schedule": "retrain_schedule",
    "--distill": "distill",
    "--distill-temperature": "distill_temperature",
    "--control": "control",
    "--layer-ratios": "layer_ratios",
    "--dry-run": "dry_run",
    "--export": "export",
    "--recalibrate": "recalibrate",
    "--verbose": "verbose",
    "--ray": "ray",
}
NEED_TENSORFLOW = {  # flags, and what else their user can do
    "export": "; or call pruning.export with the stored .keras files there",
    "tensorboard": "",
}


def parse(argv):
    """The arguments, each checked; a wrong one ends the program with status 2 and one line.

    KERAS_BACKEND is one of them: what it names shapes every result.

    Args:
        argv: list of texts.

    Returns:
        `(given, options)`: what `grid.trials` takes, and Options.
    """
    first = _Parser(prog="formal.py", add_help=False, allow_abbrev=False)
    options.add_custom(first.add_argument)
    first.add_argument("--target", **fields.of(TrialSettings)["target"].metadata["parsed"])
    early = first.parse_known_args(argv)[0]
    parser = make_parser(early.custom.functions if early.custom else (), early.target or "")
    # A blank in front keeps argparse from taking -inf, -1e-3 or -1..1 for an option
    values = [f" {a}" if checks.is_number(a) or a in PIXELS else a for a in argv]
    given = vars(parser.parse_intermixed_args(values))
    if given["sensitivity"]:  # before the recipe of the baseline, which may have --retrain-lr
        _refuse_unused(parser, given)
    if recipe := given.pop("recipe"):  # what is given beside it comes later, so it wins
        given = vars(parser.parse_intermixed_args([*recipe, *values]))
        del given["recipe"]
    given |= {name: value for name, value in _defaults().items() if given[name] is None}
    for name in ("criterion", "export"):
        given[name] = list(dict.fromkeys(given[name] or []))
    given["export"] = [FORMATS[name] for name in given["export"]]
    try:
        given["backend"] = backend.chosen()
    except ValueError as error:
        parser.error(str(error))
    _refuse_options(parser, argparse.Namespace(**given))
    _refuse_settings(parser, argparse.Namespace(**given))
    given |= {name: value for name, value in _following(given).items() if given[name] is None}
    others = {field.name: given.pop(field.name) for field in dataclasses.fields(Options)}
    return given, Options(**others)


def make_parser(functions=(), target=""):
    """The argparse.ArgumentParser of the command line.

    Args:
        functions: names of functions of `--custom`.
        target: value of `--target`.
    """
    parser = _Parser(
        prog="formal.py",
        allow_abbrev=False,
        description="Train a network, remove the least important filters from each convolution, "
        "retrain, and write parameters, MACs and accuracy to a CSV file, a row for each fraction.",
        epilog="Example: python3 formal.py fashion 0.001 128 35 30 0.4. For another backend than "
        "tensorflow, write KERAS_BACKEND=jax or KERAS_BACKEND=torch before it.",
    )
    groups = {
        title: parser.add_argument_group(title)
        for title in (PRUNE, TRAIN, options.WRITE, options.RUN)
    }
    groups[TRAIN].add_argument(
        "--recipe",
        type=recipes.arguments,
        metavar="NAME|FILE",
        help=f"Flags of a training: {', '.join(recipes.NAMES)}, or the path of a .toml file with "
        'lines such as lr-schedule = "cosine". A flag given beside it wins, also one that takes a '
        "line back, such as --warmup 0, --augment none or --no-normalize. Example: --recipe fast",
    )
    _add_settings(parser, groups, functions, target)
    options.add_to_prune(groups[PRUNE].add_argument)
    options.add_custom(groups[PRUNE].add_argument)
    options.add_seeds(groups[TRAIN].add_argument)
    options.add_to_write(groups[options.WRITE].add_argument)
    options.add_to_run(groups[options.RUN].add_argument)
    parser.set_defaults(model="scnnb")
    return parser


def _add_settings(parser, groups, functions, target):
    """The fields of the settings: positions first, in their order; `_defaults` comes after."""
    flags = {f.metadata["flag"]: f for f in fields.of(TrialSettings).values() if f.metadata["flag"]}
    for flag in [*POSITIONS, *(flag for flag in flags if flag not in POSITIONS)]:
        field = flags[flag]
        parsed = field.metadata["parsed"]
        if field.name in MAY_BE_FUNCTIONS:
            parsed = parsed | {"type": functools.partial(parsed["type"], functions=functions)}
        if field.name == "pruning_ratio":
            parsed = parsed | {"type": checks.AMOUNTS[target]}
        if flag in POSITIONS:
            parser.add_argument(field.name, metavar=flag, **parsed)
        else:
            groups[field.metadata["group"]].add_argument(flag, dest=field.name, **parsed)


def _defaults():
    """`{name: value}` of the settings whose flags may be left out; a list if it takes several."""
    found = {}
    for field in fields.of(TrialSettings).values():
        default, parsed = field.metadata["default"], field.metadata["parsed"]
        if field.metadata["flag"] and default is not dataclasses.MISSING and not callable(default):
            found[field.name] = [default] if "nargs" in parsed else default
    return found


def _following(given):
    """`{name: value}` of the settings whose default depends on others."""
    return {
        field.name: fields.usual(field, given)
        for field in fields.of(TrialSettings).values()
        if callable(field.metadata["default"])
    }


def _refuse_unused(parser, given):
    """End the program if `--sensitivity` would not use a flag."""
    for flag, name in UNUSED.items():
        if given[name] and given[name] != _defaults().get(name):
            parser.error(f"{flag} does not fit --sensitivity, which does not use it")
    if given["round_to"] and given["round_to"] > 1 and not given["target"]:
        parser.error("--round-to does not fit --sensitivity without --target")


def _refuse_options(parser, args):
    """End the program if an option does not fit the other arguments."""
    if args.int8_io and not any(each.quantised for each in args.export):
        parser.error("--int8-io requires --export litert-int8")
    for flag, instead in NEED_TENSORFLOW.items():
        if getattr(args, flag) and args.backend != "tensorflow":
            parser.error(
                f"--{flag} requires KERAS_BACKEND=tensorflow, got {args.backend}: TensorFlow "
                f"writes its files{instead}"
            )
    if args.trained and not args.model.endswith((".keras", ".h5")):
        parser.error(f"--trained requires --model with the path of a file, got {args.model}")
    if args.trained and args.control:
        parser.error(f"--control {args.control} does not fit --trained: it needs Epoch1")
    for flag, given in (("cpus", args.cpus_per_trial), ("gpus", args.gpus_per_trial)):
        if given and not args.ray:
            parser.error(f"--{flag}-per-trial requires --ray")
    if args.max_drop is not None and not args.sensitivity:
        parser.error("--max-drop requires --sensitivity")


def _refuse_settings(parser, args):
    """End the program if settings of the trials do not fit together."""
    others = [*criteria.OF_FEATURE_MAPS, *criteria.OF_NETWORKS]
    unfit = [name for name in args.criterion if name in others]
    if args.strategy == "greedy" and unfit:
        parser.error(
            f"--strategy greedy requires a --criterion of weights ({', '.join(criteria.OF_KERNELS)}"
            f"), got {unfit[0]}"
        )
    if args.keep is not None and args.ranking != "global":
        parser.error(f"--keep requires --ranking global, got {args.ranking}")
    if args.ranking == "global" and args.strategy == "greedy":
        parser.error(
            "--strategy greedy does not fit --ranking global: its scores depend on what earlier "
            "layers lose"
        )
    if args.ranking == "global" and args.schedule != "one-shot":
        parser.error(
            f"--schedule {args.schedule} does not fit --ranking global, which ranks all layers "
            "together in one cut"
        )
    if args.dense and "mean-std" in args.criterion:
        parser.error(
            "--dense does not fit --criterion mean-std, which is 0 for every unit of a Dense layer "
            "on vectors; give var-l2 or mean-l1"
        )
    if args.distill_temperature and not args.distill:
        parser.error("--distill-temperature requires --distill")
    if args.distill and args.distill_temperature == 0:
        parser.error("--distill-temperature: expected a number above 0, such as 4, got 0")
    if args.distill and not args.epoch2:
        parser.error("--distill requires Epoch2 above 0: without retraining, nothing is distilled")
    for flag in ("momentum", "nesterov"):
        if getattr(args, flag) and args.optimizer != "sgd":
            parser.error(f"--{flag} requires --optimizer sgd, got {args.optimizer}")
    if args.best_epoch and not args.validation:
        parser.error("--best-epoch requires --validation")
    if args.steps and args.schedule != "stepwise":
        parser.error(f"--steps requires --schedule stepwise, got {args.schedule}")
    if args.schedule == "stepwise" and 0 < args.epoch2 < (steps := args.steps or STEPS):
        parser.error(
            f"--steps: expected at most Epoch2 {args.epoch2}, got {steps}; each step has an epoch "
            "or more"
        )
    for name, epochs in _epochs(args).items():
        if 0 < epochs <= args.warmup:
            parser.error(f"--warmup: expected fewer epochs than {name} {epochs}, got {args.warmup}")
    if args.normalize and args.model not in scnnb.NETWORKS:
        parser.error(
            f"--normalize requires --model {', '.join(scnnb.NETWORKS)}, got {args.model}; put a "
            "Normalization layer into your network, and give --no-normalize beside a recipe"
        )
    if args.augment and args.dataset == "mnist":
        parser.error(
            "--augment does not fit dataset mnist: a flipped digit is no digit; give --augment none"
        )


def _epochs(args):
    """`{name: number}` of the epochs of each training of the call."""
    trainings = {} if args.trained else {"Epoch1": args.epochs}
    if args.sensitivity:
        return trainings
    if args.schedule == "stepwise":
        return trainings | {"Epoch2 / --steps": args.epoch2 // (args.steps or STEPS)}
    return trainings | {"Epoch2": args.epoch2}


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
