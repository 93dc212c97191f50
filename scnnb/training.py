"""Train a network, and measure its accuracy."""

import functools
import gc
import math
import sys
import time

import keras
import numpy as np

from scnnb import endings, losses, schedules
from scnnb.backends import BACKEND
from scnnb.backup import Backup
from scnnb.batches import batches
from scnnb.precision import computing_in
from scnnb.teacher import answering
from scnnb.validation import Validation

OPTIMIZERS = {
    "adam": lambda rate, decay, momentum, nesterov: BACKEND.adam(rate, weight_decay=decay),
    "sgd": lambda rate, decay, momentum, nesterov: keras.optimizers.SGD(
        rate, momentum=momentum, nesterov=nesterov, weight_decay=decay
    ),
}
EVALUATION_PIXELS = 200 * 28 * 28  # per batch, for images of any size; more are not faster


class DivergedError(ValueError):
    """The loss is not a finite number."""


def train(
    model,
    dataset,
    *,
    epochs,
    batch_size,
    optimizer,
    learning_rate,
    lr_schedule="constant",
    warmup=0,
    weight_decay=0.0,
    momentum=0.0,
    nesterov=False,
    augment,
    precision="float32",
    label_smoothing=0.0,
    class_weights="",
    validation=None,
    best_epoch=False,
    teacher=None,
    backup=None,
    callbacks=(),
):
    """Train the model in place with a new optimizer; returns its history.

    The history is a list of a dict for each epoch, as `Backup.finish` returns it; it has all
    epochs, also those before a training was killed.

    The loss is cross-entropy, see `losses`. The images are shuffled in every epoch. Their
    order, dropout, shifts and flips depend on `keras.utils.set_random_seed`; call it before the
    model is built. See `backends` for the parts that depend on the backend. A terminal shows Keras'
    progress bar. A file gets one line per epoch, see `EpochLines`.

    With a backup, a killed training continues after its last complete epoch, and ends with the
    result of a training that was not interrupted. The result of a finished training is read from
    its backup. The file is not deleted.

    Args:
        model: Keras model, see `endings.ACCEPTED`.
        dataset: has `train_images` (n, height, width, channels) and `train_labels` (n,).
        epochs: passes over the training images, at least 1.
        batch_size: images per step, at least 1.
        optimizer: a key of `OPTIMIZERS`.
        learning_rate: the highest, above 0.
        lr_schedule: a key of `schedules.SCHEDULES`.
        warmup: epochs at the start in which the learning rate rises, fewer than `epochs`.
        weight_decay: as Keras' optimizers take it, from 0: before each step, a weight loses this
            part of itself times the learning rate.
        momentum: of SGD, 0..1; Adam does not use it.
        nesterov: whether SGD's momentum is that of Nesterov.
        augment: how images change at random: "", or a key of `augmentation.AUGMENTATIONS`.
        precision: `float32` or `bfloat16`, see `precision.computing_in`; weights are float32.
        label_smoothing: part of each label that is spread over all classes, see `losses.loss`.
        class_weights: "", or `balanced`: the loss of an image is weighted by `losses.balanced`.
            The accuracy of an epoch is not.
        validation: None, or `(images, labels)` on which `accuracy` is measured after every epoch.
        best_epoch: whether the model gets the weights of the epoch with the highest accuracy on the
            validation images, the first of several, and not those of the last epoch.
        teacher: None, or a Teacher whose answers the network learns beside the labels. It must have
            the same outputs, and the result of a training that is continued is the same only if its
            weights are.
        backup: None, or pathlib.Path of an `.npz` file that is written after every epoch; its
            folder exists.
        callbacks: Keras callbacks, called after the backup is written. If there are no
            `EpochLines` among them, they are added.

    Raises:
        DivergedError: the loss is not a finite number. The model cannot be used then.
    """
    # drawn even if this training is read from its backup: the next one needs the same numbers
    seed = np.random.randint(2**31)
    gc.collect()  # frees the optimizer of an earlier training, whose variables form a cycle
    images, labels = dataset.train_images, dataset.train_labels
    steps = math.ceil(len(labels) / batch_size)  # of an epoch
    rate = schedules.learning_rate(
        lr_schedule, learning_rate, steps=epochs * steps, warmup_steps=warmup * steps
    )
    copy = _compiled(
        model,
        OPTIMIZERS[optimizer](rate, weight_decay or None, momentum, bool(nesterov)),
        label_smoothing=label_smoothing,
        class_weights=losses.balanced(labels) if class_weights else None,
        teacher=teacher,
    )
    settings = (
        *(epochs, batch_size, optimizer, learning_rate, augment, precision, images.shape),
        *(lr_schedule, warmup, weight_decay, momentum, nesterov),
        *(label_smoothing, class_weights, validation and len(validation[1]), best_epoch),
        teacher and teacher[1:],
    )
    state = Backup(backup, copy, settings, keep_best=bool(best_epoch))
    if state.done:
        print(f"continuing after epoch {state.done} of {epochs}")
    if state.done == epochs:
        return state.finish()
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
    prepare = validation and functools.partial(_measurement, model, *validation)
    with (
        computing_in(precision, model) as lowered,
        BACKEND.kernels(model),
        endings.in_logits(model),
        answering(teacher, precision, generator, images.shape[1:]) as source,
    ):
        history = copy.fit(
            BACKEND.source(source, images.shape[1:], copy.outputs[0].shape[-1] if teacher else 0),
            shuffle=False,  # the generator shuffles
            steps_per_epoch=steps,
            initial_epoch=state.done,
            epochs=epochs,
            verbose=1 if sys.stdout.isatty() else 0,
            callbacks=[
                keras.callbacks.TerminateOnNaN(),
                *([Validation(prepare, lowered)] if prepare else []),
                *_progress_bar(),
                *BACKEND.callbacks(seed),
                state,
                *_with_lines(callbacks),
            ],
        )
    loss = history.history["loss"][-1]
    if not np.isfinite(loss):
        raise DivergedError(
            f"training diverged: expected a finite loss, got {loss}; give a lower learning rate"
        )
    return state.finish()


