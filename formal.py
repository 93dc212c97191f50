"""Train a network, remove its least important filters, retrain; parameters against accuracy.

    python3 formal.py fashion 0.001 128 35 30 0.4

Li et al. 2017, Pruning Filters for Efficient ConvNets, by default on SCNNB of Lei et al. 2020.
Keras takes seconds to import: functions import what needs it, so that wrong arguments are told at
once.
"""

import argparse
import contextlib
import datetime
import difflib
import errno
import functools
import hashlib
import importlib
import itertools
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import filelock

import data
import scnnb
from data.dataset import PIXELS
from pruning import criteria
from pruning.exports import FORMATS
from pruning.paper import LAYER_RATIOS

RESULTS = Path("results")
TRAINING_IMAGES = 10_000  # to measure on where ratios are chosen
PIXEL_IMAGES = 500  # training images on which ranges of pixel values are compared
CLEARLY = 0.1  # of accuracy, by which another range must be better to be named
CALIBRATION_IMAGES = 500  # training images by which int8 finds its ranges
LOSS_TO_TELL = 0.01  # of accuracy, by int8
STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]  # each ends a run tidily
OF_THE_SYSTEM = [  # errors of a disk or file that come without its name
    getattr(errno, name)
    for name in "EDQUOT EFBIG EIO ENOLCK ENOMEM ENOSPC EPIPE EROFS ESTALE".split()
]
ERROR_LENGTH = 300  # characters, of an export that failed
ANY_RANKING = {"criterion": "l1", "strategy": "independent"}  # where only the shape matters


class UserError(Exception):
    """What the user can mend, in words; of any other error the traceback is shown."""


class Baseline(NamedTuple):
    """The trained, unpruned network, and what all trials of a sweep share of it.

    Attributes:
        model: Keras model.
        accuracy: on the test images, 0..1.
        seconds: of its training.
        infer: function of a batch of images, as `machine.inference` returns it.
    """

    model: object
    accuracy: float
    seconds: float
    infer: object


def main():
    """Run the command line; returns the exit status.

    0 done, 2 wrong arguments, 1 anything else; 128 and its number if a signal ended the run.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))
    # `tail -f` follows a redirected run; a letter that the terminal lacks is written as its code
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    came = []

    def stop(number, frame):
        came.append(number)
        raise KeyboardInterrupt

    try:
        with _on_signals(stop):
            with _on_signals(_end_at_once):  # what is imported may swallow an exception
                args = parse(sys.argv[1:])
                _import_keras()
            experiment(args)
    except (KeyboardInterrupt, Exception) as error:
        if came or isinstance(error, KeyboardInterrupt):  # on its way it may become another
            return _stopped(*came[:1] or [signal.SIGINT])
        if not _is_the_users(error):
            raise
        told = str(error) or "there is not enough memory"
        full = getattr(error, "errno", None) == errno.ENOSPC
        advice = "; make room, the same call goes on" if full else ""
        print(f"formal.py: {' '.join(told.split())}{advice}", file=sys.stderr)
        return 1
    return 0


def end(status):
    """End the process; by the signal that stopped the run, so that a shell ends its loop, too."""
    if status > 128:
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stdout.flush()
        signal.signal(status - 128, signal.SIG_DFL)
        signal.raise_signal(status - 128)
    sys.exit(status)


def experiment(args):
    """Load, build, refuse what cannot be done; then every trial, or each layer's sensitivity."""
    from scnnb import precision

    if args.ray:
        os.environ.setdefault("RAY_task_oom_retries", "2")  # of what took too much memory
        _require("ray", "--ray")
        import tensorflow

        tensorflow.config.set_visible_devices([], "GPU")  # they are the trials'
    else:
        with _as_the_users(ValueError):
            precision.check(args.precision)
    with _as_the_users(OSError, ValueError, NotImplementedError):
        dataset = data.load(args.dataset).between(args.pixels)
    print(
        f"{dataset.name}: {len(dataset.train_labels):,} training and {len(dataset.test_labels):,} "
        f"test images {dataset.image_shape}, {dataset.num_classes} classes"
    )
    network = build(args.model, dataset)
    if args.trained:
        _warn_of_pixels(network, dataset, args)
    if args.tensorboard:
        _require("tensorboard", "--tensorboard")
        args.tensorboard.mkdir(parents=True, exist_ok=True)
    for name in args.export:
        for package in FORMATS[name].packages:
            _require(package, f"--export {name}")
    content = _content(dataset, network, args.model)
    trials = [
        (settings, _folder(settings) / _trial_name(settings))
        for settings in grid(args, dataset.name, content)
    ]
    sizes = refuse_early(network, trials, args.sensitivity)
    del network  # each baseline is built anew, and this one would stay in memory
    if args.dry_run:
        show_grid(trials, sizes)
        return
    for _, path in trials:
        path.parent.mkdir(parents=True, exist_ok=True)
    if args.sensitivity:
        sensitivities(args, dataset, trials)
    else:
        curve(args, dataset, trials, sizes)


def refuse_early(network, trials, sensitivity):
    """Do with the untrained network what will be done with the trained one, or raise UserError.

    Args:
        network: Keras model.
        trials: list of `(settings, path)`.
        sensitivity: whether layers are only analysed.

    Returns:
        `{pruning ratio: [(parameters, MACs) after each cut]}`, and under None of the network. MACs
        are None where they cannot be counted.
    """
    from pruning import cost
    from pruning.sensitivity import measurable

    with _as_the_users(ValueError):
        try:
            cost.macs(network)
        except ValueError as error:
            print(f"MACs are left out: {error}")
        sizes = {None: [(cost.parameters(network), _macs(network))]}
        if sensitivity:
            _, reasons = measurable(network, trials[0][0]["coupled"])
            for reason in reasons:
                print(f"left out: {reason}")
            return sizes
        ratios = {settings["pruning_ratio"]: settings for settings, _ in reversed(trials)}
        for ratio, settings in ratios.items():
            sizes[ratio] = [
                (cost.parameters(model), _macs(model))
                for _, model in cuts(network, settings | ANY_RANKING)
            ]
    return sizes


def show_grid(trials, sizes):
    """Print what of the grid is done and left, and how long it may take; nothing is changed."""
    from scnnb import backup, storage

    print()
    for settings, path in _with_baselines(trials):
        trainings = _trainings(settings, sizes)
        epochs = sum(epochs for epochs, _ in trainings)
        backups = [backup.backup_path(path, number) for number in range(len(trainings))]
        done = sum(backup.progress(file)[0] for file in backups)
        state = f"epoch {done} of {epochs}" if done else f"{_epochs(epochs)} left"
        try:
            if record := storage.peek(path, *_kinds(path)):
                state = f"done, test accuracy {record.get('accuracy', math.nan):.4f}"
        except ValueError as error:
            state = f"{error}, {_epochs(epochs)} left"
        print(f"seed {settings['seed']}  {path.name:40} {state}")
    print(_left(trials, sizes))


def curve(args, dataset, trials, sizes):
    """Every trial: its baseline once, prune it, retrain, append a row, draw the curve."""
    from pruning import plots, report
    from scnnb import backup, storage

    csv = _csv_path(args, dataset)
    summary, png = csv.with_name(f"{csv.stem}-summary.csv"), csv.with_suffix(".png")
    _check_csv(csv, report.TRIALS)
    _check_space(trials, sizes, args.export)

    stale = {path for _, path in _with_baselines(trials)} if args.fresh else set()
    for path in stale:
        backup.remove(path)
    failed = []  # in words
    with _cluster(args) as nodes:

        def left():
            return _left(trials, sizes, stale, at_once=nodes.places if nodes else 1)

        if nodes:
            rows = on_ray(args, dataset, trials, stale, nodes)
        else:
            rows = in_turn(args, dataset, trials, stale, lambda: _time_left(trials, sizes, stale))
        for name, path, row, error in rows:
            if error:
                failed.append(f"{name}: {error}")
                print(f"FAILED: {failed[-1]}; {left()}")
                continue
            with _as_the_users(report.NotARecordError):  # another program may write it
                report.append_rows(csv, [row])
                report.write_summary(csv, summary)
                plots.draw_curve(csv, png)
            stale.discard(path)
            failed += _failed_exports(name, path, row, args.export)
            print(f"{name}: {_in_words(row)}; {left()}" if nodes else left())
    for settings, path in _baselines(trials):
        with _lock(path):
            if record := storage.read_record(path, *_kinds(path)):
                record |= export_stored(path, record, dataset, settings, args.export, args.int8_io)
                failed += _failed_exports("baseline", path, record, args.export)
    print(f"rows in {csv}, summary in {summary}, curve in {png}, models in {RESULTS}/*/")
    if failed:
        raise UserError(f"failed: {'; '.join(failed)}")


