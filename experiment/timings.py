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


def inference(model):
    """A function of a batch of images, Keras' `predict_on_batch` of the model, compiled once.

    Args:
        model: built Keras model of one input; it is left as it is.
    """
    copy = keras.Model(model.inputs[0], model.outputs[0])
    # XLA, Keras' choice, is not what the training uses on a processor either
    copy.compile(jit_compile="auto" if keras.distribution.list_devices("gpu") else False)
    return copy.predict_on_batch


def seconds_per_call(calls, images):
    """Median time of each call on these images, warmed up.

    The calls take turns, so that whatever else the machine does meets all of them.

    Args:
        calls: list of functions of images, such as `inference` returns.
        images: array (n, height, width, channels) in the processor's memory: one batch.

    Returns:
        List of floats, seconds.
    """
    for call in calls:
        for _ in range(WARM_UP):
            call(images)
    times = [[] for _ in calls]
    end = time.perf_counter() + SECONDS
    while len(times[0]) < LEAST_CALLS or (len(times[0]) < CALLS and time.perf_counter() < end):
        for call, taken in zip(calls, times, strict=True):
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
    gpus = len(keras.distribution.list_devices("gpu"))
    parts = [processor, f"{cores()} cores", platform.system()]
    return ", ".join([*parts, f"{gpus} GPUs"] if gpus else parts)


def cores():
    """Number of the processor's cores that this process may use, or was told to."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")  # as TensorFlow reads it, 0 for all
    if told.isdigit() and int(told):
        return int(told)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count()
