"""The parts of a training that depend on the backend. The defaults are Keras' own."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

SMALLEST = 1e-37  # probability; smaller numbers of float32 have fewer digits


def cross_entropy(labels, probabilities):
    """Sparse categorical cross-entropy of each image.

    On TensorFlow, Keras' own loss uses the logits. On other backends it replaces probabilities
    below 1e-7 by 1e-7. Then the gradient is 0 for the images with the largest errors, and the
    network would learn nothing from them.
    """
    labels = keras.ops.cast(keras.ops.reshape(labels, (-1, 1)), "int32")
    of_label = keras.ops.take_along_axis(probabilities, labels, axis=-1)
    return -keras.ops.log(keras.ops.maximum(of_label, SMALLEST))[:, 0]


def _classifier(model, image_shape):
    copy = keras.Model(model.inputs[0], model.outputs[0])  # same layers; model is not compiled
    copy.compile()
    return lambda batch: np.argmax(copy.predict_on_batch(batch), axis=-1)


@dataclass(frozen=True)
class Backend:
    """The parts of a training that depend on the backend.

    Attributes:
        gpus: function that returns the list of the GPUs that Keras uses.
        adam: function of `learning_rate` and `weight_decay`, returns the optimizer.
        loss: sparse categorical cross-entropy of probabilities, an argument of `compile`.
        jit_compile: function that returns the argument `jit_compile` of `compile`.
        source: function that returns the training data for `fit`. It takes a function that returns
            a generator of batches `(images, labels)`, and the shape of an image.
        kernels: function of the model, returns a context manager. The model is trained inside.
        classifier: function of the model and the shape of an image. It returns a function of a
            batch of images, float32 array, that returns the most probable classes.
        callbacks: function of a seed, returns Keras callbacks. They seed the random numbers that
            the backend draws outside the model.
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
    """List of the GPUs, if Keras can list the backend's devices."""
    # if only GPUs are requested and there are none, JAX raises an error
    return [each for each in keras.distribution.list_devices() if not each.startswith("cpu")]