def in_turn(args, dataset, trials, stale, time_left):
    """Make every trial's row, one after the other; a seed's baseline is made for the first.

    Args:
        args: the parsed command line.
        dataset: Dataset.
        trials: list of `(settings, path)`.
        stale: set of paths that are to be made anew; a baseline made is taken out.
        time_left: function that says how much time all of it may take, `""` if not known yet.

    Yields:
        `(name, path, row, None)`; of a trial made now, first without exports and then with them.
    """
    from scnnb import storage

    def callbacks(path):
        return _callbacks(path, args.tensorboard, time_left)

    @functools.lru_cache(maxsize=1)  # the trials of a seed follow each other
    def baseline(folder):
        found = train_or_read_baseline(
            dataset,
            args.model,
            next(settings for settings, path in _baselines(trials) if path.parent == folder),
            folder=folder,
            fresh=args.fresh,
            callbacks=callbacks,
        )
        stale.discard(folder / "baseline")
        return found

    for settings, path in trials:
        with _lock(path):
            row = None if args.fresh else storage.read_record(path, *_kinds(path))
            if row is None:
                row = trial(
                    dataset, baseline(path.parent), settings, path=path, callbacks=callbacks(path)
                )
                if args.export:  # whatever they end in, the row is in the CSV
                    yield path.name, path, row, None
            else:
                print(f"{path.name} is finished since {row['finished_at']}: {_in_words(row)}")
            row |= export_stored(path, row, dataset, settings, args.export, args.int8_io)
        yield path.name, path, row, None


def on_ray(args, dataset, trials, stale, nodes):
    """Have every trial's row made where a node has room, a seed's baseline before its trials.

    The nodes share no files with this process: it alone stores what they send. What another run
    makes at the moment waits for that one.

    Args:
        args: the parsed command line.
        dataset: Dataset.
        trials: list of `(settings, path)`.
        stale: set of paths that are to be made anew; a baseline made is taken out.
        nodes: Cluster.

    Yields:
        `(name, path, row, None)`, or `(name, path, None, error in words)`, as they end.
    """
    import keras
    import tensorflow

    from scnnb import backup, storage

    versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
    shared, network = nodes.put(dataset), (args.model, None)
    if args.model not in scnnb.NETWORKS:
        network = Path(args.model).name, Path(args.model).read_bytes()
    baselines, broken = {}, {}  # by folder: files of the baseline in Ray's store, or its error
    todo, under_way = [*trials, *_baselines(trials)], {}
    while todo or under_way:
        for settings, path in list(todo):
            name, is_baseline = f"seed {settings['seed']} {path.name}", path.name == "baseline"
            if is_baseline and not any(path != p and path.parent == p.parent for _, p in todo):
                todo.remove((settings, path))  # no trial needs it
                continue
            if not (lock := _lock(path, wait=False)):
                continue
            record = None if path in stale else storage.read_record(path, *_kinds(path))
            missing = missing_exports(path, record, args.export, args.int8_io) if record else []
            todo.remove((settings, path))
            if is_baseline and record and storage.read_model(path) is not None:
                baselines[path.parent] = nodes.put(storage.files(path))
            elif not is_baseline and record and not missing:
                yield name, path, record, None
            elif not is_baseline and not record and path.parent in broken:
                yield name, path, None, f"its baseline failed: {broken[path.parent]}"
            elif nodes.full or not (is_baseline or record or path.parent in baselines):
                todo.append((settings, path))
            else:
                name += " exports" if missing else ""
                given = {} if is_baseline or record else baselines[path.parent]
                own = storage.files(path) if missing else backup.files(path)
                place = path.parent.name, path.name
                how = network, missing, args.int8_io, bool(args.tensorboard), versions
                nodes.submit(name, on_node, shared, given, own, settings, *place, *how)
                under_way[name] = settings, path, lock, missing
                continue
            lock.release()
        for name, made, error in nodes.finished():
            settings, path, lock, exported = under_way.pop(name)
            if error and exported:  # the row of the finished trial stays
                record = storage.read_record(path, *_kinds(path))
                failed = _failures(record) | dict.fromkeys(exported, error)
                record["failed_exports"] = _in_one_line(failed)
                storage.save_record(path, record)
                made, error = (record, {}, {}), None
            record, files, logs = made or (None, {}, {})
            storage.place(path.parent, files)
            storage.place(args.tensorboard, logs)
            if record:
                backup.remove(path)
            lock.release()
            if path.name != "baseline":
                if record and args.export and not exported:  # its training is safe by now
                    todo.append((settings, path))
                yield name, path, record, error
            elif error:
                broken[path.parent] = error
            else:
                stale.discard(path)
                baselines[path.parent] = nodes.put(storage.files(path))


def on_node(
    dataset,
    given,
    own,
    settings,
    folder,
    name,
    network,
    formats,
    int8_io,
    tensorboard,
    versions,
    *,
    tell,
):
    """Make a baseline, a trial, or the exports of one, in a folder of this node deleted thereafter.

    Args:
        dataset: Dataset.
        given: `{name: bytes}`, the files of the baseline where it is a trial.
        own: `{name: bytes}`, files of an earlier call: backups, or all of a finished trial.
        settings: dict of plain values, the settings columns of the CSV.
        folder: name of the folder of these settings.
        name: `baseline`, or the name of the trial.
        network: `(name or file name, None or content of the file)`.
        formats: list of the formats to export.
        int8_io: as `export_stored` takes it.
        tensorboard: whether to write TensorBoard's logs.
        versions: `{package: version}` that the node must have.
        tell: function of a line that says how far it is.

    Returns:
        `(record, {file name: bytes} of what is new, {file name: bytes} of the logs)`, names as
        below the folder and below that of the logs.

    Raises:
        UserError: this node has other versions, or cannot compute as asked.
    """
    _import_keras()
    import keras

    from scnnb import precision, storage

    for package, version in versions.items():
        if (here := importlib.import_module(package).__version__) != version:
            raise UserError(f"a node has {package} {here}, the program {version}; install one")
    with _as_the_users(ValueError):
        precision.check(settings["precision"])
    tell("begins")
    with tempfile.TemporaryDirectory() as scratch:
        path, logs = Path(scratch, folder, name), Path(scratch, "logs")
        storage.place(path.parent, given | own)
        storage.place(path.parent.parent, {network[0]: network[1]} if network[1] else {})

        def callbacks(path):
            watch = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: tell(
                    f"epoch {epoch + 1}/{watch.params['epochs']}  loss {logs['loss']:.4f}"
                )
            )
            return [*_callbacks(path, logs if tensorboard else None), watch]

        def baseline():
            known = network[0] if network[1] is None else Path(scratch, network[0])
            return train_or_read_baseline(
                dataset, known, settings, folder=path.parent, callbacks=callbacks
            )

        if name == "baseline":
            baseline()
            record = storage.read_record(path, *_kinds(path))
        elif (record := storage.read_record(path, *_kinds(path))) is None:
            record = trial(dataset, baseline(), settings, path=path, callbacks=callbacks(path))
        record |= export_stored(path, record, dataset, settings, formats, int8_io)
        made = storage.tree(path.parent).items()
        known = given | own
        new = {file: content for file, content in made if known.get(file) != content}
        new = {file: content for file, content in new.items() if not file.endswith(".lock")}
        return record, new, storage.tree(logs)


