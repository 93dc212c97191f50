"""Options of the command line that are not settings of a trial: their flags and values."""

from dataclasses import dataclass
from pathlib import Path

from experiment import checks, custom
from experiment.custom import Custom
from pruning import request
from pruning.exports import FORMATS

WRITE, RUN = "what to write", "where to run"  # groups of --help
RECALIBRATION_IMAGES = 10_000  # if --recalibrate has no number


@dataclass(frozen=True)
class Options:
    """Arguments that are not settings of a trial.

    Attributes: those of the flags; `export` is a list of Format; the content of `custom` is a part
    of the settings.
    """

    custom: Custom | None
    unsupported: str
    sensitivity: bool
    max_drop: float | None
    dry_run: bool
    tensorboard: Path | None
    export: list
    int8_io: bool
    recalibrate: int | None
    ray: str | None
    cpus_per_trial: float | None
    gpus_per_trial: float | None
    csv: Path | None
    fresh: bool
    verbose: bool


def add_to_prune(add):
    """Add the options about what to prune, by `add_argument` of their group."""
    add(
        "--trained",
        action="store_true",
        help="The file of --model is trained already: it is the baseline, and Epoch1 is not used. "
        "Example: --model mine.keras --trained",
    )
    add(
        "--unsupported",
        default="keep",
        choices=list(request.UNSUPPORTED),
        help="Filters that reach a layer without a rule: they stay, and a warning names their "
        "layers (keep, default), or this is an error before any training (error). "
        "Example: --unsupported error",
    )
    add(
        "--sensitivity",
        action="store_true",
        help="Only measure the accuracy when a single layer is pruned, by 0.1, 0.2 ... 0.9 of its "
        "filters. Nothing is retrained; Epoch2 is not used, and filterPercentage only with "
        "--target: then measure on training images, and write a file for --layer-ratios for each "
        "target, which is reached where the accuracy falls least. Example: --sensitivity",
    )
    add(
        "--max-drop",
        type=checks.ratio,
        metavar="DROP",
        help="With --sensitivity: measure on training images, and write a file for --layer-ratios "
        "with the largest fraction of each layer that loses at most this much accuracy, 0..1. "
        "Example: --max-drop 0.01 for 1 point",
    )


def add_custom(add):
    """Add `--custom`, which names what other arguments may be."""
    add(
        "--custom",
        type=custom.read,
        metavar="FILE.py",
        help="Python file with your own layers and rules, and functions whose names may stand for "
        "the dataset, for --model and for --criterion. Example: --custom mine.py",
    )


def add_seeds(add):
    """Add `--seed` and `--seeds`."""
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


def add_to_write(add):
    """Add the options about what to write."""
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
        "--recalibrate",
        type=checks.count,
        nargs="?",
        const=RECALIBRATION_IMAGES,
        metavar="N",
        help="Also measure the accuracies with BatchNormalization statistics that are estimated "
        "again from N random training images (default 10000): of the baseline, right after pruning "
        "and after retraining. The stored networks do not change, and finished trials are not "
        "trained again. Example: --recalibrate 5000",
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


def add_to_run(add):
    """Add the options about where to run."""
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
