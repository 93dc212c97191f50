"""Accuracy when a single layer is pruned, for each baseline and criterion: rows and figure."""

import math
import time

import keras
import numpy as np

import pruning
from data.split import split
from experiment import (
    backend,
    fields,
    names,
    preflight,
    record,
    samples,
    sensitivity_figure,
    trainings,
)
from experiment.columns import NORMS, SENSITIVITY
from experiment.errors import UserError, as_the_users
from experiment.store import Entry
from experiment.study import RESULTS
from experiment.work import callbacks
from pruning import sensitivity
from scnnb import endings, training

TRAINING_IMAGES = 10_000  # the accuracies are measured on these if ratios are chosen
UNITS = ("coupled", "combine", "dense")  # settings of which filters go together, and their scores
PARTS = ("pruning_ratio", "accuracy")  # numbers from 0 to 1


def check(network, given, unsupported="keep"):
    """Print which layers cannot be measured, and check that a target can be reached.

    Args:
        network: Keras model.
        given: dict of the parsed arguments.
        unsupported: as `prune` takes it.

    Raises:
        UserError: no layer can be measured, or one cannot and `unsupported` is `"error"`; or a
            target is too small.
    """
    with as_the_users(ValueError):
        stages, reasons = sensitivity.measurable(
            network, given["coupled"], dense=bool(given["dense"]), unsupported=unsupported
        )
    for reason in reasons:
        print(f"left out: {reason}")
    most = {"pruning_ratio": sensitivity.RATIOS[-1], "accuracy": 0.0}
    _of_targets(network, 0.0, [{"layers": only} | most for only in stages], given)


def analyse(study, dataset, given, options):
    """Train or read each baseline, measure its layers, append the rows, draw the figure.

    Args:
        study: Study.
        dataset: Dataset.
        given: dict of the parsed arguments; `criterion` is a list.
        options: options.Options.
    """
    csv = options.csv or RESULTS / f"{dataset.name}-sensitivity.csv"
    norms_csv, png = csv.with_name(f"{csv.stem}-norms.csv"), csv.with_suffix(".png")
    preflight.check_csv(csv, SENSITIVITY)
    preflight.check_csv(norms_csv, NORMS)
    asked = _asked(given, options)
    for baseline in study.baselines:
        watch = callbacks(baseline.entry, options.tensorboard)
        own = split(dataset, baseline.settings.validation, baseline.seed)
        model = trainings.train_or_read(baseline, own, given["model"], options.fresh, watch).model
        if asked:
            _check_above_chance(model, own, baseline.seed, asked, options.max_drop or 0.0)
        for criterion in given["criterion"]:
            rows = _analysed(model, baseline, own, criterion, given, options)
            with as_the_users(record.NotARecordError):
                record.append_rows(csv, rows, SENSITIVITY)
        with as_the_users(record.NotARecordError):
            norms = _norms(model, baseline, dense=bool(given["dense"]))
            record.append_rows(norms_csv, norms, NORMS)
    with as_the_users(record.NotARecordError):
        sensitivity_figure.draw(csv, norms_csv, png)
    print(f"rows in {csv}, L1 norms in {norms_csv}, figure in {png}")


def _asked(given, options):
    """The flag that asks for layer ratios, as a text, or an empty one."""
    if options.max_drop is not None:
        return f"--max-drop {options.max_drop}"
    return f"--target {given['target']}" if given["target"] else ""


def _analysed(model, baseline, dataset, criterion, given, options):
    """The rows of one criterion, measured or read; the layer ratios asked for are stored."""
    how = {"criterion": criterion} | {name: given[name] for name in UNITS}
    # ratios must not be chosen with the test images
    how["images"] = "training" if _asked(given, options) else "test"
    path = baseline.entry.path.with_name(names.sensitivity(how))
    kinds = {"baseline_accuracy": float, "layers": _are_layers}
    kinds |= dict.fromkeys(["finished_at", "keras", "backend_version"], str)
    entry = Entry(path, (kinds, {}, ()))
    lock = entry.lock()
    analysis = None if options.fresh else entry.read_record()
    if analysis is None:
        analysis = _measured(model, dataset, baseline.seed, **how)
        entry.save_record(analysis)
    else:
        print(f"{entry.name} was finished at {analysis['finished_at']}; it is not measured again")
    lock.release()
    layers, accuracy = analysis.pop("layers"), analysis["baseline_accuracy"]
    files = _of_targets(model, accuracy, layers, given)
    if options.max_drop is not None:
        ratios = sensitivity.largest_ratios(accuracy, layers, options.max_drop)
        files[f"drop{options.max_drop}"] = ratios
    for name, ratios in files.items():
        stored = Entry(path.with_name(f"{entry.name}_{name}"), ({}, {}, ()))
        stored.save_record(ratios)
        print(f"for --layer-ratios: {stored.record_file}")
    shared = fields.row(baseline.settings) | how | analysis
    return [shared | row | {"layers": " ".join(row["layers"])} for row in layers]