def accuracy(model, images, labels):
    """Part of the images whose most probable class is their label, 0..1.

    Args:
        model: Keras model, compiled or not, see `endings.ACCEPTED`.
        images: float32 array (n, height, width, channels), or an object whose slices are such.
        labels: integer array (n,).
    """
    return _measurement(model, images, labels)()


def _compiled(model, optimizer, *, label_smoothing, class_weights, teacher):
    """A model of the same layers that is compiled; arguments as `losses.loss` takes them."""
    with endings.in_logits(model):  # as the whole training is
        ending = endings.of(model)
    copy = keras.Model(model.inputs[0], model.outputs[0])
    copy.compile(
        optimizer=optimizer,
        loss=losses.loss(ending, label_smoothing, class_weights, teacher),
        metrics=[losses.accuracy(ending, beside=bool(teacher))],
        jit_compile=BACKEND.jit_compile(),
    )
    return copy


def _progress_bar():
    """On a terminal, Keras' bar, so that later callbacks print below; Keras would add it last."""
    return [keras.callbacks.ProgbarLogger()] if sys.stdout.isatty() else []


def _with_lines(callbacks):
    """The callbacks, and `EpochLines` if there are none among them."""
    has_lines = any(isinstance(each, EpochLines) for each in callbacks)
    return callbacks if has_lines else [EpochLines(), *callbacks]


def _measurement(model, images, labels):
    """A function without arguments that returns the accuracy; it may be called many times."""
    batch_size = max(1, EVALUATION_PIXELS // math.prod(images.shape[1:3]))
    answers, classes = BACKEND.answers(model, images.shape[1:]), endings.of(model).classes

    def measure():
        correct = 0
        for start in range(0, len(labels), batch_size):
            batch = slice(start, start + batch_size)
            correct += int(np.sum(classes(answers(images[batch])) == labels[batch]))
        return correct / len(labels)

    return measure


class EpochLines(keras.callbacks.Callback):
    """Print a line at the end of every epoch.

    In a file, it has the results of the epoch and the time left. On a terminal, Keras' progress bar
    has the results, and the line has only the time left.
    """

    def __init__(self, left=lambda: ""):
        """Take a function that returns the time left as a text, or `""` if it is not known."""
        super().__init__()
        self.left = left

    def on_epoch_begin(self, epoch, logs=None):
        """Start to measure the time of the epoch."""
        self.start = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """Keep the time of the last step, so that the time to write the backup is not included."""
        self.end = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Print the line."""
        validated = logs.get("validation_accuracy")
        parts = [
            f"epoch {epoch + 1}/{self.params['epochs']}",
            f"loss {logs['loss']:.4f}",
            f"training accuracy {logs['accuracy']:.4f}",
            f"validation accuracy {validated:.4f}" if validated is not None else "",
            f"{self.end - self.start:.1f} s",
        ]
        parts = [*([] if sys.stdout.isatty() else parts), self.left()]
        if line := "  ".join(filter(None, parts)):
            print(line, flush=True)