def sensitivities(args, dataset, trials):
    """Per seed the baseline, then each layer alone by each criterion: rows and figure."""
    from pruning import plots, report

    csv = _csv_path(args, dataset)
    norms_csv, png = csv.with_name(f"{csv.stem}-norms.csv"), csv.with_suffix(".png")
    _check_csv(csv, report.SENSITIVITY)
    _check_csv(norms_csv, report.NORMS)
    for settings, path in _baselines(trials):
        analyse_baseline(args, dataset, settings, path.parent, csv, norms_csv)
    with _as_the_users(report.NotARecordError):
        plots.draw_sensitivity(csv, norms_csv, png)
    print(f"rows in {csv}, L1 norms in {norms_csv}, figure in {png}")


def analyse_baseline(args, dataset, settings, folder, csv, norms_csv):
    """Each layer of one baseline alone by each criterion, nothing retrained: rows of both CSVs."""
    from pruning import report, sensitivity
    from scnnb import storage

    model = train_or_read_baseline(
        dataset,
        args.model,
        settings,
        folder=folder,
        fresh=args.fresh,
        callbacks=lambda path: _callbacks(path, args.tensorboard),
    ).model
    baseline = {name: settings[name] for name in report.BASELINE_SETTINGS}
    # ratios are not to be chosen on the test images
    images = "test" if args.max_drop is None else "training"
    if args.max_drop is not None:
        _refuse_chance(model, dataset, settings["seed"], args.max_drop)
    kinds = {"baseline_accuracy": float, "layers": _are_layers}
    kinds |= dict.fromkeys(["finished_at", "keras", "tensorflow"], str)
    for criterion in args.criterion:
        settings = {"criterion": criterion, "coupled": args.coupled, "images": images}
        path = folder / "_".join(["sensitivity", *settings.values()])
        with _lock(path):
            record = None if args.fresh else storage.read_record(path, kinds)
            if record is None:
                record = measure_layers(model, dataset, baseline | settings)
                storage.save_record(path, record)
            else:
                print(f"{path.name} is finished since {record['finished_at']}")
        layers = record.pop("layers")
        rows = [row | {"layers": " ".join(row["layers"])} for row in layers]
        with _as_the_users(report.NotARecordError):
            report.append_rows(
                csv, [baseline | settings | record | row for row in rows], report.SENSITIVITY
            )
        if args.max_drop is not None:
            ratios = sensitivity.largest_ratios(record["baseline_accuracy"], layers, args.max_drop)
            path = path.with_name(f"{path.name}_drop{args.max_drop}")
            storage.save_record(path, ratios)
            print(f"for --layer-ratios: {path}.json")
    norms = [
        baseline | {"layer": layer, "filter": number, "l1_norm": norm}
        for layer, of_layer in sensitivity.norms(model).items()
        for number, norm in enumerate(of_layer.tolist())
    ]
    with _as_the_users(report.NotARecordError):
        report.append_rows(norms_csv, norms, report.NORMS)


def measure_layers(model, dataset, settings):
    """The accuracies of the baseline without a part of one layer's filters.

    Args:
        model: Keras model.
        dataset: Dataset.
        settings: dict of plain values, the settings columns of the CSV of sensitivities.

    Returns:
        Dict of plain values, the record; `layers` is a list of dicts, one per row.
    """
    import keras
    import tensorflow

    import pruning
    from pruning import sensitivity

    images, labels = dataset.test_images, dataset.test_labels
    if settings["images"] == "training":
        images, labels = _training_images(dataset, settings["seed"], TRAINING_IMAGES)
    print(
        f"each layer alone by {settings['criterion']}, {len(labels):,} {settings['images']} images"
    )
    start = time.monotonic()
    judged = pruning.judge(
        model, settings["criterion"], images=dataset.train_images, seed=settings["seed"]
    )

    def progress(done):
        print(f"{done:,} of {len(labels):,} images, {time.monotonic() - start:.1f} s")

    accuracy, layers = sensitivity.analyse(
        model, images, labels, criterion=judged, coupled=settings["coupled"], progress=progress
    )
    seconds = time.monotonic() - start
    print(f"{len(layers)} evaluations in {seconds:.1f} s, {seconds / len(layers):.2f} s each")
    return {
        "baseline_accuracy": accuracy,
        "layers": layers,
        "finished_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
    }


def grid(args, dataset_name, content):
    """The settings of every trial: dicts of plain values, the settings columns of the CSV."""
    settings = {
        "dataset": dataset_name,
        "content": content,
        "model": Path(args.model).name,
        "strategy": args.strategy,
        "schedule": args.schedule,
        "learning_rate": args.lr,
        "batch_size": args.batchSz,
        "epoch1": 0 if args.trained else args.Epoch1,
        "epoch2": args.Epoch2,
        "optimizer": args.optimizer,
        "coupled": args.coupled,
        "layer_ratios": args.layer_ratios or "",
        "retrain_learning_rate": args.retrain_lr or args.lr,
        "control": "",
        "augment": "crop-flip" if args.augment else "",
        "precision": args.precision,
        "pixels": args.pixels,
    }
    unranked = {"criterion": "", "strategy": "", "schedule": "", "retrain_learning_rate": args.lr}
    for seed, ratio in itertools.product(
        dict.fromkeys(args.seeds), dict.fromkeys(args.filterPercentage)
    ):
        settings |= {"seed": seed, "pruning_ratio": ratio}
        if ratio or any(_ratios(settings).values()):
            for criterion in args.criterion:
                yield settings | {"criterion": criterion}
        else:  # nothing is removed, whatever the ranking
            yield settings | ANY_RANKING
        if args.control:
            yield settings | unranked | {"control": args.control}


def trial(dataset, baseline, settings, *, path, callbacks=()):
    """Prune the baseline, measure, retrain, measure, store; returns the finished row.

    Args:
        dataset: Dataset.
        baseline: Baseline, which stays as it is.
        settings: dict of plain values, the settings columns of the CSV.
        path: pathlib.Path without suffix for the retrained model, in the baseline's folder.
        callbacks: Keras callbacks of every training.

    Returns:
        Dict of plain values, the columns of the CSV.
    """
    import keras
    import numpy as np
    import tensorflow

    from pruning import cost, machine
    from scnnb import backup, storage

    machine.forget_peak()
    keras.utils.set_random_seed(settings["seed"])
    make = train_from_scratch if settings["control"] else prune_and_retrain
    smaller, found = make(baseline.model, dataset, settings, path=path, callbacks=callbacks)
    batch_size = min(settings["batch_size"], len(dataset.train_labels))  # as a step of training
    one, batch = (
        np.resize(dataset.test_images[:n], (n, *dataset.image_shape)) for n in (1, batch_size)
    )
    calls = [machine.inference(smaller), baseline.infer]
    latency, baseline_latency = machine.seconds_per_call(calls, one)
    batch_seconds, baseline_batch_seconds = machine.seconds_per_call(calls, batch)
    row = settings | {
        "parameters": cost.parameters(smaller),
        **found,
        "baseline_parameters": cost.parameters(baseline.model),
        "baseline_accuracy": baseline.accuracy,
        "macs": _macs(smaller),
        "baseline_macs": _macs(baseline.model),
        "baseline_seconds": baseline.seconds,
        "finished_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
        "model_bytes": storage.save_model(path, smaller),
        "latency_ms": round(latency * 1000, 3),
        "baseline_latency_ms": round(baseline_latency * 1000, 3),
        "throughput": round(batch_size / batch_seconds, 1),
        "baseline_throughput": round(batch_size / baseline_batch_seconds, 1),
        "peak_memory_mb": round(machine.peak_memory_mb(), 1),
        "machine": machine.name(),
    }
    print(_in_words(row))
    storage.save_record(path, row)
    backup.remove(path)
    return row


