"""What this machine makes of a network: latency, throughput, memory; and its name."""

import math
import os
import platform
import re
import statistics
import time
from pathlib import Path

import keras

WARM_UP = 3  # calls that are not counted
CALLS = 30  # per model, fewer where they take longer than
SECONDS = 4.0  # in all, but
LEAST_CALLS = 5


def seconds_per_call(models, images):
    """Median time of one inference of each model on these images, warmed up.

    The models take turns, so that whatever else the machine does meets all of them. What is timed
    is Keras' `predict_on_batch`: a compiled graph, the images coming from and the answers going to
    the processor's memory.

    Args:
        models: list of built Keras models of one input; they are left as they are.
        images: array (n, height, width, channels): one batch.

    Returns:
        List of floats, seconds.
    """
    callables = []
    for model in models:
        copy = keras.Model(model.inputs[0], model.outputs[0])
        # XLA, Keras' choice, is not what the training uses on a processor either
        copy.compile(jit_compile="auto" if keras.distribution.list_devices("gpu") else False)
        callables.append(copy.predict_on_batch)
        for _ in range(WARM_UP):
            copy.predict_on_batch(images)
    times = [[] for _ in models]
    end = time.perf_counter() + SECONDS
    while len(times[0]) < LEAST_CALLS or (len(times[0]) < CALLS and time.perf_counter() < end):
        for call, taken in zip(callables, times, strict=True):
            start = time.perf_counter()
            call(images)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def forget_peak():
    """Begin to count `peak_memory_mb` anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory_mb():
    """Most memory of this process that was resident at once, in 10^6 bytes.

    Since `forget_peak`. Not a number where the system does not tell, which Linux does.
    """
    try:
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except (OSError, ValueError):
        return math.nan
    return int(kilobytes) * 1024 / 1e6


def name():
    """Processor, number of its cores that the process may use, system; GPUs, if there are."""
    processor = platform.processor() or platform.machine()
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = names[0] if names else processor
    except OSError:
        pass
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count()
    gpus = len(keras.distribution.list_devices("gpu"))
    parts = [processor, f"{cores} cores", platform.system()]
    return ", ".join([*parts, f"{gpus} GPUs"] if gpus else parts)
