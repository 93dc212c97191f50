"""A training under way on disk, so that one that was killed repeats an epoch at most."""

import hashlib
import time
import zipfile

import keras
import numpy as np

from scnnb import files


class Backup(keras.callbacks.Callback):
    """Stores, after every epoch, all that the next one follows from.

    That is more than `keras.callbacks.BackupAndRestore` keeps: weights, optimizer, and the random
    state of dropout, which is what makes a resumed training end as an unbroken one. The order of
    the images follows from the seed alone.
    """

    def __init__(self, path, model, settings):
        """Read the backup into the model in place, if there is one of this training.

        A file that is damaged, or of a training that began otherwise, is set aside.

        Args:
            path: pathlib.Path of the `.npz` file, which only one run at a time may write; or None,
                to take the time and store nothing.
            model: compiled Keras model as the training begins.
            settings: what shapes the training beside the model; its text counts.
        """
        super().__init__()
        self.path, self.done, self.seconds, self.epoch_seconds = path, 0, 0.0, []
        self.traced = False
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
            except Exception as error:  # a changed byte may make NumPy raise nearly anything
                files.set_aside(path, f"{path} is no backup of this training ({error})")

    def on_epoch_begin(self, epoch, logs=None):
        """Take the time."""
        self.start, self.ends = time.monotonic(), []

    def on_train_batch_end(self, batch, logs=None):
        """Take the time."""
        self.ends.append(time.monotonic())

    def on_epoch_end(self, epoch, logs=None):
        """Store what the next epoch follows from."""
        seconds = time.monotonic() - self.start
        self.seconds += seconds
        if self.traced:
            self.epoch_seconds.append(seconds)
        elif len(self.ends) > 2:
            self.epoch_seconds.append(_without_tracing(self.ends))
        self.traced = True
        if self.path is None or not np.isfinite(logs["loss"]):  # then the model is spoilt
            return
        told = {"beginning": self.beginning, "done": epoch + 1}
        told |= {"seconds": self.seconds, "epoch_seconds": self.epoch_seconds}
        with files.replaced(self.path) as partial:
            self._write(partial, told)

    def _write(self, file, told):
        """As `numpy.savez` would, but only one variable at a time is copied."""
        values = {f"arr_{number}": variable for number, variable in enumerate(self.variables)}
        with zipfile.ZipFile(file, "w") as archive:
            for name, value in (told | values).items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.save(entry, keras.ops.convert_to_numpy(value))

    def _restore(self):
        if not self.path.is_file():  # reading a pipe would wait for ever
            raise ValueError("it is no file")
        with open(self.path, "rb") as file, np.load(file) as stored:
            if stored["beginning"] != self.beginning:
                raise ValueError("it began otherwise")
            # all are read, and with that their checksums compared, before one is assigned
            values = [stored[f"arr_{number}"] for number in range(len(self.variables))]
            self.done, self.seconds, self.epoch_seconds = _progress(stored)
        for variable, value in zip(self.variables, values, strict=True):
            if value.dtype.kind == "V":  # bfloat16, which is no type of NumPy's own
                value = value.view(keras.ops.convert_to_numpy(variable).dtype)
            variable.assign(value)


def progress(path):
    """`(epochs done, their seconds, [seconds of an epoch])` of the training whose backup this is.

    The last are without what is only done once in a call, and lack an epoch that does not tell.
    `(0, 0.0, [])` where there is none, or none that can be read.
    """
    if not path.is_file():
        return 0, 0.0, []
    try:
        with open(path, "rb") as file, np.load(file) as stored:
            return _progress(stored)
    except Exception:  # as above
        return 0, 0.0, []


def _progress(stored):
    epoch_seconds = stored.get("epoch_seconds", np.array([]))  # an older backup lacks it
    return int(stored["done"]), float(stored["seconds"]), epoch_seconds.tolist()


def _without_tracing(ends):
    """Seconds of an epoch whose first and last step take as long as the others usually do.

    The first waits until the step is traced; for the last, of fewer images, a compiler may begin
    anew.

    Args:
        ends: of the steps, list of at least three times.
    """
    return (ends[-2] - ends[0]) / (len(ends) - 2) * len(ends)