def prune_and_retrain(baseline, dataset, settings, *, path, callbacks=()):
    """The pruned, retrained network: all layers at once, or one after the other.

    Args:
        baseline: Keras model.
        dataset: Dataset.
        settings: dict of plain values, the settings columns of the CSV.
        path: pathlib.Path without suffix; the backups of the trainings have this name, and of an
            iterative schedule a CSV with the accuracies after each stage.
        callbacks: Keras callbacks of every training.

    Returns:
        `(model, {"pruned_accuracy": on the test images right after the last cut, "accuracy": after
        its retraining, "retrain_seconds": of all})`.
    """
    import pandas as pd

    from pruning import table
    from scnnb import backup, training

    others = f", layer ratios {settings['layer_ratios']}" if settings["layer_ratios"] else ""
    print(
        f"\npruning {settings['pruning_ratio']} of each convolution's filters{others}: "
        f"{settings['criterion']}, {settings['strategy']}, {settings['schedule']}"
    )
    stages, seconds = [], 0.0
    for layers, model in cuts(baseline, settings, images=dataset.train_images):
        print(f"pruned: {layers}")
        print(table.layer_table(baseline, model))
        pruned_accuracy = training.accuracy(model, *dataset.test)
        print(f"right after pruning: test accuracy {pruned_accuracy:.4f}")
        print(f"retraining, epochs: {settings['epoch2']}")
        rate = settings["retrain_learning_rate"]
        seconds += _train(
            model,
            dataset,
            settings,
            epochs=settings["epoch2"],
            learning_rate=rate,
            backup=backup.backup_path(path, len(stages)),
            callbacks=callbacks,
        )
        accuracy = training.accuracy(model, *dataset.test)
        print(f"retrained: test accuracy {accuracy:.4f}")
        found = {"pruned_accuracy": pruned_accuracy, "accuracy": accuracy}
        stages.append({"layers": layers, "parameters": model.count_params()} | found)
    if settings["schedule"] == "iterative":
        pd.DataFrame(stages).to_csv(f"{path}_stages.csv", index=False)
    return model, found | {"retrain_seconds": round(seconds, 1)}


def export_stored(path, record, dataset, settings, formats, int8_io):
    """Export a stored network where files are missing or failed, and measure these.

    Args:
        path: pathlib.Path without suffix of the network; the files have this name.
        record: dict of plain values, what was measured of it; the new record is stored.
        dataset: Dataset.
        settings: dict of plain values, the settings columns of the CSV.
        formats: list of the formats wanted.
        int8_io: whether the int8 file takes and gives int8.

    Returns:
        Dict of plain values, the columns of the CSV that are new.
    """
    from pruning import machine
    from scnnb import storage

    wanted = missing_exports(path, record, formats, int8_io)
    if not wanted:
        return {}
    failed, kind = _failures(record), "int8" if int8_io else "float32"
    found, model = {"export_threads": machine.cores()}, storage.read_model(path)
    if model is None:
        why = "its .keras file is not there, call with --fresh"
    else:
        prepared, why = _attempt(_prepared, model, dataset.test_images)
    if why:
        failed |= dict.fromkeys(wanted, why)
        wanted = []
    else:
        model, expected = prepared
    for name in wanted:
        file_format = FORMATS[name]
        file = file_format.path_of(path)
        result, why = _attempt(
            write_and_measure, model, file, name, dataset, expected, settings["seed"], int8_io
        )
        nothing = dict.fromkeys(("bytes", "accuracy", "latency_ms"), math.nan)
        measured, wrong = result or (nothing, why)
        found |= {f"{file_format.column}_{what}": value for what, value in measured.items()}
        if file_format.quantised:
            found[f"{file_format.column}_io"] = kind
        failed.pop(name, None)
        if wrong:
            failed[name] = wrong
            print(f"EXPORT FAILED: {file.name}: {wrong}")
            continue
        print(
            f"{file.name}: {measured['bytes']:,} bytes, test accuracy {measured['accuracy']:.4f}, "
            f"{measured['latency_ms']} ms for one image on {machine.cores()} threads"
        )
    found["failed_exports"] = _in_one_line(failed)
    storage.save_record(path, record | found)
    return found


def missing_exports(path, record, formats, int8_io):
    """The formats of which a stored network has no file, or one that failed or was not measured.

    Arguments as for `export_stored`.
    """
    failed, kind = _failures(record), "int8" if int8_io else "float32"
    return [
        name
        for name, column in ((name, FORMATS[name].column) for name in formats)
        if name in failed
        or not record.get(f"{column}_bytes", 0) > 0
        or not FORMATS[name].path_of(path).exists()
        or (FORMATS[name].quantised and record.get(f"{column}_io") != kind)
    ]


def write_and_measure(model, file, name, dataset, expected, seed, int8_io):
    """One export of a network, as `measuring.measure` returns it."""
    from pruning import export, machine
    from pruning.exports import measuring

    images = None
    if FORMATS[name].quantised:
        images, _ = _training_images(dataset, seed, CALIBRATION_IMAGES)
        images = images[:]
    export(model, file, name, images=images, int8_io=int8_io)
    return measuring.measure(file, FORMATS[name], *dataset.test, expected, threads=machine.cores())


def _prepared(model, images):
    """The network as it is exported, and what it answers in Keras."""
    from pruning import machine
    from pruning.exports import inference, measuring

    network = inference.for_inference(model)
    return network, measuring.answers(machine.inference(network), images)


def _attempt(function, *arguments):
    """`(what the function returns, "")`, or `(None, what it raised)` in one line.

    Converters and runtimes raise nearly anything. A full disk and too little memory are raised on:
    what comes after would fail, too.
    """
    try:
        return function(*arguments), ""
    except MemoryError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        told = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return None, textwrap.shorten(told, ERROR_LENGTH, placeholder=" ...") or "ValueError"


def cuts(model, settings, images=None):
    """Each pruning of a schedule: names of the layers, and the network after it.

    Whoever asks for the next may have retrained the network in the meantime.

    Args:
        model: Keras model.
        settings: dict of plain values, the settings columns of the CSV.
        images: training images, for criteria that look at feature maps.

    Raises:
        UserError: it cannot be pruned like this.
    """
    import pruning

    if settings["schedule"] == "one-shot":
        yield "all layers", _prune(model, settings, images=images)
        return
    with _as_the_users(ValueError):
        stages = pruning.stages(
            model,
            settings["pruning_ratio"],
            layer_ratios=_ratios(settings),
            coupled=settings["coupled"],
        )
    if not stages:
        raise UserError(f"{model.name}: it has no convolution that could lose a filter")
    for only in stages:
        model = _prune(model, settings, images=images, only=only)
        yield " ".join(only), model


def train_from_scratch(baseline, dataset, settings, *, path, callbacks=()):
    """The control: the pruned shape with new weights, trained for all epochs.

    Arguments and result are those of `prune_and_retrain`; `pruned_accuracy` is that of the new
    weights, `retrain_seconds` the time of their training.
    """
    from pruning import groups, surgery, table
    from scnnb import backup, training

    print(f"\nthe shape at {settings['pruning_ratio']} with new weights")
    model = surgery.renewed(groups.find(_prune(baseline, settings | ANY_RANKING)))
    print(table.layer_table(baseline, model))
    found = {"pruned_accuracy": training.accuracy(model, *dataset.test)}
    epochs = settings["epoch1"] + settings["epoch2"]
    print(f"training, epochs: {epochs}")
    rate = settings["learning_rate"]
    seconds = _train(
        model,
        dataset,
        settings,
        epochs=epochs,
        learning_rate=rate,
        backup=backup.backup_path(path),
        callbacks=callbacks,
    )
    found |= {"accuracy": training.accuracy(model, *dataset.test)}
    return model, found | {"retrain_seconds": round(seconds, 1)}


