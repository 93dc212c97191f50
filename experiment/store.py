"""One stored network: its model, record, backups, exports and lock, side by side in a folder."""

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
    """What is stored of one network.

    Attributes:
        path: pathlib.Path without suffix; the files have this name.
        kinds: what its record holds: `{name: type, or function that says whether a value is
            right}` of what must be there, the same of what may be, and a list of the names whose
            numbers may be missing.
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
        """The `.json` file of what was measured."""
        return self._file(".json")

    @property
    def stages_file(self):
        """The CSV of the accuracies after each stage of an iterative schedule."""
        return self._file("_stages.csv")

    @property
    def layers_file(self):
        """The CSV of filters, parameters and MACs of each layer, before pruning and after."""
        return self._file("_layers.csv")

    def export_file(self, file_format):
        """The file or folder of an export in this Format."""
        return file_format.path_of(self.path)

    def backup_file(self, number=0):
        """The backup of a training, counted from 0 if the network takes several."""
        return self._file(f".backup{number}.npz")

    def within(self, folder):
        """The entry of the same names below another folder."""
        return Entry(folder / self.path.parent.name / self.name, self.kinds)

    def lock(self, wait=True):
        """The lock of what one run at a time may make; it falls with the process.

        Without waiting, None if another run has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{self.path}.lock")
        with as_the_users(NotImplementedError):  # the file system has no locks
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                if not wait:
                    return None
                print(f"waiting for another run that makes {self.name}")
                lock.acquire()
        return lock

    def save_model(self, model):
        """Store the model; returns the bytes of its file.

        The record of what was there before is deleted first, that of the new model is to be stored
        last: a killed run leaves both or none that counts.

        Args:
            model: Functional Keras model, stored without its optimizer, which would triple the
                file.
        """
        self.record_file.unlink(missing_ok=True)
        with replaced(self.model_file) as partial:
            keras.Model(model.input, model.output, name=model.name).save(partial)
        return self.model_file.stat().st_size

    def read_model(self):
        """The model, not compiled, or None; a damaged one is set aside."""
        file = self.model_file
        try:
            if file.exists() and not file.is_file():  # reading a pipe would wait for ever
                raise ValueError("it is no file")
            return keras.models.load_model(file, compile=False)
        except Exception:  # a changed byte may make Keras raise nearly anything
            if file.exists():
                set_aside(file, f"{file} is damaged")
            return None

    def save_record(self, record):
        """Store the record, a dict of plain values, whole or not at all."""
        with replaced(self.record_file) as partial:
            partial.write_text(json.dumps(record, indent=1))

    def read_record(self):
        """The record, or None if there is none; a damaged one is set aside."""
        try:
            return self.peek()
        except ValueError as error:
            set_aside(self.record_file, error)
            return None

    def peek(self):
        """The record, or None if there is none; nothing is changed.

        Raises:
            ValueError: it is damaged; the message names the file.
        """
        file = self.record_file
        try:
            if file.exists() and not file.is_file():  # reading a pipe would wait for ever
                raise ValueError("it is no file")
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
        return self.path.with_name(self.name + suffix)  # the name may hold a point: pruned0.4


def _contents(files):
    return {file.name: file.read_bytes() for file in files}


def _check(record, required, optional, unmeasured):
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}")
    if lacking := [name for name in required if name not in record]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    known = optional | required
    for name, value in record.items():
        missing = name in unmeasured and (value is None or value != value)
        if name not in known or not (missing or _is_right(name, value, known[name])):
            raise ValueError(f"it holds {name} {value!r}")


def _is_right(name, value, kind):
    if kind is str:
        return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)
    if kind not in (int, float):
        return kind(value)
    most = 1 if name.endswith("accuracy") else 2**63 - 1 if kind is int else sys.float_info.max
    return type(value) in (int, kind) and 0 <= value <= most
