"""The memory of this process, and the name and cores of the machine."""

import math
import os
import platform
import re
from pathlib import Path

from scnnb.backends import BACKEND


def forget_peak():
    """Reset the peak that `peak_memory_mb` returns."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory_mb():
    """The peak of this process's resident memory since `forget_peak`, in 10^6 bytes.

    It is NaN if the system does not report it; Linux does.
    """
    try:
        (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except (OSError, ValueError):
        return math.nan
    return int(kilobytes) * 1024 / 1e6


def name():
    """The processor, the number of cores that this process uses, the system, and the GPUs."""
    processor = platform.processor() or platform.machine()
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = names[0] if names else processor
    except OSError:
        pass
    gpus = len(BACKEND.gpus())
    parts = [processor, f"{cores()} cores", platform.system()]
    return ", ".join([*parts, f"{gpus} GPUs"] if gpus else parts)


def cores():
    """Number of cores that this process uses."""
    limit = os.environ.get("TF_NUM_INTRAOP_THREADS", "")  # TensorFlow's limit, 0 for all
    if limit.isdigit() and int(limit):
        return int(limit)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # some systems do not have this function
        return os.cpu_count()