def train_or_read_baseline(
    dataset, network, settings, *, folder, fresh=False, callbacks=lambda path: []
):
    """The trained, unpruned network, read from its folder, or trained and stored there.

    Args:
        dataset: Dataset.
        network: name or path of the network, as `build` takes it.
        settings: dict of plain values, the settings columns of the CSV; with `epoch1` 0 the network
            is trained already.
        folder: pathlib.Path of the folder of these settings.
        fresh: whether to train it from the beginning even if it is stored.
        callbacks: function of a path without suffix that gives the Keras callbacks of the training
            whose model is stored there.

    Returns:
        Baseline.
    """
    import keras

    from scnnb import backup, storage, training

    path = folder / "baseline"
    with _lock(path):
        measured = None if fresh else storage.read_record(path, *_kinds(path))
        baseline = storage.read_model(path) if measured else None
        if baseline is not None:
            print(f"baseline read from {folder}/: test accuracy {measured['accuracy']:.4f}")
            return _as_baseline(baseline, measured)
        if fresh:
            backup.remove(path)
        keras.utils.set_random_seed(settings["seed"])
        baseline = build(network, dataset)
        seconds = 0.0
        if settings["epoch1"]:
            print(f"training the baseline of seed {settings['seed']}, epochs: {settings['epoch1']}")
            seconds = _train(
                baseline,
                dataset,
                settings,
                epochs=settings["epoch1"],
                learning_rate=settings["learning_rate"],
                backup=backup.backup_path(path),
                callbacks=callbacks(path),
            )
        measured = {
            "accuracy": training.accuracy(baseline, *dataset.test),
            "seconds": round(seconds, 1),
        }
        print(f"baseline: test accuracy {measured['accuracy']:.4f}")
        storage.save_model(path, baseline)
        storage.save_record(path, measured)
        backup.remove(path)
    return _as_baseline(baseline, measured)


def build(network, dataset):
    """The network for images and classes of the dataset, not compiled.

    Args:
        network: a key of `scnnb.NETWORKS`, with new weights; or the path of a `.keras` file, with
            those it holds.
        dataset: Dataset.

    Raises:
        UserError: the file cannot be read, or does not fit the dataset.
    """
    import keras

    from scnnb import storage

    if network in scnnb.NETWORKS:
        keras.utils.clear_session()  # the names Keras gives count from 0 for every network
        with _as_the_users(ValueError):
            return scnnb.NETWORKS[network](dataset.image_shape, dataset.num_classes)
    with _as_the_users(ValueError):
        return storage.read_network(Path(network), dataset.test_images[:1], dataset.num_classes)


def parse(argv):
    """The arguments, each checked; a wrong one ends the program with status 2 and one line."""
    parser = _Parser(
        prog="formal.py",
        allow_abbrev=False,
        description="Train a network, remove the least important filters from every "
        "convolution, retrain, and append parameters against accuracy to a CSV, one row per "
        "percentage.",
        epilog="example: python3 formal.py fashion 0.001 128 35 30 0.4",
    )
    add = parser.add_argument
    add(
        "dataset",
        type=_dataset,
        help=f"Images to train and test on: {', '.join(data.DATASETS)}, or the path of an .npz "
        "file with uint8 images x_train, x_test and integer labels y_train, y_test, or of a "
        "folder with images train/<class>/*.png, test/<class>/*.png. Example: fashion",
    )
    add("lr", type=_learning_rate, help="Learning rate per step, above 0. Example: 0.001")
    add("batchSz", type=_count, help="Size of a training step in images. Example: 128")
    add("Epoch1", type=_count, help="Training of the baseline in epochs. Example: 35")
    add("Epoch2", type=_count, help="Retraining after pruning in epochs. Example: 30")
    add(
        "filterPercentage",
        type=_ratio,
        nargs="+",
        help="Part of each convolution's filters to remove, 0 <= part < 1; several share one "
        "baseline. Example: 0.4 for 40 %%",
    )
    add(
        "--model",
        type=_network,
        default="scnnb",
        metavar="NAME|PATH",
        help=f"Network: {', '.join(scnnb.NETWORKS)} (default scnnb), or the path of a .keras or "
        ".h5 file that is trained further. Example: --model vgg16",
    )
    add(
        "--trained",
        action="store_true",
        help="The file of --model is the trained baseline: Epoch1 is not used. "
        "Example: --model mine.keras --trained",
    )
    add(
        "--layer-ratios",
        type=_layer_ratios,
        metavar="NAME|FILE",
        help="Ratios of single layers; filterPercentage holds for the rest: the paper's vgg16-A, "
        "resnet56-A, resnet56-B, resnet110-A or resnet110-B, or a .json file "
        '{"layer name or glob": ratio}. Example: --layer-ratios vgg16-A',
    )
    add(
        "--criterion",
        choices=[*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS],
        nargs="+",
        action="extend",
        metavar="NAME",
        help="What a filter is worth; the lowest go. By its weights: l1 (default), l2, largest "
        "(the largest L1 norm goes first) or random; by its feature maps of the training images: "
        "mean-mean, mean-std, mean-l1, mean-l2 or var-l2. Several give a row each. "
        "Example: --criterion l1 random",
    )
    add(
        "--strategy",
        choices=["independent", "greedy"],
        default="independent",
        help="Kernels are judged whole (independent, default), or without what reads removed maps "
        "(greedy). Example: --strategy greedy",
    )
    add(
        "--schedule",
        choices=["one-shot", "iterative"],
        default="one-shot",
        help="All layers are pruned at once, then retrained (one-shot, default), or one after the "
        "other with Epoch2 epochs for each (iterative). Example: --schedule iterative",
    )
    add(
        "--retrain-lr",
        type=_learning_rate,
        metavar="LR",
        help="Learning rate of the retraining (default lr). Example: --retrain-lr 0.0001",
    )
    add(
        "--control",
        choices=["scratch"],
        help="For every percentage, also train the pruned shape from new weights with "
        "Epoch1 + Epoch2 epochs. Example: --control scratch",
    )
    add(
        "--sensitivity",
        action="store_true",
        help="Instead, remove 0.1 ... 0.9 of each layer's filters alone and measure at once: "
        "nothing is retrained, Epoch2 and filterPercentage are not used. Example: --sensitivity",
    )
    add(
        "--max-drop",
        type=_ratio,
        metavar="PART",
        help="Of a sensitivity analysis, on training images, write the largest ratio of each layer "
        "that costs no more than this part of them, for --layer-ratios. Example: --max-drop 0.01",
    )
    add(
        "--coupled",
        choices=["joint", "shortcut", "skip"],
        default="joint",
        help="Convolutions that must lose the same filters, as at an addition: ranked by the sum "
        "of their scores (joint, default), by the 1x1 projection on the shortcut (shortcut), or "
        "left whole (skip). Example: --coupled skip",
    )
    add(
        "--optimizer",
        choices=["adam", "sgd"],
        default="adam",
        help="How weights are updated: adam (default), or sgd with momentum 0.9 and weight decay "
        "5e-6 as in the paper of SCNNB. Example: --optimizer sgd",
    )
    add(
        "--augment",
        action="store_true",
        help="Training images are shifted by up to 4 pixels and flipped left to right, at random "
        "and anew in every epoch. Example: --augment",
    )
    add(
        "--pixels",
        type=str.strip,  # the blank in front of -1..1
        choices=list(PIXELS),
        default="0..1",
        help="Range of the pixel values that the network takes: 0..1 (default), 0..255 or -1..1. A "
        "network that begins with Rescaling(1/255), as many of keras.applications do, takes 0..255."
        " Example: --pixels 0..255",
    )
    add(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="What trainings compute in: float32 (default), or bfloat16, about twice as fast on "
        "processors that have it, and refused on others; weights and accuracies are float32 in any "
        "case. Example: --precision bfloat16",
    )
    add(
        "--seed",
        dest="seeds",
        type=_seed,
        nargs=1,
        default=[0],
        metavar="N",
        help="Number that fixes initial weights, shuffling, dropout, shifts and flips "
        "(default 0). Example: --seed 1",
    )
    add(
        "--seeds",
        type=_seed,
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
        choices=FORMATS,
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
        type=_address,
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="Trials run side by side on Ray: on this machine, or on a running cluster (auto, "
        "HOST:PORT or ray://HOST:PORT), whose nodes need share no files. Example: --ray auto",
    )
    add(
        "--cpus-per-trial",
        type=_share,
        metavar="N",
        help="Processors that each trial of --ray is given, and TensorFlow's threads (default 1). "
        "Example: --cpus-per-trial 4",
    )
    add(
        "--gpus-per-trial",
        type=_share,
        metavar="N",
        help="GPUs that each trial of --ray is given, or the part of one (default none). "
        "Example: --gpus-per-trial 0.25",
    )
    add(
        "--csv",
        type=_csv,
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
    # A blank in front keeps argparse from taking -inf, -1e-3 or -1..1 for an option
    values = [f" {a}" if _is_number(a) or a in PIXELS else a for a in argv]
    args = parser.parse_intermixed_args(values)
    args.criterion = list(dict.fromkeys(args.criterion or ["l1"]))
    args.export = list(dict.fromkeys(args.export or []))
    if args.int8_io and not any(FORMATS[name].quantised for name in args.export):
        parser.error("--int8-io came without --export litert-int8; give both")
    if args.trained and args.model in scnnb.NETWORKS:
        parser.error(f"--trained came with --model {args.model}; give the path of its file")
    if args.trained and args.control:
        parser.error(f"--trained came with --control {args.control}, which needs Epoch1; give one")
    for flag, given in (("cpus", args.cpus_per_trial), ("gpus", args.gpus_per_trial)):
        if given and not args.ray:
            parser.error(f"--{flag}-per-trial came without --ray; give both")
    if args.max_drop is not None and not args.sensitivity:
        parser.error("--max-drop came without --sensitivity; give both")
    unused = (
        "strategy",
        "schedule",
        "retrain_lr",
        "control",
        "layer_ratios",
        "dry_run",
        "export",
        "ray",
    )
    for name in unused if args.sensitivity else ():
        if getattr(args, name) not in (parser.get_default(name), []):
            flag = f"--{name.replace('_', '-')}"
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
    return args


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message):
        unknown = re.match("unrecognized arguments: (--[^ =]+)", message)
        choice = re.match(r".*invalid choice: '(.*)' \(choose from (.*)\)$", message)
        if unknown:
            message += _did_you_mean(unknown[1], re.findall(r"--[\w-]+", self.format_usage()))
        elif choice:
            message += _did_you_mean(choice[1], re.findall(r"[\w-]+", choice[2]))
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see --help\n")


