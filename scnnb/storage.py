"""Trained networks on disk: `.keras` files that load with stock Keras."""

import json
import os
import zipfile

import keras

BASELINE = "baseline.keras"
RECORD = "baseline.json"  # written last: a baseline without it does not count


def save_model(model, path):
    """Write the model as a `.keras` file under another name, then move it into place.

    Args:
        model: Keras model.
        path: pathlib.Path that ends in `.keras`; only one run at a time may write it.
    """
    partial = path.with_name(f"{path.stem}.partial.keras")
    model.save(partial)
    os.replace(partial, path)


def save_baseline(folder, model, record):
    """Store a trained baseline and what was measured of it.

    Args:
        folder: pathlib.Path of the baseline's own folder.
        model: Keras model.
        record: dict of plain numbers.
    """
    (folder / RECORD).unlink(missing_ok=True)
    save_model(model, folder / BASELINE)
    partial = folder / f"{RECORD}.partial"
    partial.write_text(json.dumps(record))
    os.replace(partial, folder / RECORD)


def read_baseline(folder):
    """The stored baseline `(model, record)`, or None if the folder holds none.

    Raises:
        ValueError: a file is damaged; the message names it.
    """
    if not (folder / RECORD).exists():
        return None
    try:
        record = json.loads((folder / RECORD).read_text())
        return keras.models.load_model(folder / BASELINE), record
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{folder} holds a damaged baseline; delete the folder or pass --fresh"
        ) from error
