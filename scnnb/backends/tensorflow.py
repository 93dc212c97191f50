"""TensorFlow: batches made ahead, and on a processor one kernel for what Keras computes in many."""

import keras
import tensorflow as tf

from scnnb.backends.backend import Backend, devices
from scnnb.backends.fused import FusedAdam, fused

AHEAD = 4  # batches that wait for the network


def adam(learning_rate):
    """Adam, fused on a processor."""
    return (keras.optimizers.Adam if devices() else FusedAdam)(learning_rate)


def jit_compile():
    """XLA slows SCNNB's step on processors about threefold; on a GPU Keras decides."""
    return "auto" if devices() else False


def source(generator, image_shape):
    """The batches as tf.data.Dataset, made while the network computes the ones before."""
    shapes = (
        tf.TensorSpec((None, *image_shape), tf.float32),
        tf.TensorSpec((None,), tf.int32),
    )
    options = tf.data.Options()
    # its thread sleeps 10, 20, 40 ... ms, and an iterator may not end before it awakes
    options.autotune.enabled = False
    made = tf.data.Dataset.from_generator(generator, output_signature=shapes)
    return made.prefetch(AHEAD).with_options(options)


def classifier(model, image_shape):
    """The most probable classes, traced once per network for all sizes of a batch.

    Keras' `predict_on_batch` would be traced for each, and TensorFlow warn of that.
    """
    classes = tf.function(
        lambda batch: tf.argmax(model(batch, training=False), axis=-1)
    ).get_concrete_function(tf.TensorSpec((None, *image_shape), tf.float32))
    return lambda batch: classes(tf.constant(batch, tf.float32)).numpy()


BACKEND = Backend(
    gpus=devices,
    adam=adam,
    loss="sparse_categorical_crossentropy",
    jit_compile=jit_compile,
    source=source,
    kernels=fused,
    classifier=classifier,
)