def _did_you_mean(text, names):
    """The end of a message: which of the names is close to the text, if one is."""
    known = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(text.strip().casefold(), known, n=1)
    return f" (did you mean {known[near[0]]}?)" if near else ""


def _as_a_part(text):
    """The end of a message: which part is so many percent."""
    number = text.strip().removesuffix("%")
    if _is_number(number) and 1 < float(number) < 100:
        return f" (did you mean {float(number) / 100:g}?)"
    return ""


def _checked(kind, holds, accepted, guess=lambda text: ""):
    def convert(text):
        try:
            value = kind(text)
            if holds(value):
                return value
        # OSError: a path longer than the system allows; OverflowError: infinity as a whole number
        except (ValueError, OSError, OverflowError):
            pass
        raise argparse.ArgumentTypeError(
            f"{text.strip()!r} came, but it must be {accepted}{guess(text)}"
        )

    return convert


_learning_rate = _checked(
    float, lambda value: 0 < value < math.inf, "a number above 0, such as 0.001"
)
_count = _checked(
    int, lambda value: 1 <= value < 2**31, "a whole number of at least 1, such as 128"
)
_ratio = _checked(
    lambda text: float(text) + 0.0,  # -0.0 becomes 0.0
    lambda value: 0 <= value < 1,
    "a part from 0 up to, but not including, 1, such as 0.4",
    _as_a_part,
)
_seed = _checked(int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 2^32 - 1")
_dataset = _checked(
    str.strip,
    lambda value: (
        value in data.DATASETS
        or (value.endswith(".npz") and value.isprintable() and Path(value).is_file())
        or (
            value != ""
            and value.isprintable()
            and all((Path(value) / part).is_dir() for part in ("train", "test"))
        )
    ),
    f"{', '.join(data.DATASETS)} or the path of an .npz file or a folder with train/ and test/ "
    "that exists",
    lambda text: _did_you_mean(text, data.DATASETS),
)
_network = _checked(
    str.strip,
    lambda value: (
        value in scnnb.NETWORKS
        or (value.endswith((".keras", ".h5")) and value.isprintable() and Path(value).is_file())
    ),
    f"{', '.join(scnnb.NETWORKS)} or the path of a .keras or .h5 file that exists",
    lambda text: _did_you_mean(text, scnnb.NETWORKS),
)
_address = _checked(
    str.strip,
    lambda value: value in ("local", "auto") or re.fullmatch(r"(ray://)?[^\s:/]+:\d+", value),
    "local, auto, HOST:PORT or ray://HOST:PORT, or nothing for local (a dataset behind --ray is "
    "taken for it: write --ray last)",
)
_share = _checked(
    float,
    lambda value: 0 < value < 1 or (value < math.inf and value == int(value) > 0),
    "a whole number of at least 1, or a part of one, such as 2 or 0.5",
)
_csv = _checked(
    Path,
    lambda value: value.suffix == ".csv" and (value.is_file() or not value.exists()),
    "the path of a file that ends in .csv, such as results/fashion.csv",
)


def _layer_ratios(text):
    """The name, or the content of the file as one line of JSON."""
    if text.endswith(".json"):
        try:
            if Path(text).exists() and not Path(text).is_file():  # a pipe may never end
                raise ValueError("it is no file")
            ratios = json.loads(Path(text).read_text(encoding="utf-8"))
            if not isinstance(ratios, dict) or not ratios:
                raise ValueError("it holds no ratios")
            return json.dumps({pattern: _ratio(str(ratio)) for pattern, ratio in ratios.items()})
        except (OSError, ValueError, RecursionError, argparse.ArgumentTypeError) as error:
            raise argparse.ArgumentTypeError(
                f"{text!r} came, but it must be a file such as "
                f'{{"conv1": 0.5, "conv*": 0.2}}: {error}'
            ) from error
    if text not in LAYER_RATIOS:
        raise argparse.ArgumentTypeError(
            f"{text!r} came, but it must be {', '.join(LAYER_RATIOS)} or a file that ends in .json"
            f"{_did_you_mean(text, LAYER_RATIOS)}"
        )
    return text


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _import_keras():
    """Import Keras on TensorFlow, without what TensorFlow's C++ part writes on the way.

    TF_CPP_MIN_LOG_LEVEL reaches that part only after it is loaded; before, it writes straight to
    file descriptor 2. If the variable is 0, nothing is hidden. Python's own warnings arrive in any
    case.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    hidden = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    hidden = hidden and "keras" not in sys.modules  # it writes only once
    if hidden:
        terminal = os.dup(2)
        sys.stderr = open(terminal, "w", buffering=1, errors="backslashreplace")
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
    try:
        import keras
    finally:
        if hidden:
            os.dup2(terminal, 2)
    keras.config.set_image_data_format("channels_last")  # whatever ~/.keras/keras.json says
    keras.config.set_floatx("float32")


def _as_baseline(model, measured):
    from pruning import machine

    return Baseline(model, measured["accuracy"], measured["seconds"], machine.inference(model))


def _content(dataset, model, network):
    """The start of a checksum of what dataset and network are called and hold.

    Args:
        dataset: Dataset.
        model: Keras model as `build` returns it.
        network: name or path of the network, as `build` takes it.
    """
    named = [dataset.name, dataset.fingerprint, Path(network).name, model.to_json()]
    content = hashlib.sha256(json.dumps(named).encode())
    if network not in scnnb.NETWORKS:
        content.update(Path(network).read_bytes())
    return content.hexdigest()[:12]


def _folder(settings):
    """The folder of all runs that share a baseline, named after everything that shaped it."""
    usual = {"", "float32", "0..1"}
    how = [settings[name] for name in ("augment", "precision", "pixels")]
    how = "".join(f"_{name}" for name in how if name not in usual)
    return RESULTS / (
        f"{settings['dataset']}_{settings['model']}_{settings['optimizer']}_lr{settings['learning_rate']}"
        f"_batch{settings['batch_size']}{how}_epochs{settings['epoch1']}"
        f"_seed{settings['seed']}_{settings['content']}"
    )


def _trial_name(settings):
    """The name of a retrained model: all that shaped it, where it is not the usual."""
    from pruning import report

    ratio, rate = settings["pruning_ratio"], settings["retrain_learning_rate"]
    ranking = [settings[name] for name in ("coupled", "criterion", "strategy", "schedule")]
    usual = {"joint", "l1", "independent", "one-shot", ""}
    parts = [
        report.shortened(settings["layer_ratios"]),
        *(name for name in ranking if name not in usual),
    ]
    if settings["control"]:
        parts = [f"{settings['control']}{ratio}", *parts]
        parts += [f"epochs{settings['epoch1'] + settings['epoch2']}"]
    else:
        parts = [f"pruned{ratio}", *parts, f"retrained{settings['epoch2']}"]
        parts += [f"lr{rate}"] if rate != settings["learning_rate"] else []
    return "_".join(filter(None, parts))


def _prune(model, settings, images=None, only=None):
    import pruning

    with _as_the_users(ValueError):
        return pruning.prune(
            model,
            settings["pruning_ratio"],
            layer_ratios=_ratios(settings),
            criterion=settings["criterion"],
            strategy=settings["strategy"],
            coupled=settings["coupled"],
            only=only,
            images=images,
            seed=settings["seed"],
        )


def _ratios(settings):
    """`{layer name or glob: ratio}`."""
    text = settings["layer_ratios"]
    return LAYER_RATIOS[text] if text in LAYER_RATIOS else json.loads(text or "{}")


def _macs(model):
    """Multiply-accumulates for one image, or None where they cannot be counted."""
    from pruning import cost

    try:
        return cost.macs(model)
    except ValueError:
        return None


def _in_words(row):
    accuracies = (
        f"{row['pruned_accuracy']:.4f} right after pruning, {row['accuracy']:.4f} after retraining"
    )
    if row.get("control"):
        accuracies = f"{row['accuracy']:.4f} trained from new weights"
    return (
        f"{row['baseline_parameters']:,} -> {row['parameters']:,} parameters, test accuracy "
        f"{row['baseline_accuracy']:.4f} baseline, {accuracies}"
    )


def _train(model, dataset, settings, **how):
    import tensorflow

    from scnnb import training

    try:
        return training.train(
            model,
            dataset,
            batch_size=settings["batch_size"],
            optimizer=settings["optimizer"],
            augment=bool(settings["augment"]),
            precision=settings["precision"],
            **how,
        )
    except training.DivergedError as error:
        raise UserError(str(error)) from error
    except tensorflow.errors.ResourceExhaustedError as error:
        raise MemoryError("there is not enough memory; take a smaller batchSz") from error


def _warn_of_pixels(network, dataset, args):
    """Print a line if the trained network answers clearly better to pixels of another range."""
    from scnnb import training

    images, labels = _training_images(dataset, args.seeds[0], PIXEL_IMAGES)
    accuracies = {
        values: training.accuracy(network, images.between(values), labels) for values in PIXELS
    }
    best = max(accuracies, key=accuracies.get)
    if accuracies[best] > accuracies[args.pixels] + CLEARLY:
        print(
            f"ATTENTION: {args.model} is right on {accuracies[best]:.1%} of {len(labels):,} "
            f"training images with pixels {best}, on {accuracies[args.pixels]:.1%} with "
            f"{args.pixels}; give --pixels {best}"
        )


def _refuse_chance(model, dataset, seed, max_drop):
    """Raise UserError if no filter can be missed since the network answers by chance.

    Chance is to name the most frequent class always, and three standard errors more.
    """
    import numpy as np

    from scnnb import training

    images, labels = _training_images(dataset, seed, TRAINING_IMAGES)
    accuracy = training.accuracy(model, images, labels)
    chance = np.bincount(labels).max() / len(labels)
    if accuracy - max_drop <= chance + 3 * math.sqrt(chance * (1 - chance) / len(labels)):
        raise UserError(
            f"--max-drop {max_drop}: the baseline is right on {accuracy:.1%} of {len(labels):,} "
            f"training images, and {chance:.1%} are of one class: it answers by chance, and every "
            "ratio would cost less; train it better, or see --pixels"
        )


def _training_images(dataset, seed, count):
    """Some training images, chosen by the seed, and their labels."""
    import numpy as np

    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(dataset.train_labels), min(count, len(dataset.train_labels)), False)
    return dataset.train_images.only(chosen), dataset.train_labels[chosen]


def _require(package, flag):
    """Raise UserError where an optional package is missing."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{flag} needs the package {package}, which is not installed; "
            "pip install -r requirements-extra.txt"
        ) from error


