"""experiment/timings.py: what is measured on this timings."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers

from experiment import timings


@pytest.fixture
def clock(monkeypatch):
    """The time that timings.py sees: `[seconds]`."""
    now = [0.0]
    monkeypatch.setattr(timings.time, "perf_counter", lambda: now[0])
    return now


def takes(clock, *seconds):
    """A function of images that takes so long by the clock, call after call."""
    times = itertools.cycle(seconds)

    def call(images):
        clock[0] += next(times)

    return call


def test_the_times_are_the_medians_of_each_call_in_its_place(clock):
    slow, quick = takes(clock, 0.25), takes(clock, 0.0625, 0.0625, 64.0)
    assert timings.seconds_per_call([slow, quick], np.zeros(3)) == [0.25, 0.0625]


@pytest.mark.parametrize(
    ("seconds", "counted"), [(0.0, timings.CALLS), (0.5, 8), (99, timings.LEAST_CALLS)]
)
def test_calls_that_take_long_are_made_less_often(clock, seconds, counted):
    calls, long = [], takes(clock, seconds)
    timings.seconds_per_call([calls.append, long], np.zeros(3))
    assert len(calls) == timings.WARM_UP + counted


def test_calls_take_turns_after_a_warm_up(clock):
    calls, images = [], np.zeros((3, 2, 2, 1))

    def note(name):
        return lambda given: calls.append((name, given is images))

    timings.seconds_per_call([note("one"), note("other")], images)
    assert calls[: 2 * timings.WARM_UP] == [
        (name, True) for name in ("one", "other") for _ in range(timings.WARM_UP)
    ]
    counted = calls[2 * timings.WARM_UP :]
    assert counted == [("one", True), ("other", True)] * timings.CALLS


def test_inference_is_what_the_model_answers_and_leaves_it_as_it_is():
    images = keras.Input((2, 2, 1))
    model = keras.Model(images, layers.BatchNormalization()(layers.Conv2D(3, 1)(images)))
    batch = np.random.default_rng(0).random((4, 2, 2, 1), np.float32)
    infer = timings.inference(model)
    for part in (batch[:1], batch):
        np.testing.assert_allclose(infer(part), model(part), rtol=1e-5)
    assert not model.compiled


def test_the_peak_of_memory_rises_with_what_is_used_and_is_forgotten():
    timings.forget_peak()
    before = timings.peak_memory_mb()
    if math.isnan(before):
        pytest.skip("this system does not tell")
    np.ones(300_000_000, "uint8")
    assert 290 < timings.peak_memory_mb() - before < 400
    timings.forget_peak()
    assert timings.peak_memory_mb() < before + 100


def test_the_name_of_the_machine_holds_the_cores_that_tensorflow_may_use(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    every = timings.cores()
    assert f", {every} cores, " in timings.name()
    for told, expected in (("3", 3), ("0", every), ("many", every)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", told)
        assert timings.cores() == expected
