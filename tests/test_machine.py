"""pruning/machine.py: what is measured on this machine."""

import math
import time

import keras
import numpy as np
import pytest
from keras import layers

from pruning import machine


def network(seconds=0.0):
    """A network of one weight that takes at least so long."""

    class Slow(layers.Layer):
        def call(self, x):
            import tensorflow as tf

            (x,) = tf.py_function(lambda y: time.sleep(seconds) or [y], [x], [tf.float32])
            return x

        def compute_output_shape(self, shape):
            return shape

    images = keras.Input((2, 2, 1))
    return keras.Model(images, Slow()(images))


def test_the_times_are_those_of_each_model_in_its_place(monkeypatch):
    monkeypatch.setattr(machine, "SECONDS", 0.0)
    images = np.zeros((3, 2, 2, 1), "float32")
    slow, quick = machine.seconds_per_call([network(0.05), network()], images)
    assert 0.05 <= slow < 0.5
    assert quick < 0.05


def test_models_take_turns_after_a_warm_up(monkeypatch):
    calls = []

    def predict(model, images):
        calls.append((model.count_params(), images.shape))

    monkeypatch.setattr(keras.Model, "predict_on_batch", predict)
    images = keras.Input((2, 2, 1))
    models = [keras.Model(images, layers.Conv2D(n, 1, use_bias=False)(images)) for n in (1, 2)]
    machine.seconds_per_call(models, np.zeros((3, 2, 2, 1)))
    counted = calls[2 * machine.WARM_UP :]
    assert [model for model, _ in counted] == [1, 2] * machine.CALLS
    assert {shape for _, shape in calls} == {(3, 2, 2, 1)}
    assert not any(model.compiled for model in models)


def test_the_peak_of_memory_rises_with_what_is_used_and_is_forgotten():
    machine.forget_peak()
    before = machine.peak_memory_mb()
    if math.isnan(before):
        pytest.skip("this system does not tell")
    np.ones(300_000_000, "uint8")
    assert 290 < machine.peak_memory_mb() - before < 400
    machine.forget_peak()
    assert machine.peak_memory_mb() < before + 100


def test_the_name_of_the_machine_holds_its_cores():
    assert " cores, " in machine.name()