@contextlib.contextmanager
def _cluster(args):
    """Where trials run with --ray; without, None inside the `with`."""
    if not args.ray:
        yield None
        return
    from scnnb import cluster

    code = [Path(__file__).parent / name for name in ("formal.py", "data", "scnnb", "pruning")]
    how = {"cpus": args.cpus_per_trial or 1, "gpus": args.gpus_per_trial or 0}
    plain = UserError, OSError, MemoryError
    with _as_the_users(cluster.ClusterError):
        with cluster.Cluster(args.ray, code=code, plain=plain, **how) as nodes:
            yield nodes


def _callbacks(path, tensorboard, time_left=None):
    """Keras callbacks of the training whose model is stored under the path.

    Args:
        path: pathlib.Path without suffix.
        tensorboard: pathlib.Path of the folder for TensorBoard's logs, or None.
        time_left: function whose answer is printed with every epoch, or None.
    """
    import keras

    from scnnb import training

    found = [training.EpochLines(time_left)] if time_left else []
    if tensorboard:
        folder = tensorboard / path.parent.name / path.name
        found.append(keras.callbacks.TensorBoard(folder, write_graph=False))
    return found


def _kinds(path):
    """What the record stored under the path must hold, what it may, and where no number may be."""
    from pruning import report

    columns = {n: int if k == report.COUNT else k for n, k in report.TRIALS.columns.items()}
    added = report.TRIALS.added
    kinds = {name: columns[name] for name in report.TRIALS.required}
    if path.name == "baseline":
        kinds = {"accuracy": float, "seconds": float}
    return kinds, {name: columns[name] for name in added}, report.TRIALS.unmeasured


def _are_layers(rows):
    """Whether this is what `sensitivity.analyse` gives of single layers, and not nothing."""
    return bool(rows) and isinstance(rows, list) and all(map(_is_layer, rows))


def _is_layer(row):
    return (
        isinstance(row, dict)
        and row.keys() == {"layers", "pruning_ratio", "accuracy"}
        and isinstance(row["layers"], list)
        and row["layers"]
        and all(isinstance(layer, str) and layer.strip() for layer in row["layers"])
        and all(
            type(row[name]) is float and 0 <= row[name] <= 1
            for name in ("pruning_ratio", "accuracy")
        )
    )


