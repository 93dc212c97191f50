"""What the process takes of this machine: its memory; and the name of the machine."""

import math
import os
import platform
import re
from pathlib import Path

from scnnb.backends import BACKEND


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
    gpus = len(BACKEND.gpus())
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
