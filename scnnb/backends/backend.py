"""One of Keras' backends: what a training takes from it. The defaults are Keras' own ways."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

SMALLEST = 1e-37  # probability, nearly the smallest number of float32 that has all its digits


def cross_entropy(labels, probabilities):
    """Sparse categorical cross-entropy of each image.

    Keras' own goes back to the logits on TensorFlow only. Elsewhere it takes probabilities below
    1e-7 for 1e-7, so that the images that a network answers worst would teach it nothing.
    """
    labels = keras.ops.cast(keras.ops.reshape(labels, (-1, 1)), "int32")
    of_label = keras.ops.take_along_axis(probabilities, labels, axis=-1)
    return -keras.ops.log(keras.ops.maximum(of_label, SMALLEST))[:, 0]


def _classifier(model, image_shape):
    copy = keras.Model(model.inputs[0], model.outputs[0])  # of the same layers: model is as it was
    copy.compile()
    return lambda batch: np.argmax(copy.predict_on_batch(batch), axis=-1)


@dataclass(frozen=True)
class Backend:
    """What a training takes from one of Keras' backends.

    Attributes:
        gpus: function that gives the list of the GPUs Keras computes on, empty on a processor.
        adam: function of the constant learning rate that gives the optimizer.
        loss: sparse categorical cross-entropy of probabilities, as `compile` takes it.
        jit_compile: function that gives what `compile` takes of this name.
        source: function that gives what `fit` takes, of a function whose generator yields batches
            `(images, labels)`, and of the shape of an image.
        kernels: function of the model that gives a context, inside which it is trained.
        classifier: function of the model and the shape of an image that gives a function: of a
            batch of images, float32 array, it gives the most probable classes.
        callbacks: function of a seed that gives Keras callbacks, which fix what is random and
            drawn from no state of the model.
    """

    gpus: Callable
    adam: Callable = keras.optimizers.Adam
    loss: str | Callable = cross_entropy
    jit_compile: Callable = lambda: "auto"
    source: Callable = lambda generator, image_shape: generator()
    kernels: Callable = contextlib.nullcontext
    classifier: Callable = _classifier
    callbacks: Callable = lambda seed: []


def devices():
    """List of the GPUs, where Keras can list them."""
    # asked for GPUs alone, JAX raises an error where there are none
    return [each for each in keras.distribution.list_devices() if not each.startswith("cpu")]
