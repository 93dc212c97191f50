"""Distillation: a network learns the answers of another one, its teacher, beside the labels."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np

from scnnb import endings
from scnnb.backends import BACKEND
from scnnb.precision import computing_in


class Teacher(NamedTuple):
    """A trained network, and how much its answers count.

    Attributes:
        model: Keras model, see `endings.ACCEPTED`.
        weight: part w of the loss that compares with its probabilities, 0 < w <= 1.
        temperature: T above 0, by which the logits of both networks are divided.
    """

    model: keras.Model
    weight: float
    temperature: float


@contextlib.contextmanager
def answering(teacher: Teacher | None, precision, generator, image_shape):
    """Inside the `with`, a function like `generator` whose labels have the teacher's logits beside.

    The teacher gets the same images, changed at random or not, and answers as after training.

    Args:
        teacher: Teacher, or None: then it is `generator` itself.
        precision: of the training, as `precision.computing_in` takes it.
        generator: function that returns a generator of batches `(images, labels)`.
        image_shape: of an image.

    Yields:
        Function that returns a generator of `(images, targets)`, float32 (batch, 1 + outputs): the
        label, then the logits.
    """
    if not teacher:
        yield generator
        return
    with computing_in(precision, teacher.model), endings.in_logits(teacher.model):
        answers, ending = BACKEND.answers(teacher.model, image_shape), endings.of(teacher.model)

        def with_answers():
            for images, labels in generator():
                logits = ending.as_logits(answers(images))
                yield images, np.column_stack([labels, logits]).astype(np.float32)

        yield with_answers
