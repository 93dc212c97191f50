"""The parts of a training that depend on the backend. The defaults are Keras' own."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras


def _answers(model, image_shape):
    copy = keras.Model(model.inputs[0], model.outputs[0])  # same layers; model is not compiled
    copy.compile()
    return copy.predict_on_batch


@dataclass(frozen=True)
class Backend:
    """The parts of a training that depend on the backend.

    Attributes:
        gpus: function that returns the list of the GPUs that Keras uses.
        adam: function of `learning_rate` and `weight_decay`, returns the optimizer.
        jit_compile: function that returns the argument `jit_compile` of `compile`.
        source: function that returns the training data for `fit`. It takes a function that returns
            a generator of batches `(images, labels)`, the shape of an image, and the number of a
            teacher's outputs beside each label, or 0.
        kernels: function of the model, returns a context manager. The model is trained inside.
        answers: function of the model and the shape of an image. It returns a function of a batch
            of images, float32 array, that returns the outputs, float array (n, outputs).
        callbacks: function of a seed, returns Keras callbacks. They seed the random numbers that
            the backend draws outside the model.
    """

    gpus: Callable
    adam: Callable = keras.optimizers.Adam
    jit_compile: Callable = lambda: "auto"
    source: Callable = lambda generator, image_shape, outputs=0: generator()
    kernels: Callable = contextlib.nullcontext
    answers: Callable = _answers
    callbacks: Callable = lambda seed: []


def devices():
    """List of the GPUs, if Keras can list the backend's devices."""
    # if only GPUs are requested and there are none, JAX raises an error
    return [each for each in keras.distribution.list_devices() if not each.startswith("cpu")]