def _failed_exports(name, path, record, formats):
    """List of what failed of the exports asked for, at most one line; what int8 loses is told."""
    for each in formats:
        loss = record["accuracy"] - record.get(f"{FORMATS[each].column}_accuracy", math.nan)
        if loss > LOSS_TO_TELL:
            file = FORMATS[each].path_of(path)
            print(f"ATTENTION: {file.name} loses {100 * loss:.1f} points of accuracy")
    why = record.get("failed_exports") if formats else ""
    return [f"{name}: {why}"] if why else []


def _failures(record):
    """`{format: why}` of the exports that failed."""
    told = record.get("failed_exports", "")
    return dict(each.partition(": ")[::2] for each in told.split("; ") if each)


def _in_one_line(failures):
    """The failures as `_failures` reads them: the column `failed_exports`."""
    return "; ".join(f"{name}: {why.replace('; ', ', ')}" for name, why in failures.items())


def _csv_path(args, dataset):
    kind = "-sensitivity" if args.sensitivity else ""
    return args.csv or RESULTS / f"{dataset.name}{kind}.csv"


def _check_csv(csv, table):
    """Make sure that rows can be appended; what is no such CSV is set aside."""
    from pruning import report
    from scnnb import storage

    csv.parent.mkdir(parents=True, exist_ok=True)
    with _as_the_users(NotImplementedError), report.lock(csv):
        try:
            report.check(csv, table)
        except report.NotARecordError as error:
            storage.set_aside(Path(os.path.realpath(csv)), error)


def _check_space(trials, sizes, formats):
    """Raise UserError if the disk has no room for the models, exports and backups to come."""
    from scnnb import storage

    ((parameters, _),) = sizes[None]
    stages = max(len(each) for each in sizes.values())
    # a backup of each and the one that replaces it, with Adam's two moments
    needed = (1 + stages) * 3 * parameters
    for settings, path in _with_baselines(trials):
        of_trial, _ = sizes[settings["pruning_ratio"]][-1]
        files = [storage.model_path(path), *(FORMATS[name].path_of(path) for name in formats)]
        needed += of_trial * sum(not file.exists() for file in files)
    free = shutil.disk_usage(RESULTS).free
    if 4 * needed > free:
        raise UserError(
            f"{RESULTS}/: {free / 1e6:,.0f} MB are free, but what this call stores may "
            f"need {4 * needed / 1e6:,.0f} MB; make room, or take fewer percentages or seeds"
        )


def _baselines(trials):
    """The baseline of each seed of the trials: `(settings, path)`, its ratio being None."""
    folders = {path.parent: settings for settings, path in reversed(trials)}
    for folder, settings in reversed(folders.items()):
        yield settings | {"pruning_ratio": None, "control": ""}, folder / "baseline"


def _with_baselines(trials):
    """The trials, each seed's behind its baseline."""
    for settings, path in _baselines(trials):
        yield settings, path
        yield from (each for each in trials if each[1].parent == path.parent)


def _trainings(settings, sizes):
    """`[(epochs, MACs)]` of a trial, or of a baseline."""
    macs = [macs or 0 for _, macs in sizes[settings["pruning_ratio"]]]  # 0: an epoch as any other
    if settings["pruning_ratio"] is None:
        return [(settings["epoch1"], macs[-1])]
    if settings["control"]:
        return [(settings["epoch1"] + settings["epoch2"], macs[-1])]
    return [(settings["epoch2"], each) for each in macs]


def _left(trials, sizes, stale=(), at_once=1):
    """What is left of the grid, and how long it may take by the epochs seen, in words.

    Arguments as for `_remaining`.
    """
    from pruning import cost

    finished, epochs, seconds = _remaining(trials, sizes, stale, at_once)
    message = f"{finished} of {len(trials)} trials done, {_epochs(epochs)} left"
    if not epochs:
        return message
    if seconds is None:
        return f"{message}; no epoch seen yet that would tell how long they take"
    return f"{message}, {cost.duration(seconds)}"


def _time_left(trials, sizes, stale):
    """How long what is left of the grid may take, in words; empty if no epoch tells yet."""
    from pruning import cost

    *_, seconds = _remaining(trials, sizes, stale)
    return "" if seconds is None else f"{cost.duration(seconds)} left"


def _remaining(trials, sizes, stale=(), at_once=1):
    """What is left of the grid: `(finished trials, epochs left, seconds these may take)`.

    The seconds are None as long as no epoch has been seen.

    Args:
        trials: list of `(settings, path)`.
        sizes: as `refuse_early` returns them.
        stale: paths whose records do not count, since they are to be made anew.
        at_once: number of trials that run side by side.
    """
    from pruning import cost
    from scnnb import backup, storage

    left, seen, finished = {}, [], 0
    for settings, path in _with_baselines(trials):
        baseline = settings["pruning_ratio"] is None
        trainings = _trainings(settings, sizes)
        try:
            record = storage.peek(path, *_kinds(path))
        except ValueError:
            record = None
        if record and len(trainings) == 1:
            ((epochs, macs),) = trainings
            if seconds := record.get("seconds" if baseline else "retrain_seconds"):
                seen.append((macs, [seconds / epochs]))
        if record and path not in stale:
            finished += not baseline
            continue
        left[path] = []
        for number, (epochs, macs) in enumerate(trainings):
            done, _, epoch_seconds = backup.progress(backup.backup_path(path, number))
            left[path].append((epochs - done, macs))
            seen += [(macs, epoch_seconds)] if epoch_seconds else []
    epochs = sum(epochs for trainings in left.values() for epochs, _ in trainings)
    if not seen:
        return finished, epochs, None
    seconds = {path: cost.training_seconds(each, seen) for path, each in left.items()}
    # however many run side by side, a trial comes after its baseline
    chains = [
        sum(seconds.get(each, 0) for each in {path, path.with_name("baseline")}) for path in seconds
    ]
    return finished, epochs, max([sum(seconds.values()) / at_once, *chains])


def _epochs(number):
    return f"{number} epoch" if number == 1 else f"{number} epochs"


def _lock(path, wait=True):
    """The lock beside a file that one run at a time may make; it falls with the process.

    Without waiting, None where another run has it.
    """
    lock = filelock.FileLock(f"{path}.lock")
    with _as_the_users(NotImplementedError):  # the file system has no locks
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if not wait:
                return None
            print(f"waiting for another run that makes {path.name}")
            lock.acquire()
    return lock


@contextlib.contextmanager
def _as_the_users(*kinds):
    """Errors of these kinds inside the `with` are the user's to mend: they become UserError."""
    try:
        yield
    except kinds as error:
        if _is_the_users(error):
            raise
        raise UserError(str(error) or type(error).__name__) from error


def _is_the_users(error):
    """Whether the user can mend it: said so, of memory, or of a file or disk by the system."""
    if isinstance(error, OSError):
        return error.filename is not None or error.errno in OF_THE_SYSTEM
    return isinstance(error, UserError | MemoryError)


@contextlib.contextmanager
def _on_signals(handle):
    """What ends a run calls `handle(number, frame)` inside the `with`; what is ignored stays so."""
    before = {number: signal.getsignal(number) for number in STOPPING}  # nohup ignores SIGHUP
    before = {number: was for number, was in before.items() if was is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _end_at_once(number, frame):
    end(_stopped(number))


def _stopped(number):
    """Say that a signal stopped the run; returns the exit status."""
    with contextlib.suppress(OSError):  # the terminal may be gone
        print("formal.py: stopped; finished rows stay, the same call goes on", file=sys.stderr)
    return 128 + number


if __name__ == "__main__":
    # as a module, which Ray's workers find by its name
    formal = importlib.import_module("formal")
    formal.end(formal.main())
