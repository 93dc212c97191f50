"""pruning/machine.py: what is measured on this machine."""

import math
import time

import keras
import numpy as np
import pytest
from keras import layers

from pruning import machine


def test_the_times_are_those_of_each_call_in_its_place(monkeypatch):
    monkeypatch.setattr(machine, "SECONDS", 0.0)
    slow, quick = machine.seconds_per_call([lambda images: time.sleep(0.05), len], np.zeros(3))
    assert 0.05 <= slow < 0.5
    assert quick < 0.05


def test_calls_take_turns_after_a_warm_up():
    calls, images = [], np.zeros((3, 2, 2, 1))

    def note(name):
        return lambda given: calls.append((name, given is images))

    machine.seconds_per_call([note("one"), note("other")], images)
    assert calls[: 2 * machine.WARM_UP] == [
        (name, True) for name in ("one", "other") for _ in range(machine.WARM_UP)
    ]
    counted = calls[2 * machine.WARM_UP :]
    assert counted == [("one", True), ("other", True)] * machine.CALLS


def test_inference_is_what_the_model_answers_and_leaves_it_as_it_is():
    images = keras.Input((2, 2, 1))
    model = keras.Model(images, layers.BatchNormalization()(layers.Conv2D(3, 1)(images)))
    batch = np.random.default_rng(0).random((4, 2, 2, 1), np.float32)
    infer = machine.inference(model)
    for part in (batch[:1], batch):
        np.testing.assert_allclose(infer(part), model(part), rtol=1e-5)
    assert not model.compiled


def test_the_peak_of_memory_rises_with_what_is_used_and_is_forgotten():
    machine.forget_peak()
    before = machine.peak_memory_mb()
    if math.isnan(before):
        pytest.skip("this system does not tell")
    np.ones(300_000_000, "uint8")
    assert 290 < machine.peak_memory_mb() - before < 400
    machine.forget_peak()
    assert machine.peak_memory_mb() < before + 100


def test_the_name_of_the_machine_holds_the_cores_that_tensorflow_may_use(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    every = machine.cores()
    assert f", {every} cores, " in machine.name()
    for told, expected in (("3", 3), ("0", every), ("many", every)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", told)
        assert machine.cores() == expected
