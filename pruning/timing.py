"""How long networks take on this machine: latency and throughput, measured in turns."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from pruning import graph
from pruning.exports import inputs
from pruning.table import Table

WARM_UP = 3  # calls that are not counted
CALLS = 30  # per network, fewer if they take longer than
SECONDS = 4.0  # in all, but
LEAST_CALLS = 5


def benchmark(before: keras.Model, after: keras.Model, images: Any) -> Table:
    """Latency and throughput of two networks as a pair, such as before and after pruning.

    It is the time of Keras' `predict_on_batch` until the answers are NumPy arrays, compiled as
    Keras does it on this backend, but without XLA in TensorFlow on a processor. The networks take
    turns, so that whatever else the machine does meets both: after 3 calls that are not counted,
    30 of each (fewer, but at least 5, if those take more than 4 seconds). Compare the two of a
    pair, not pairs of different hours or machines.

        print(benchmark(model, prune(model, 0.4), images[:128]))

    Args:
        before: built Functional or Sequential Keras model; it is left as it is.
        after: one that takes the same images.
        images: float array (n, height, width, channels), or a list of arrays in the order of
            `model.inputs` if there are several: the first alone for the latency, all n as one
            batch for the throughput.

    Returns:
        Table of one row. `latency_ms_before` and `latency_ms_after`: median time of one image in
        milliseconds; `throughput_before` and `throughput_after`: images per second in batches of
        `batch` images, by the median time of one; `latency_speedup` and `throughput_speedup`: how
        many times as fast the network is after pruning.

    Raises:
        ValueError: images are not one array for each input, of as many images each, at least one.
    """
    parts = inputs.arrays(before, images)
    latencies, throughputs = latency_and_throughput(
        [inference(before), inference(after)], parts if len(parts) > 1 else parts[0]
    )
    row = {
        "latency_ms_before": round(latencies[0], 3),
        "latency_ms_after": round(latencies[1], 3),
        "latency_speedup": round(latencies[0] / latencies[1], 2),
        "throughput_before": round(throughputs[0], 1),
        "throughput_after": round(throughputs[1], 1),
        "throughput_speedup": round(throughputs[1] / throughputs[0], 2),
        "batch": len(parts[0]),
    }
    return Table([row])


def inference(model: keras.Model) -> Callable[[Any], Any]:
    """A function of a batch of images, Keras' `predict_on_batch` of the model, compiled once.

    Args:
        model: built Functional or Sequential Keras model; it is left as it is.

    Returns:
        Function of an array, or of a list of arrays in the order of `model.inputs`, that returns a
        NumPy array, or a list in the order of `model.outputs`.
    """
    copy = graph.flat(model)
    tensorflow = keras.backend.backend() == "tensorflow"
    # XLA, Keras' choice, is not what trains on a processor either; JAX has nothing else
    without_xla = tensorflow and not keras.distribution.list_devices("gpu")
    copy.compile(jit_compile=False if without_xla else "auto")
    return copy.predict_on_batch


def latency_and_throughput(
    calls: Sequence[Callable[[Any], Any]], images: Any
) -> tuple[list[float], list[float]]:
    """Milliseconds of one image, and images per second of the batch, of each call.

    Args:
        calls: functions of images, such as `inference` returns.
        images: array (n, height, width, channels), or a list of arrays if there are several inputs:
            the first alone for the latency, all n as one batch for the throughput.
    """
    parts = images if isinstance(images, list | tuple) else [images]
    one = [part[:1] for part in parts]
    latencies = seconds_per_call(calls, one if len(one) > 1 else one[0])
    seconds = seconds_per_call(calls, images)
    return [1000 * each for each in latencies], [len(parts[0]) / each for each in seconds]


def seconds_per_call(calls: Sequence[Callable[[Any], Any]], images: Any) -> list[float]:
    """Median time of each call on these images, warmed up, in seconds.

    The calls take turns, so that whatever else the machine does meets all of them.

    Args:
        calls: functions of images, such as `inference` returns.
        images: array (n, height, width, channels) in the processor's memory, or a list of arrays:
            one batch.
    """
    for call in calls:
        for _ in range(WARM_UP):
            call(images)
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + SECONDS
    while len(times[0]) < LEAST_CALLS or (len(times[0]) < CALLS and time.perf_counter() < end):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call(images)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]
