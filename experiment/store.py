"""The files of a stored network: model, record, tables, backups, exports and lock."""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import keras

from experiment.columns import RENAMED
from experiment.errors import as_the_users
from scnnb.files import replaced, set_aside


@dataclass(frozen=True)
class Entry:
    """The files of a stored network.

    Attributes:
        path: pathlib.Path without suffix; the names of all files begin with it.
        kinds: the values of its record, `(required, optional, unmeasured)`. The first two are
            `{name: type, or function that checks a value}`. The last is a list of the names whose
            value may be None.
    """

    path: Path
    kinds: tuple = field(compare=False)

    @property
    def name(self):
        """The name of the files, without suffix."""
        return self.path.name

    @property
    def model_file(self):
        """The `.keras` file."""
        return self._file(".keras")

    @property
    def record_file(self):
        """The `.json` file of the measured values."""
        return self._file(".json")

    @property
    def stages_file(self):
        """The CSV of the accuracies after each stage of an iterative or stepwise schedule."""
        return self._file("_stages.csv")

    @property
    def history_file(self):
        """The CSV of loss and accuracies after each epoch of its trainings."""
        return self._file("_history.csv")

    @property
    def layers_file(self):
        """The CSV of filters, parameters and MACs of each layer, before and after pruning."""
        return self._file("_layers.csv")

    def export_file(self, file_format):
        """The file or folder of an export in this Format."""
        return file_format.path_of(self.path)

    def backup_file(self, number=0):
        """The backup of a training; the trainings of a network are counted from 0."""
        return self._file(f".backup{number}.npz")

    def within(self, folder):
        """The entry with the same names below another folder."""
        return Entry(folder / self.path.parent.name / self.name, self.kinds)

    def lock(self, wait=True):
        """Acquire the lock of this network, which is released if the process ends.

        If `wait` is false and another run holds the lock, it returns None.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{self.path}.lock")
        with as_the_users(NotImplementedError):  # the file system has no locks
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                if not wait:
                    return None
                print(f"waiting for another run that computes {self.name}")
                lock.acquire()
        return lock

    def save_model(self, model):
        """Store the model; returns the bytes of its file.

        The record of an earlier model is deleted first. Store the new record after the model. So a
        killed run never leaves a record beside the model of another.

        Args:
            model: Functional Keras model. It is stored without its optimizer, which would make the
                file three times larger.
        """
        self.record_file.unlink(missing_ok=True)
        with replaced(self.model_file) as partial:
            keras.Model(model.input, model.output, name=model.name).save(partial)
        return self.model_file.stat().st_size

    def read_model(self):
        """The model, not compiled, or None if there is none; a damaged file is set aside."""
        file = self.model_file
        try:
            if file.exists() and not file.is_file():  # to read from a pipe would wait for ever
                raise ValueError("expected a regular file")
            return keras.models.load_model(file, compile=False)
        except Exception:  # Keras raises many types of error for a damaged file
            if file.exists():
                set_aside(file, f"{file} is damaged")
            return None

    def save_record(self, record):
        """Store the record, a dict of plain values, completely or not at all."""
        with replaced(self.record_file) as partial:
            partial.write_text(json.dumps(record, indent=1))

    def read_record(self):
        """The record, or None if there is none; a damaged file is set aside."""
        try:
            return self.peek()
        except ValueError as error:
            set_aside(self.record_file, error)
            return None

    def peek(self):
        """The record, or None if there is none; no file is changed.

        Raises:
            ValueError: the record is damaged. The message names the file.
        """
        file = self.record_file
        try:
            if file.exists() and not file.is_file():  # to read from a pipe would wait for ever
                raise ValueError("expected a regular file")
            record = json.loads(file.read_text())
            if isinstance(record, dict):
                record = {RENAMED.get(name, name): value for name, value in record.items()}
            _check(record, *self.kinds)
            return record
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file} is damaged") from error

    def remove_backups(self):
        """Delete the backups of its trainings."""
        for file in self._backups():
            file.unlink()

    def files(self):
        """The model and its record, `{file name: bytes}`."""
        return _contents(file for file in (self.model_file, self.record_file) if file.exists())

    def backups(self):
        """The backups of its trainings, `{file name: bytes}`."""
        return _contents(self._backups())

    def _backups(self):
        return self.path.parent.glob(f"{self.name}.backup*.npz")

    def _file(self, suffix):
        return self.path.with_name(self.name + suffix)  # not with_suffix: pruned0.4 has a point


def _contents(files):
    return {file.name: file.read_bytes() for file in files}


def _check(record, required, optional, unmeasured):
    if not isinstance(record, dict):
        raise ValueError(f"expected a dict, got a {type(record).__name__}")
    if lacking := [name for name in required if name not in record]:
        raise ValueError(f"expected all required names, got no {', '.join(lacking)}")
    known = optional | required
    for name, value in record.items():
        missing = name in unmeasured and (value is None or value != value)
        if name not in known or not (missing or _is_right(name, value, known[name])):
            raise ValueError(f"expected another value of {name}, got {value!r}")


def _is_right(name, value, kind):
    if kind is str:
        return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)
    if kind not in (int, float):
        return kind(value)
    most = 1 if name.endswith("accuracy") else 2**63 - 1 if kind is int else sys.float_info.max
    return type(value) in (int, kind) and 0 <= value <= most
