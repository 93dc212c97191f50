"""The loss of a training, and its accuracy, by what the network ends in."""

import functools

import keras
import numpy as np

from scnnb.endings import SMALLEST, Ending
from scnnb.teacher import Teacher


def loss(ending: Ending, label_smoothing=0.0, class_weights=None, teacher: Teacher | None = None):
    """The loss of a training inside `endings.in_logits`, an argument of `compile`.

    It is categorical cross-entropy, or binary cross-entropy if the network has one output.

    Args:
        ending: Ending of the network inside `endings.in_logits`.
        label_smoothing: part s of each label that is spread evenly over all classes, 0 <= s < 1.
            With one output, label y becomes y * (1 - s) + s / 2.
        class_weights: None, or float32 array (classes,): factors of the losses of their images.
        teacher: None, or Teacher with weight w and temperature T: the loss is (1 - w) times
            cross-entropy plus w T^2 KL(p || q), where p and q are the probabilities of teacher and
            network at temperature T. The labels have the teacher's logits beside.

    Source: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, section 2.
    """
    of_images = functools.partial(_binary if ending.outputs == 1 else _categorical, ending)

    def weighted(labels, outputs):
        taught = labels[:, 1:] if teacher else None
        labels = labels[:, 0] if teacher else labels
        labels = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
        losses = of_images(labels, outputs, label_smoothing)
        if teacher:
            losses *= 1 - teacher.weight
            losses += teacher.weight * _divergence(ending, taught, outputs, teacher.temperature)
        return losses if class_weights is None else losses * keras.ops.take(class_weights, labels)

    return weighted


def accuracy(ending: Ending, beside=False):
    """The accuracy of a training inside `endings.in_logits`, an argument of `compile`.

    Args:
        ending: as `loss` takes it.
        beside: whether the labels have a teacher's logits beside.
    """

    def correct(labels, outputs):
        """1 for each image whose label is the most probable class, else 0."""
        labels = labels[:, :1] if beside else labels
        if ending.outputs > 1:
            return keras.metrics.sparse_categorical_accuracy(labels, outputs)
        return keras.metrics.binary_accuracy(labels, outputs, threshold=0.0)

    return keras.metrics.MeanMetricWrapper(correct, name="accuracy")


def balanced(labels):
    """A weight for each class, n / (classes * images of the class); the mean over images is 1.

    Args:
        labels: integer array (n,). A class without images does not count, and its weight is 0.

    Returns:
        float32 array (largest label + 1,).
    """
    counts = np.bincount(labels)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts, weights, 0).astype(np.float32)


def _divergence(ending, taught, outputs, temperature):
    """T^2 KL(p || q) of each image, so that its gradient hardly depends on the temperature T."""
    if not ending.logits:
        outputs = keras.ops.log(keras.ops.maximum(outputs, SMALLEST))
    if ending.outputs == 1:  # the logit of class 0 is 0
        outputs, taught = (
            _with_zero(keras.ops.reshape(each, (-1, 1))) for each in (outputs, taught)
        )
    log_q = keras.ops.log_softmax(outputs / temperature)
    log_p = keras.ops.log_softmax(taught / temperature)
    return temperature**2 * keras.ops.sum(keras.ops.exp(log_p) * (log_p - log_q), axis=-1)


def _with_zero(logits):
    return keras.ops.concatenate([keras.ops.zeros_like(logits), logits], axis=-1)


def _binary(ending, labels, outputs, label_smoothing):
    return keras.losses.binary_crossentropy(
        keras.ops.reshape(labels, (-1, 1)),
        keras.ops.reshape(outputs, (-1, 1)),
        from_logits=ending.logits,
        label_smoothing=label_smoothing,
    )


def _categorical(ending, labels, outputs, label_smoothing):
    """Categorical cross-entropy of each image.

    Logarithms of probabilities are logits, too. Keras' loss of probabilities would replace those
    below 1e-7 by 1e-7. Then the gradient is 0 for the images with the largest errors, and the
    network would learn nothing from them.
    """
    if not ending.logits:
        outputs = keras.ops.log(keras.ops.maximum(outputs, SMALLEST))
    if not label_smoothing:
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    labels = keras.ops.one_hot(labels, ending.outputs)
    return keras.losses.categorical_crossentropy(
        labels, outputs, from_logits=True, label_smoothing=label_smoothing
    )