def _of_targets(model, accuracy, rows, given):
    """`{name of a target: layer ratios that reach it}`."""
    what, found = given["target"], {}
    for amount in dict.fromkeys(given["pruning_ratio"]) if what else ():
        rounded = f"_round{given['round_to']}" if given["round_to"] > 1 else ""
        with as_the_users(ValueError):
            found[f"{what}{amount}{rounded}"] = sensitivity.cheapest_ratios(
                model,
                accuracy,
                rows,
                coupled=given["coupled"],
                dense=bool(given["dense"]),
                round_to=given["round_to"],
                **{what: amount},
            )
    return found


def _measured(model, dataset, seed, *, criterion, images, dense, **how):
    """The accuracies of a baseline if a part of one layer's filters is removed, a dict."""
    chosen, labels = dataset.test
    if images == "training":
        chosen, labels = samples.training_images(dataset, seed, TRAINING_IMAGES)
    print(f"each layer alone by {criterion}, {len(labels):,} {images} images")
    start = time.monotonic()
    needed = samples.for_criterion(criterion, model, dataset, seed)
    judged = pruning.judge(model, criterion, seed=seed, **needed)

    def progress(done):
        print(f"{done:,} of {len(labels):,} images, {time.monotonic() - start:.1f} s")

    options = how | {"dense": bool(dense), "classes": endings.of(model).classes}
    options["progress"] = progress
    accuracy, layers = sensitivity.analyse(model, chosen, labels, criterion=judged, **options)
    seconds = time.monotonic() - start
    print(f"{len(layers)} evaluations in {seconds:.1f} s, {seconds / len(layers):.2f} s each")
    return {
        "baseline_accuracy": accuracy,
        "layers": layers,
        "finished_at": trainings.now(),
        "keras": keras.__version__,
        "backend_version": backend.version(),
    }


def _norms(model, baseline, dense):
    shared = fields.row(baseline.settings)
    return [
        shared | {"layer": layer, "filter": number, "l1_norm": norm}
        for layer, of_layer in sensitivity.norms(model, dense=dense).items()
        for number, norm in enumerate(of_layer.tolist())
    ]


def _check_above_chance(model, dataset, seed, flag, max_drop):
    """Raise UserError if the accuracy less `max_drop` would be no better than chance.

    Chance is the accuracy of always naming the most frequent class, and three standard errors.
    """
    images, labels = samples.training_images(dataset, seed, TRAINING_IMAGES)
    accuracy = training.accuracy(model, images, labels)
    chance = np.bincount(labels).max() / len(labels)
    if accuracy - max_drop <= chance + 3 * math.sqrt(chance * (1 - chance) / len(labels)):
        raise UserError(
            f"{flag}: the baseline is right on {accuracy:.1%} of {len(labels):,} training images, "
            f"and {chance:.1%} are of one class: it answers by chance, and every ratio would cost "
            "less; train it better, or see --pixels"
        )


def _are_layers(rows):
    """Whether these are rows as `sensitivity.analyse` returns them, at least one."""
    return bool(rows) and isinstance(rows, list) and all(map(_is_layer, rows))


def _is_layer(row):
    return (
        isinstance(row, dict)
        and row.keys() == {"layers", *PARTS}
        and isinstance(row["layers"], list)
        and row["layers"]
        and all(isinstance(layer, str) and layer.strip() for layer in row["layers"])
        and all(type(row[name]) is float and 0 <= row[name] <= 1 for name in PARTS)
    )
