"""TensorFlow: batches are prefetched, and on a CPU some layers and Adam are fused."""

import keras
import tensorflow as tf

from scnnb.backends.backend import Backend, devices
from scnnb.backends.fused import FusedAdam, fused

AHEAD = 4  # number of prefetched batches


def adam(learning_rate, weight_decay):
    """Adam, fused on a CPU."""
    optimizer = keras.optimizers.Adam if devices() else FusedAdam
    return optimizer(learning_rate, weight_decay=weight_decay)


def jit_compile():
    """False on a CPU, because XLA makes SCNNB's step three times slower; on a GPU Keras decides."""
    return "auto" if devices() else False


def source(generator, image_shape, outputs=0):
    """The batches as tf.data.Dataset; the next ones are made while the network trains on one."""
    shapes = (
        tf.TensorSpec((None, *image_shape), tf.float32),
        tf.TensorSpec((None, 1 + outputs), tf.float32)
        if outputs
        else tf.TensorSpec((None,), tf.int32),
    )
    options = tf.data.Options()
    # the thread of autotuning sleeps 10, 20, 40 ... ms, and an iterator waits for it at its end
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(generator, output_signature=shapes)
    return dataset.prefetch(AHEAD).with_options(options)


def answers(model, image_shape):
    """A function of a batch of images that returns the outputs.

    It is traced once for batches of all sizes. Keras' `predict_on_batch` would be traced for each
    size, and TensorFlow would print a warning.
    """
    outputs = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(
        tf.TensorSpec((None, *image_shape), tf.float32)
    )
    return lambda batch: outputs(tf.constant(batch, tf.float32)).numpy()


BACKEND = Backend(
    gpus=devices,
    adam=adam,
    jit_compile=jit_compile,
    source=source,
    kernels=fused,
    answers=answers,
)
