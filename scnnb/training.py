"""How a network is trained, and how its accuracy is measured."""

import functools
import gc
import math
import sys
import time

import keras
import numpy as np

from scnnb.backends import BACKEND
from scnnb.backup import Backup
from scnnb.batches import batches
from scnnb.precision import computing_in

OPTIMIZERS = {
    "adam": BACKEND.adam,
    # Lei et al. 2020: momentum 0.9, regularization weight 5e-6
    "sgd": lambda learning_rate: keras.optimizers.SGD(
        learning_rate, momentum=0.9, weight_decay=5e-6
    ),
}
EVALUATION_PIXELS = 200 * 28 * 28  # per batch, whatever the size of an image; more gain nothing


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


def train(
    model,
    dataset,
    *,
    epochs,
    batch_size,
    optimizer,
    learning_rate,
    augment,
    precision="float32",
    backup=None,
    callbacks=(),
):
    """Train the model in place with a fresh optimizer; returns the seconds of all its epochs.

    Sparse categorical cross-entropy on the training images, shuffled anew in every epoch. Their
    order, dropout, shifts and flips follow `keras.utils.set_random_seed`, to be called before the
    model is made. What a backend does in a way of its own is in `backends`; the model keeps its
    layers. A terminal shows Keras' progress bar; elsewhere each epoch is one plain line, by
    `EpochLines`.

    With a backup, a training that was killed goes on behind its last whole epoch, to the result it
    would have had; one that had ended is read back. The file stays.

    Args:
        model: Keras model that ends in class probabilities.
        dataset: has `train_images` (n, height, width, channels) and `train_labels` (n,).
        epochs: passes over the training images, at least 1.
        batch_size: images per step, at least 1.
        optimizer: a key of `OPTIMIZERS`.
        learning_rate: constant step size, above 0.
        augment: whether the images are shifted and flipped at random, as
            `augmentation.crop_and_flip` does.
        precision: as `precision.computing_in` takes it; the weights are float32 in any case.
        backup: pathlib.Path of an `.npz` file that is written after every epoch; its folder exists.
        callbacks: Keras callbacks, called after the backup is written; `EpochLines` are added if
            there are none among them.

    Raises:
        DivergedError: the loss is no longer a finite number; the model is spoilt.
    """
    # even if this training is read back, so that the next one draws what it would have drawn
    seed = np.random.randint(2**31)
    gc.collect()  # an earlier training's optimizer, whose variables refer to each other in a circle
    images, labels = dataset.train_images, dataset.train_labels
    copy = keras.Model(model.inputs[0], model.outputs[0])  # of the same layers: model is as it was
    copy.compile(
        optimizer=OPTIMIZERS[optimizer](learning_rate),
        loss=BACKEND.loss,
        metrics=["accuracy"],
        jit_compile=BACKEND.jit_compile(),
    )
    settings = (epochs, batch_size, optimizer, learning_rate, augment, precision, images.shape)
    state = Backup(backup, copy, settings)
    if state.done:
        print(f"going on behind epoch {state.done} of {epochs}")
    if state.done == epochs:
        return state.seconds
    generator = functools.partial(
        batches,
        images,
        labels,
        seed=seed,
        batch_size=batch_size,
        epochs=epochs,
        first_epoch=state.done,
        augment=augment,
    )
    if not any(isinstance(each, EpochLines) for each in callbacks):
        callbacks = [EpochLines(), *callbacks]
    terminal = sys.stdout.isatty()
    with computing_in(precision, model), BACKEND.kernels(model):
        history = copy.fit(
            BACKEND.source(generator, images.shape[1:]),
            shuffle=False,  # it is
            steps_per_epoch=math.ceil(len(labels) / batch_size),
            initial_epoch=state.done,
            epochs=epochs,
            verbose=1 if terminal else 0,
            callbacks=[
                keras.callbacks.TerminateOnNaN(),
                # first, so that its bar has ended when others print; Keras itself adds it last
                *([keras.callbacks.ProgbarLogger()] if terminal else []),
                *BACKEND.callbacks(seed),
                state,
                *callbacks,
            ],
        )
    loss = history.history["loss"][-1]
    if not np.isfinite(loss):
        raise DivergedError(f"training diverged, its loss is {loss}; take a lower learning rate")
    return state.seconds


def accuracy(model, images, labels):
    """Part of the images whose most probable class is their label, 0..1.

    Args:
        model: Keras model, compiled or not, that ends in class probabilities.
        images: float32 array (n, height, width, channels), or what gives such when it is sliced.
        labels: integer array (n,).
    """
    batch_size = max(1, EVALUATION_PIXELS // math.prod(images.shape[1:3]))
    classes, correct = BACKEND.classifier(model, images.shape[1:]), 0
    for start in range(0, len(labels), batch_size):
        batch = slice(start, start + batch_size)
        answers = classes(images[batch])
        correct += int(np.sum(answers == labels[batch]))
    return correct / len(labels)


class EpochLines(keras.callbacks.Callback):
    """What is printed at the end of an epoch, at once.

    In a file one line, the time left at its end; on a terminal, where Keras shows the epoch, the
    time left on a line of its own.
    """

    def __init__(self, left=lambda: ""):
        """Take a function that says how much time is left, `""` if that is not known yet."""
        super().__init__()
        self.left = left

    def on_epoch_begin(self, epoch, logs=None):
        """Take the time."""
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Take the time, which that of storing a backup does not count to."""
        self.end = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Print the line."""
        parts = [
            f"epoch {epoch + 1}/{self.params['epochs']}",
            f"loss {logs['loss']:.4f}",
            f"training accuracy {logs['accuracy']:.4f}",
            f"{self.end - self.start:.1f} s",
        ]
        parts = [*([] if sys.stdout.isatty() else parts), self.left()]
        if line := "  ".join(filter(None, parts)):
            print(line, flush=True)
