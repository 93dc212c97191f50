"""Export of stored networks to files for devices, measured in their own runtimes."""

import errno
import math
import textwrap

import pruning
from experiment import measuring, samples, timings
from experiment.log import percent
from experiment.store import Entry
from pruning import timing
from pruning.exports import inference
from pruning.exports.format import Format

CALIBRATION_IMAGES = 500  # training images by which int8 finds its ranges
LOSS_TO_REPORT = 0.01  # of accuracy, by int8
ERROR_LENGTH = 300  # characters, of an export that failed


def export(entry: Entry, dataset, seed, formats: list[Format], int8_io):
    """Export a stored network in the formats that are missing or failed, and measure the files.

    Args:
        entry: Entry of the network; its record is stored again.
        dataset: Dataset.
        seed: chooses the images by which int8 finds its ranges.
        formats: list of Format, the exports wanted.
        int8_io: whether the int8 file takes and gives int8.

    Returns:
        The record, a dict of plain values.
    """
    record = entry.read_record()
    wanted, failed = missing(entry, record, formats, int8_io), failures(record)
    record["export_threads"], model = timings.cores(), entry.read_model()
    why = "its .keras file is missing: call with --fresh"
    if model is not None:
        prepared, why = _attempt(_prepared, model, dataset.test_images)
    if why:
        failed |= {each.name: why for each in wanted}
        wanted = []
    for each in wanted:
        file = entry.export_file(each)
        result, why = _attempt(_write_and_measure, *prepared, file, each, dataset, seed, int8_io)
        nothing = dict.fromkeys(("bytes", "accuracy", "latency_ms"), math.nan)
        measured, wrong = result or (nothing, why)
        record |= {f"{each.column}_{what}": value for what, value in measured.items()}
        if each.quantised:
            record[f"{each.column}_io"] = _kind(int8_io)
        failed.pop(each.name, None)
        if wrong:
            failed[each.name] = wrong
            print(f"EXPORT FAILED: {file.name}: {wrong}")
            continue
        print(
            f"{file.name}: {measured['bytes']:,} bytes, test accuracy "
            f"{percent(measured['accuracy'])}, {measured['latency_ms']} ms for one image on "
            f"{timings.cores()} threads"
        )
    return save_failures(entry, record, failed)


def missing(entry: Entry, record, formats: list[Format], int8_io):
    """Formats whose file is missing, failed or was not measured, a list of Format.

    Args:
        entry: Entry of the network.
        record: its record.
        formats: list of Format, the exports wanted.
        int8_io: as `export` takes it.
    """
    failed = failures(record)
    return [
        each
        for each in formats
        if each.name in failed
        or not record.get(f"{each.column}_bytes", 0) > 0
        or not entry.export_file(each).exists()
        or (each.quantised and record.get(f"{each.column}_io") != _kind(int8_io))
    ]


def failures(record):
    """`{format: why}` of the exports that failed."""
    column = record.get("failed_exports", "")
    return dict(each.partition(": ")[::2] for each in column.split("; ") if each)


def save_failures(entry: Entry, record, failed):
    """Store which exports failed, `{format: why}`, in the record; returns it."""
    said = (f"{name}: {why.replace('; ', ', ')}" for name, why in failed.items())
    record = record | {"failed_exports": "; ".join(said)}
    entry.save_record(record)
    return record


def report_loss(entry: Entry, record, formats: list[Format]):
    """Print a line for each export that loses accuracy.

    Arguments as for `missing`.
    """
    for each in formats:
        loss = record["accuracy"] - record.get(f"{each.column}_accuracy", math.nan)
        if loss > LOSS_TO_REPORT:
            file = entry.export_file(each).name
            print(f"ATTENTION: {file} loses {100 * loss:.1f} points of accuracy")


def _prepared(model, images):
    """The network as it is exported, and what it answers in Keras."""
    network = inference.for_inference(model)
    return network, measuring.answers(timing.inference(network), images)


def _write_and_measure(model, expected, file, file_format: Format, dataset, seed, int8_io):
    """One export of a network, as `measuring.measure` returns it."""
    images = None
    if file_format.quantised:
        images, _ = samples.training_images(dataset, seed, CALIBRATION_IMAGES)
        images = images[:]
    pruning.export(model, file, file_format.name, images=images, int8_io=int8_io)
    test = dataset.test_images, dataset.test_labels
    return measuring.measure(file, file_format, *test, expected, threads=timings.cores())


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
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return None, textwrap.shorten(why, ERROR_LENGTH, placeholder=" ...") or "ValueError"


def _kind(int8_io):
    return "int8" if int8_io else "float32"
