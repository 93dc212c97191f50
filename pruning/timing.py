"""Latency and throughput of networks on this machine, measured in turns."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from pruning import graph
from pruning.exports import inputs
from pruning.table import Table

WARM_UP = 3  # calls that are not counted
CALLS = 30  # of each network, if they take no longer than SECONDS
SECONDS = 4.0  # of all networks together
LEAST_CALLS = 5  # of each network, however long they take


def benchmark(before: keras.Model, after: keras.Model, images: Any) -> Table:
    """Latency and throughput of two networks, such as before and after pruning.

    The time is that of Keras' `predict_on_batch`, until the outputs are NumPy arrays. The networks
    are compiled as usual on this backend, but without XLA in TensorFlow on a CPU. They are called
    in turns, so that other work of the machine slows both. After 3 calls that are not counted, each
    is called 30 times, or less often if that takes more than 4 seconds, but at least 5 times.
    Compare the two numbers of a pair only, not numbers of different days or machines.

        print(benchmark(model, prune(model, 0.4), images[:128]))

    Args:
        before: built Functional or Sequential Keras model. It is not changed.
        after: Keras model that takes the same images. It is not changed.
        images: float array (n, height, width, channels), or a list of arrays in the order of
            `model.inputs` if there are several inputs. The latency is that of the first image, the
            throughput that of one batch of all n images.

    Returns:
        Table of one row. `latency_ms_before` and `latency_ms_after`: median time of one image in
        milliseconds. `throughput_before` and `throughput_after`: images per second, by the median
        time of a batch of `batch` images. `latency_speedup` and `throughput_speedup`: how many
        times faster the network is after pruning.

    Raises:
        ValueError: images are not one array for each input, with the same number of images in each.
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
    """Keras' `predict_on_batch` of a copy of the model, compiled once.

    Args:
        model: built Functional or Sequential Keras model. It is not changed.

    Returns:
        Function of an array, or of a list of arrays in the order of `model.inputs`, that returns a
        NumPy array, or a list in the order of `model.outputs`.
    """
    copy = graph.flat(model)
    tensorflow = keras.backend.backend() == "tensorflow"
    # Keras would choose XLA, but networks are not trained with it on a CPU; JAX always uses XLA
    without_xla = tensorflow and not keras.distribution.list_devices("gpu")
    copy.compile(jit_compile=False if without_xla else "auto")
    return copy.predict_on_batch


def latency_and_throughput(
    calls: Sequence[Callable[[Any], Any]], images: Any
) -> tuple[list[float], list[float]]:
    """`(milliseconds of one image, images per second of a batch)`, a list of each for all calls.

    Args:
        calls: functions of images, such as `inference` returns.
        images: array (n, height, width, channels), or a list of arrays if there are several inputs.
            The latency is that of the first image, the throughput that of all n as one batch.
    """
    parts = images if isinstance(images, list | tuple) else [images]
    one = [part[:1] for part in parts]
    latencies = seconds_per_call(calls, one if len(one) > 1 else one[0])
    seconds = seconds_per_call(calls, images)
    return [1000 * each for each in latencies], [len(parts[0]) / each for each in seconds]


def seconds_per_call(calls: Sequence[Callable[[Any], Any]], images: Any) -> list[float]:
    """Median time in seconds of each function on these images, after a warm-up.

    The functions are called in turns, so that other work of the machine slows all of them.

    Args:
        calls: functions of images, such as `inference` returns.
        images: one batch: array (n, height, width, channels) in the CPU's memory, or a list of
            arrays.
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
