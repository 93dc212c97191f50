"""Texts for people: what became of a trial, numbers, times."""

from experiment import fields, settings
from experiment.layer_ratios import shortened
from experiment.settings import TrialSettings

SAID_IF_UNUSUAL = (
    *("ranking", "keep", "coupled", "combine", "dense", "round_to"),
    *("strategy", "compensate", "schedule", "steps"),
    *("retrain_learning_rate", "retrain_schedule", "distill", "distill_temperature"),
)
REMOVED = {  # in words, by the argument of `pruning.prune`
    "ratio": "{:g} %",
    "macs": "to {:g} % of the MACs",
    "parameters": "to {:g} % of the parameters",
    "bytes": "to {:,} bytes",
}
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def in_words(row, filters=None):
    """What became of a trial: what was removed, then the accuracies; two lines.

    Args:
        row: of the CSV, by its columns.
        filters: `(of the baseline, of the pruned network)`, None if not known.
    """
    sizes = {"filters": filters} if filters else {}
    for name, label in (("parameters", "parameters"), ("macs", "MACs")):
        if row[name] is not None:
            sizes[label] = row[f"baseline_{name}"], row[name]
    removed = ", ".join(f"{name} {change(*pair)}" for name, pair in sizes.items())
    before = row["baseline_accuracy"]
    parts = [f"baseline {percent(before)}"]
    if not row.get("control"):
        parts.append(f"after pruning {_accuracy(row['pruned_accuracy'], before)}")
    trained = "after training from new weights" if row.get("control") else "after retraining"
    if row.get("control") or row["epoch2"]:
        parts.append(f"{trained} {_accuracy(row['accuracy'], before)}")
    return f"{how(row)}: {removed}\ntest accuracy: {', '.join(parts)}"


def recalibrated(row):
    """The accuracies with new statistics of BatchNormalization, in one line; `row` as above."""
    before = row["recalibrated_baseline_accuracy"]
    parts = [f"baseline {percent(before)}"]
    for when, name in (("after pruning", "pruned_accuracy"), ("after retraining", "accuracy")):
        accuracy = row[f"recalibrated_{name}"]
        if accuracy == accuracy:  # it is not a number if it was not measured
            parts.append(f"{when} {_accuracy(accuracy, before)}")
    images = f"{row['recalibration_images']:,} images"
    return f"{how(row)}, recalibrated on {images}: test accuracy: {', '.join(parts)}"


def baseline_read(folder, record):
    """A line about a baseline that is stored: its folder, and the accuracy in its record."""
    return f"baseline read from {folder}/: test accuracy {percent(record['accuracy'])}"


def stage(*, layers, parameters, pruned_accuracy, accuracy, before, retrained):
    """What became of one stage of an iterative or stepwise schedule, in one line.

    Args:
        layers: names of the layers pruned in it.
        parameters: of the network after it.
        pruned_accuracy: before its retraining.
        accuracy: after its retraining.
        before: parameters of the baseline.
        retrained: whether it has a retraining.
    """
    pruned = (
        f"stage {layers}: parameters {change(before, parameters)}, test accuracy "
        f"{percent(pruned_accuracy)} after pruning"
    )
    return f"{pruned}, {percent(accuracy)} after retraining" if retrained else pruned


def best_epoch(*, epoch, validation_accuracy, epochs, **_):
    """Which epoch's weights were taken: the row of its history, and the number of epochs."""
    return (
        f"the weights of epoch {epoch} of {epochs} are taken, validation accuracy "
        f"{percent(validation_accuracy)}"
    )


def how(row):
    """How a network was pruned, in words: ratio, criterion, seed, and what is not the usual.

    Args:
        row: of the CSV, by its columns; or `fields.row` of a trial.
    """
    known = fields.of(TrialSettings)
    others = [
        said(name.replace("_", " "), row[name])
        for name in SAID_IF_UNUSUAL
        if row.get(name) not in (None, "", fields.usual(known[name], row))
    ]
    seed = ", ".join([*others, f"seed {row['seed']}"])
    if row.get("control"):
        by = f" by {row['criterion']}" if row.get("ranking") == "global" else ""
        return f"same shape as pruned {removed(row)}{by}, new weights ({seed})"
    if settings.amount(row) == ("ratio", 0) and not row.get("layer_ratios"):
        return f"not pruned ({seed})"
    return f"pruned {removed(row)} by {row['criterion']} ({seed})"


def said(name, value):
    """A setting in words: `coupled skip`; a switch only by its name: `compensate`."""
    return name if value == name else f"{name} {value}"


def removed(row, words=REMOVED):
    """How much was removed, or the name of the layer ratios: `40 %`, `to 50 % of the MACs`."""
    text, name = size(*settings.amount(row), words), shortened(row.get("layer_ratios") or "")
    if name and row.get("target"):
        return f"{name}, in all {text}"
    rest = f", rest {text}" if row["pruning_ratio"] else ""
    return f"{name}{rest}" if name else text


def size(what, amount, words=REMOVED):
    """How much is removed, in words, from an argument of `pruning.prune` and its value."""
    return words[what].format(amount if what == "bytes" else 100 * amount)


def change(before, after):
    """Two amounts and the difference in percent: `4.05 M -> 2.40 M (-40.6 %)`."""
    if before == after:
        return f"{amount(after)} (unchanged)"
    return f"{amount(before)} -> {amount(after)} ({100 * (after - before) / before:+.1f} %)"


def amount(number):
    """A number in three digits or more: `57`, `9,216`, `57.2 k`, `4.05 M`."""
    for size, unit in UNITS:
        scaled = number / size
        if scaled >= (10 if unit == "k" else 1):
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{number:,}"


def percent(part):
    """A part of 1 in percent: `92.35 %`."""
    return f"{100 * part:.2f} %"


def points(difference):
    """A difference of accuracies in points of a percent, with its sign: `-1.12 points`."""
    return f"{100 * difference:+z.2f} points"


def _accuracy(accuracy, before):
    return f"{percent(accuracy)} ({points(accuracy - before)})"


def epochs(number):
    """A number of epochs in words."""
    return f"{number} epoch" if number == 1 else f"{number} epochs"


def duration(seconds):
    """A time in words, rounded to minutes and from an hour on to ten of them."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min"
    hours, tens = divmod(round(minutes / 10), 6)
    return f"about {hours} h {10 * tens} min" if tens else f"about {hours} h"
