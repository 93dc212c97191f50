"""A backup of the training after every epoch: a killed training repeats at most one epoch."""

import hashlib
import json
import time
import zipfile

import keras
import numpy as np

from scnnb import files

LOGGED = {  # name in Keras' logs, and in the history
    "loss": "loss",
    "accuracy": "training_accuracy",
    "validation_accuracy": "validation_accuracy",
}


class Backup(keras.callbacks.Callback):
    """Store the state of the training after every epoch.

    Attributes:
        history: list of a dict for each complete epoch: `epoch` from 1, `loss`,
            `training_accuracy`, `validation_accuracy` if it is measured, `learning_rate` at its
            beginning, and `seconds`.
        best: list of arrays, the weights after the epoch with the highest validation accuracy, the
            first of several; None if they are not kept.

    The state is weights, optimizer and the random state of dropout. So a resumed training ends with
    the same weights as one that was not interrupted. `keras.callbacks.BackupAndRestore` does not
    store the random state. The order of the images depends on the seed only.
    """

    def __init__(self, path, model, settings, keep_best=False):
        """Read the backup of this training into the model in place, if there is one.

        A damaged file, or the backup of another training, is set aside.

        Args:
            path: pathlib.Path of the `.npz` file, which only one run at a time may write; or None,
                to measure the time and store nothing.
            model: compiled Keras model at the start of the training.
            settings: all other settings of the training; their `repr` is compared.
            keep_best: whether the best weights are kept; every epoch has a validation accuracy.
        """
        super().__init__()
        self.path, self.history, self.epoch_seconds = path, [], []
        self.optimizer, self.traced = model.optimizer, False
        self.weights, self.best = model.weights if keep_best else [], None
        model.optimizer.build(model.trainable_variables)
        if path is None:
            return
        self.variables = [*model.variables, *model.optimizer.variables]
        beginning = hashlib.sha256(repr(settings).encode())
        for variable in self.variables:
            beginning.update(keras.ops.convert_to_numpy(variable).tobytes())
        self.beginning = beginning.hexdigest()
        if path.exists():
            try:
                self._restore()
            except Exception as error:  # NumPy raises many types of error for a damaged file
                files.set_aside(path, f"{path} is not a backup of this training ({error})")

    @property
    def done(self):
        """Number of complete epochs."""
        return len(self.history)

    @property
    def taken(self):
        """The epoch, from 1, whose weights are the result: the last, or the best if it is kept."""
        if not self.weights:
            return self.done
        return max(self.history, key=lambda row: row["validation_accuracy"])["epoch"]

    def finish(self):
        """Give the model the best weights if they are kept; returns the history.

        Each of its dicts has the number `taken`, 1 for the epoch whose weights the model has, or 0.
        """
        if self.weights:
            _assign(self.weights, self.best)
        return [row | {"taken": int(row["epoch"] == self.taken)} for row in self.history]

    def on_epoch_begin(self, epoch, logs=None):
        """Start to measure the time of the epoch, and keep its learning rate."""
        self.start, self.ends = time.monotonic(), []
        rate = float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))
        self.learning_rate = float(f"{rate:.6g}")  # a float32 has no more digits

    def on_train_batch_end(self, batch, logs=None):
        """Keep the time at the end of the step."""
        self.ends.append(time.monotonic())

    def on_epoch_end(self, epoch, logs=None):
        """Store the state of the training."""
        seconds = time.monotonic() - self.start
        logged = {ours: float(logs[name]) for name, ours in LOGGED.items() if name in logs}
        times = {"learning_rate": self.learning_rate, "seconds": seconds}
        self.history.append({"epoch": epoch + 1} | logged | times)
        if self.weights and self.taken == epoch + 1:
            # copied, because an array may share its memory with the variable
            self.best = [np.array(keras.ops.convert_to_numpy(weight)) for weight in self.weights]
        if self.traced:
            self.epoch_seconds.append(seconds)
        elif len(self.ends) > 2:
            self.epoch_seconds.append(_without_tracing(self.ends))
        self.traced = True
        if self.path is None or not np.isfinite(logs["loss"]):  # a diverged model is not stored
            return
        progress = {"beginning": self.beginning, "history": json.dumps(self.history)}
        progress |= {"done": self.done, "epoch_seconds": self.epoch_seconds}
        progress["seconds"] = sum(row["seconds"] for row in self.history)
        with files.replaced(self.path) as partial:
            self._write(partial, progress)

    def _write(self, file, progress):
        """Write the format of `numpy.savez`, with a copy of only one variable at a time."""
        values = {f"arr_{number}": variable for number, variable in enumerate(self.variables)}
        values |= {f"best_{number}": weight for number, weight in enumerate(self.best or [])}
        with zipfile.ZipFile(file, "w") as archive:
            for name, value in (progress | values).items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.save(entry, keras.ops.convert_to_numpy(value))

    def _restore(self):
        if not self.path.is_file():  # to read from a pipe would wait for ever
            raise ValueError("expected a regular file")
        with open(self.path, "rb") as file, np.load(file) as stored:
            if stored["beginning"] != self.beginning:
                raise ValueError("its settings or its first weights are different")
            # all variables are read, with their checksums compared, before the first is assigned
            values = [stored[f"arr_{number}"] for number in range(len(self.variables))]
            best = [stored[f"best_{number}"] for number in range(len(self.weights))]
            history = json.loads(str(stored["history"]))
            _, _, self.epoch_seconds = _progress(stored)
        _assign(self.variables, values)
        self.history, self.best = history, best


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        if value.dtype.kind == "V":  # bfloat16, which NumPy does not know
            value = value.view(keras.ops.convert_to_numpy(variable).dtype)
        variable.assign(value)


def progress(path):
    """`(epochs done, their seconds, [seconds of each epoch])` of the training in a backup.

    The list excludes the time to trace graphs, and epochs in which that time is not known. It is
    `(0, 0.0, [])` if there is no backup that can be read.
    """
    if not path.is_file():
        return 0, 0.0, []
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            return _progress(stored)
    except Exception:  # NumPy raises many types of error for a damaged file
        return 0, 0.0, []


def _progress(stored):
    epoch_seconds = stored.get("epoch_seconds", np.array([]))  # not in the backup of an old version
    return int(stored["done"]), float(stored["seconds"]), epoch_seconds.tolist()


def _without_tracing(ends):
    """Seconds of an epoch, estimated from all steps but the first and the last.

    The first step includes the time to trace the graph. The last one has fewer images, and the
    graph may be compiled again for it.

    Args:
        ends: times at the ends of the steps, list of at least three.
    """
    return (ends[-2] - ends[0]) / (len(ends) - 2) * len(ends)
