"""Train SCNNB, remove the filters of lowest L1 norm, retrain; parameters against accuracy as CSV.

    python3 formal.py fashion 0.001 128 35 30 0.4

Li et al. 2017, Pruning Filters for Efficient ConvNets, on the network of Lei et al. 2020. Keras
takes seconds to import: functions import what needs it, so that wrong arguments are told at once.
"""

import argparse
import datetime
import math
import os
import sys
from pathlib import Path

import filelock

import data

RESULTS = Path("results")


def main():
    """Run the command line; returns the exit status: 0 done, 2 wrong arguments, 1 anything else."""
    sys.stdout.reconfigure(line_buffering=True)  # `tail -f` follows a redirected run
    try:
        experiment(parse(sys.argv[1:]))
    except KeyboardInterrupt:
        print("formal.py: stopped; finished rows stay, the same call goes on", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        print(f"formal.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def experiment(args):
    """The baseline once, then every ratio: prune it, retrain, append a row, draw the curve."""
    _import_keras()
    from pruning import plots, report

    # Data
    dataset = data.load(args.dataset)
    print(
        f"{dataset.name}: {len(dataset.train_labels):,} training and {len(dataset.test_labels):,} "
        f"test images {dataset.image_shape}, {dataset.num_classes} classes"
    )

    # Where results go, and which are there already
    csv = args.csv or RESULTS / f"{dataset.name}.csv"
    csv.parent.mkdir(parents=True, exist_ok=True)
    folder = RESULTS / (
        f"{dataset.name}_scnnb_{args.optimizer}_lr{args.lr}_batch{args.batchSz}"
        f"_epochs{args.Epoch1}_seed{args.seed}_{dataset.fingerprint[:12]}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    trials = [
        {
            "dataset": dataset.name,
            "model": "scnnb",
            "pruning_ratio": ratio,
            "seed": args.seed,
            "criterion": "l1",
            "strategy": "independent",
            "schedule": "one-shot",
            "learning_rate": args.lr,
            "batch_size": args.batchSz,
            "epoch1": args.Epoch1,
            "epoch2": args.Epoch2,
            "optimizer": args.optimizer,
        }
        for ratio in args.filterPercentage
    ]
    if not args.fresh:
        trials = [settings for settings in trials if not _is_finished(csv, folder, settings)]
    if not trials:
        return

    # The baseline, then one row per ratio
    baseline, measured = train_or_read_baseline(dataset, folder, trials[0], fresh=args.fresh)
    for settings in trials:
        with _lock(_pruned_path(folder, settings)):
            # another call may have finished it while this one waited
            if args.fresh or not _is_finished(csv, folder, settings):
                row = trial(dataset, baseline, measured, settings, folder)
                report.append_row(csv, row)
        plots.draw_curve(csv, csv.with_suffix(".png"))
    print(f"rows in {csv}, curve in {csv.with_suffix('.png')}, models in {folder}/")


def train_or_read_baseline(dataset, folder, settings, *, fresh):
    """The trained, unpruned network, from its folder or trained and stored there.

    Args:
        dataset: Dataset.
        folder: pathlib.Path of the folder of these settings.
        settings: dict of plain values, the settings columns of the CSV.
        fresh: whether to train it even if it is stored.

    Returns:
        `(model, {"accuracy": 0..1, "seconds": of training})`.
    """
    import keras

    from scnnb import model, storage, training

    with _lock(folder / "baseline"):
        stored = None if fresh else storage.read_baseline(folder)
        if stored:
            print(f"baseline read from {folder}/")
            return stored
        print(f"training the baseline, epochs: {settings['epoch1']}")
        keras.utils.set_random_seed(settings["seed"])
        baseline = model.build_scnnb(dataset.image_shape, dataset.num_classes)
        seconds = _train(baseline, dataset, settings, epochs=settings["epoch1"])
        measured = {"accuracy": training.accuracy(baseline, dataset), "seconds": seconds}
        storage.save_baseline(folder, baseline, measured)
    return baseline, measured


def trial(dataset, baseline, measured, settings, folder):
    """Prune the baseline once, measure, retrain, measure, store; returns the finished row.

    Args:
        dataset: Dataset.
        baseline: trained Keras model, left untouched.
        measured: `{"accuracy": 0..1, "seconds": of training}` of the baseline.
        settings: dict of plain values, the settings columns of the CSV.
        folder: pathlib.Path where the pruned, retrained model is stored.
    """
    import keras
    import tensorflow

    import pruning
    from pruning import cost, report
    from scnnb import storage, training

    print(f"\npruning {settings['pruning_ratio']} of each convolution's filters")
    keras.utils.set_random_seed(settings["seed"])
    pruned = pruning.prune(baseline, settings["pruning_ratio"])
    print(report.layer_table(baseline, pruned))
    pruned_accuracy = training.accuracy(pruned, dataset)
    print(f"retraining, epochs: {settings['epoch2']}")
    seconds = _train(pruned, dataset, settings, epochs=settings["epoch2"])
    accuracy = training.accuracy(pruned, dataset)
    print(
        f"test accuracy: baseline {measured['accuracy']:.4f}, right after pruning "
        f"{pruned_accuracy:.4f}, after retraining {accuracy:.4f}"
    )
    storage.save_model(pruned, _pruned_path(folder, settings))
    return settings | {
        "parameters": cost.parameters(pruned),
        "accuracy": accuracy,
        "pruned_accuracy": pruned_accuracy,
        "baseline_parameters": cost.parameters(baseline),
        "baseline_accuracy": measured["accuracy"],
        "macs": cost.macs(pruned),
        "baseline_macs": cost.macs(baseline),
        "baseline_seconds": round(measured["seconds"], 1),
        "retrain_seconds": round(seconds, 1),
        "finished_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
    }


def parse(argv):
    """The arguments, each checked; a wrong one ends the program with status 2 and one line."""
    parser = _Parser(
        prog="formal.py",
        allow_abbrev=False,
        description="Train SCNNB, remove the filters of lowest L1 norm from every convolution, "
        "retrain, and append parameters against accuracy to a CSV, one row per percentage.",
        epilog="example: python3 formal.py fashion 0.001 128 35 30 0.4",
    )
    add = parser.add_argument
    add(
        "dataset",
        type=_dataset,
        help=f"{', '.join(data.DATASETS)}, or the path of an .npz file with uint8 images x_train, "
        "x_test and integer labels y_train, y_test; such as fashion",
    )
    add("lr", type=_learning_rate, help="learning rate per step, above 0; such as 0.001")
    add("batchSz", type=_count, help="images per training step; such as 128")
    add("Epoch1", type=_count, help="epochs of the baseline's training; such as 35")
    add("Epoch2", type=_count, help="epochs of retraining after pruning; such as 30")
    add(
        "filterPercentage",
        type=_ratio,
        nargs="+",
        help="part of each convolution's filters to remove, 0 <= part < 1; such as 0.4 for 40 %%; "
        "several share one baseline",
    )
    add(
        "--optimizer",
        choices=["adam", "sgd"],
        default="adam",
        help="adam, or sgd with momentum 0.9 and weight decay 5e-6 as in the paper of SCNNB; "
        "such as --optimizer sgd (default adam)",
    )
    add(
        "--seed",
        type=_seed,
        default=0,
        help="number that fixes initial weights, shuffling and dropout; such as --seed 1 "
        "(default 0)",
    )
    add(
        "--csv",
        type=_csv,
        metavar="PATH",
        help="file the rows are appended to, its figure beside it; such as --csv results/try.csv "
        "(default results/<dataset>.csv)",
    )
    add(
        "--fresh",
        action="store_true",
        help="train and compute anew what is stored or finished, and replace it",
    )
    # A blank in front keeps argparse from taking -inf or -1e-3 for an option
    return parser.parse_intermixed_args([f" {a}" if _is_number(a) else a for a in argv])


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def _checked(kind, holds, accepted):
    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not holds(value):
            raise argparse.ArgumentTypeError(f"{text.strip()!r} came, but it must be {accepted}")
        return value

    return convert


_learning_rate = _checked(
    float, lambda value: 0 < value < math.inf, "a number above 0, such as 0.001"
)
_count = _checked(
    int, lambda value: 1 <= value < 2**31, "a whole number of at least 1, such as 128"
)
_ratio = _checked(
    float, lambda value: 0 <= value < 1, "a part from 0 up to, but not including, 1, such as 0.4"
)
_seed = _checked(int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 2^32 - 1")
_dataset = _checked(
    str.strip,
    lambda value: value in data.DATASETS or (value.endswith(".npz") and Path(value).is_file()),
    f"{', '.join(data.DATASETS)} or the path of an .npz file that exists",
)
_csv = _checked(
    Path,
    lambda value: value.suffix == ".csv" and not value.is_dir(),
    "the path of a file that ends in .csv, such as results/fashion.csv",
)


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _import_keras():
    """Import Keras on TensorFlow, without what TensorFlow's C++ part writes on the way.

    TF_CPP_MIN_LOG_LEVEL reaches that part only after it is loaded; before, it writes straight to
    file descriptor 2. Where the variable is set already, as 0 to see everything, nothing is
    hidden. Python's own warnings arrive in any case.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    hidden = "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    if hidden:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        terminal = os.dup(2)
        sys.stderr = open(terminal, "w", buffering=1)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
    try:
        import keras
    finally:
        if hidden:
            os.dup2(terminal, 2)
    keras.config.set_image_data_format("channels_last")  # whatever ~/.keras/keras.json says
    keras.config.set_floatx("float32")


def _is_finished(csv, folder, settings):
    """Whether the row and its model are there; then the row is shown."""
    from pruning import report

    row = report.find_row(csv, settings)
    if row is None or not _pruned_path(folder, settings).exists():
        return False
    print(
        f"{row['pruning_ratio']} is finished since {row['finished_at']}: {row['parameters']:,} "
        f"parameters, test accuracy {row['baseline_accuracy']:.4f} baseline, "
        f"{row['pruned_accuracy']:.4f} right after pruning, {row['accuracy']:.4f} after retraining"
    )
    return True


def _pruned_path(folder, settings):
    return folder / f"pruned{settings['pruning_ratio']}_retrained{settings['epoch2']}.keras"


def _train(model, dataset, settings, *, epochs):
    from scnnb import training

    return training.train(
        model,
        dataset,
        epochs=epochs,
        batch_size=settings["batch_size"],
        optimizer=settings["optimizer"],
        learning_rate=settings["learning_rate"],
    )


def _lock(path):
    """The lock beside a file that one run at a time may make; it falls with the process."""
    lock = filelock.FileLock(f"{path}.lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"waiting for another run that makes {path.stem}")
        return lock.acquire()


if __name__ == "__main__":
    sys.exit(main())
