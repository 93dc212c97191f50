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
from scnnb import endings

CALIBRATION_IMAGES = 500  # training images to calibrate int8
LOSS_TO_REPORT = 0.01  # loss of accuracy by an export
ERROR_LENGTH = 300  # characters of the error of a failed export


def export(entry: Entry, dataset, seed, formats: list[Format], int8_io):
    """Export a stored network in the formats that are missing or failed, and measure the files.

    Args:
        entry: Entry of the network; its record is stored again.
        dataset: Dataset.
        seed: whole number from 0, the seed for the choice of calibration images.
        formats: list of Format to export to.
        int8_io: whether inputs and outputs of the int8 file are int8.

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
        record: record of the network.
        formats: list of Format to export to.
        int8_io: whether inputs and outputs of the int8 file are int8.
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
    """`{format: reason}` of the failed exports."""
    column = record.get("failed_exports", "")
    return dict(each.partition(": ")[::2] for each in column.split("; ") if each)


def save_failures(entry: Entry, record, failed):
    """Store the failed exports, `{format: reason}`, in the record; returns the record."""
    texts = (f"{name}: {reason.replace('; ', ', ')}" for name, reason in failed.items())
    record = record | {"failed_exports": "; ".join(texts)}
    entry.save_record(record)
    return record


def report_loss(entry: Entry, record, formats: list[Format]):
    """Print a line for each export that loses accuracy; arguments as for `missing`."""
    for each in formats:
        loss = record["accuracy"] - record.get(f"{each.column}_accuracy", math.nan)
        if loss > LOSS_TO_REPORT:
            file = entry.export_file(each).name
            print(f"ATTENTION: {file} loses {100 * loss:.1f} points of accuracy")


def _prepared(model, images):
    """The network to export, and its outputs in Keras."""
    network = inference.for_inference(model)
    return network, measuring.answers(timing.inference(network), images)


def _write_and_measure(model, expected, file, file_format: Format, dataset, seed, int8_io):
    """Write one export of a network; returns the result of `measuring.measure`."""
    images = None
    if file_format.quantised:
        images, _ = samples.training_images(dataset, seed, CALIBRATION_IMAGES)
        images = images[:]
    pruning.export(model, file, file_format.name, images=images, int8_io=int8_io)
    test = dataset.test_images, dataset.test_labels
    options = {"classes": endings.of(model).classes, "threads": timings.cores()}
    return measuring.measure(file, file_format, *test, expected, **options)


def _attempt(function, *arguments):
    """Call a function; returns `(result, "")`, or `(None, error message)` in one line.

    Converters and runtimes raise errors of many classes. Errors of a full disk or of too little
    memory are raised again, because the next exports would also fail.
    """
    try:
        return function(*arguments), ""
    except MemoryError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return None, textwrap.shorten(reason, ERROR_LENGTH, placeholder=" ...") or "ValueError"


def _kind(int8_io):
    return "int8" if int8_io else "float32"
