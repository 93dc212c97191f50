"""How a network is trained, and how its accuracy is measured."""

import sys
import time

import keras
import numpy as np

from scnnb.augmentation import CroppedAndFlipped
from scnnb.backup import Backup

OPTIMIZERS = {
    "adam": lambda learning_rate: keras.optimizers.Adam(learning_rate),
    # Lei et al. 2020: momentum 0.9, regularization weight 5e-6
    "sgd": lambda learning_rate: keras.optimizers.SGD(
        learning_rate, momentum=0.9, weight_decay=5e-6
    ),
}
EVALUATION_PIXELS = 500 * 28 * 28  # per batch, whatever the size of an image


def train(
    model,
    dataset,
    *,
    epochs,
    batch_size,
    optimizer,
    learning_rate,
    augment,
    backup=None,
    callbacks=(),
):
    """Train the model in place with a fresh optimizer; returns the seconds of all its epochs.

    Sparse categorical cross-entropy on the training images, shuffled. Their order, dropout, shifts
    and flips follow `keras.utils.set_random_seed`, to be called before the model is made; under a
    fixed seed Keras' own shuffling, which is used without augmentation, repeats its order every
    epoch. A terminal shows Keras' progress bar; elsewhere each epoch is one plain line.

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
        backup: pathlib.Path of an `.npz` file that is written after every epoch; its folder exists.
        callbacks: Keras callbacks, called after the backup is written.

    Raises:
        ValueError: the loss is no longer a finite number; the model is spoilt.
    """
    model.compile(
        optimizer=OPTIMIZERS[optimizer](learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA slows SCNNB's step on processors about threefold; on a GPU Keras decides
        jit_compile="auto" if keras.distribution.list_devices("gpu") else False,
    )
    images, labels = dataset.train_images, dataset.train_labels
    state = Backup(
        backup, model, (epochs, batch_size, optimizer, learning_rate, augment, images.shape)
    )
    if augment:  # it shuffles by itself
        source = {"x": CroppedAndFlipped(images, labels, batch_size, state.done), "shuffle": False}
    else:
        source = {"x": images, "y": labels, "batch_size": batch_size}
    if state.done:
        print(f"going on behind epoch {state.done} of {epochs}")
    if state.done == epochs:
        return state.seconds
    terminal = sys.stdout.isatty()
    history = model.fit(
        **source,
        initial_epoch=state.done,
        epochs=epochs,
        verbose=1 if terminal else 0,
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            *([] if terminal else [_PlainLines()]),
            state,
            *callbacks,
        ],
    )
    loss = history.history["loss"][-1]
    if not np.isfinite(loss):
        raise ValueError(f"training diverged, its loss is {loss}; take a lower learning rate")
    return state.seconds


def accuracy(model, dataset):
    """Part of the test images whose most probable class is their label, 0..1.

    Args:
        model: Keras model, compiled or not, that ends in class probabilities.
        dataset: has `test_images` (n, height, width, channels) and `test_labels` (n,).
    """
    height, width = dataset.test_images.shape[1:3]
    batch_size = max(1, EVALUATION_PIXELS // (height * width))
    correct = 0
    for start in range(0, len(dataset.test_labels), batch_size):
        batch = slice(start, start + batch_size)
        # called directly: `predict` would trace a new graph for every pruned model
        probabilities = model(dataset.test_images[batch], training=False)
        classes = np.argmax(keras.ops.convert_to_numpy(probabilities), axis=-1)
        correct += int(np.sum(classes == dataset.test_labels[batch]))
    return correct / len(dataset.test_labels)


class _PlainLines(keras.callbacks.Callback):
    """One line per epoch, written at once, for output that goes to a file."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        print(
            f"epoch {epoch + 1}/{self.params['epochs']}  loss {logs['loss']:.4f}  "
            f"training accuracy {logs['accuracy']:.4f}  {time.monotonic() - self.start:.1f} s",
            flush=True,
        )
