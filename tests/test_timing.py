"""pruning/timing.py: latency and throughput of two networks in turns."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from pruning import benchmark, timing


@pytest.fixture
def clock(monkeypatch):
    """The time that timing.py reads, `[seconds]`; tests change it."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def takes(clock, *seconds):
    """A function of images whose calls take these seconds by the clock, one after the other."""
    times = itertools.cycle(seconds)

    def call(images):
        clock[0] += next(times)

    return call


def test_the_times_are_the_medians_of_each_function_in_order(clock):
    slow, quick = takes(clock, 0.25), takes(clock, 0.0625, 0.0625, 64.0)
    assert timing.seconds_per_call([slow, quick], np.zeros(3)) == [0.25, 0.0625]


@pytest.mark.parametrize(
    ("seconds", "counted"), [(0.0, timing.CALLS), (0.5, 8), (99, timing.LEAST_CALLS)]
)
def test_slow_functions_are_called_less_often(clock, seconds, counted):
    calls, long = [], takes(clock, seconds)
    timing.seconds_per_call([calls.append, long], np.zeros(3))
    assert len(calls) == timing.WARM_UP + counted


def test_calls_take_turns_after_a_warm_up(clock):
    calls, images = [], np.zeros((3, 2, 2, 1))

    def note(name):
        return lambda given: calls.append((name, given is images))

    timing.seconds_per_call([note("one"), note("other")], images)
    assert calls[: 2 * timing.WARM_UP] == [
        (name, True) for name in ("one", "other") for _ in range(timing.WARM_UP)
    ]
    counted = calls[2 * timing.WARM_UP :]
    assert counted == [("one", True), ("other", True)] * timing.CALLS


def test_inference_returns_the_outputs_of_the_model_and_does_not_change_it():
    images = keras.Input((2, 2, 1))
    model = keras.Model(images, layers.BatchNormalization()(layers.Conv2D(3, 1)(images)))
    batch = np.random.default_rng(0).random((4, 2, 2, 1), np.float32)
    infer = timing.inference(model)
    for part in (batch[:1], batch):
        np.testing.assert_allclose(infer(part), model(part), rtol=1e-5)
    assert not model.compiled


def test_inference_takes_and_returns_lists_in_the_order_of_the_model():
    first, second = keras.Input((2,), name="b"), keras.Input((2,), name="a")
    model = keras.Model({"b": first, "a": second}, [first - second, 3 * second])
    one, two = np.ones((4, 2), np.float32), np.full((4, 2), 5, np.float32)
    arrays = {"b": one, "a": two}
    answers = timing.inference(model)([arrays[symbol.name] for symbol in model.inputs])
    for answer, expected in zip(answers, [one - two, 3 * two], strict=True):
        assert type(answer) is np.ndarray
        np.testing.assert_array_equal(answer, expected)


def pair(monkeypatch, clock, inputs, before, after):
    """Two networks; the first takes `before` seconds an image by the clock, the other `after`."""
    symbols = [keras.Input((2, 2, 1)) for _ in range(inputs)]
    models, seen = [keras.Model(symbols, sum(symbols)) for _ in range(2)], []

    def inference(model):
        number = models.index(model)

        def call(images):
            count = len(images[0]) if isinstance(images, list) else len(images)
            seen.append((number, count))
            clock[0] += (before, after)[number] * count

        return call

    monkeypatch.setattr(timing, "inference", inference)
    return models, seen


@pytest.mark.parametrize("inputs", [1, 2])
def test_a_benchmark_returns_the_latencies_and_throughputs_of_both_networks(
    monkeypatch, clock, inputs
):
    models, seen = pair(monkeypatch, clock, inputs, before=0.02, after=0.005)
    images = np.zeros((16, 2, 2, 1))
    table = benchmark(*models, images if inputs == 1 else [images, images])
    (row,) = table.rows
    assert row == {
        "latency_ms_before": 20.0,
        "latency_ms_after": 5.0,
        "latency_speedup": 4.0,
        "throughput_before": 50.0,
        "throughput_after": 200.0,
        "throughput_speedup": 4.0,
        "batch": 16,
    }
    assert str(table).splitlines()[1].split()[:3] == ["20.0", "->", "5.0"]
    counted = [call for call in seen if call[1] == 16][2 * timing.WARM_UP :]
    assert counted[:4] == [(0, 16), (1, 16), (0, 16), (1, 16)]
    assert {count for _, count in seen} == {1, 16}


def test_a_benchmark_does_not_change_the_networks(monkeypatch):
    monkeypatch.setattr(timing, "CALLS", timing.LEAST_CALLS)
    models = [keras.Sequential([keras.Input((3,)), layers.Dense(n)]) for n in (4, 2)]
    (row,) = benchmark(*models, np.zeros((2, 3), np.float32)).rows
    assert row["batch"] == 2 and all(value > 0 for value in row.values())
    assert not any(model.compiled for model in models)


def test_images_that_do_not_fit_are_an_error_before_anything_is_measured():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4)])
    with pytest.raises(
        ValueError, match="images: expected an array for each of 1 inputs, .* 0 images"
    ):
        benchmark(model, model, np.zeros((0, 3)))
