"""How long `prune` takes, and how much memory, on the large networks of keras.applications.

    python -m tests.benchmarks.prune_time

Prints, for each network at its own image size and ratio 0.5, the median seconds of three prunings
and the peak of the process's memory while the first one ran, in bytes of the network's weights:
1.0 is the network itself, the rest is what pruning added, the pruned network included. Linux only.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

NETWORKS = ("VGG16", "ResNet50", "EfficientNetB7")
REPEATS = 3


def measure(name):
    """Print one line; in a process of its own, so that nothing else is in its memory."""
    import keras

    from pruning import prune

    model = getattr(keras.applications, name)(weights=None)
    model_bytes = sum(weight.numpy().nbytes for weight in model.weights)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = _memory("VmRSS")
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        prune(model, 0.5)
        seconds.append(time.perf_counter() - start)
        if len(seconds) == 1:
            added = _memory("VmHWM") - before
    print(
        f"{name:<16}{model.input_shape[1]:>4} px{model.count_params():>14,} parameters"
        f"{statistics.median(seconds):>8.1f} s{1 + added / model_bytes:>8.2f} x bytes",
        flush=True,
    )


def _memory(key):
    (line,) = [ln for ln in Path("/proc/self/status").read_text().splitlines() if key in ln]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        for name in NETWORKS:
            subprocess.run([sys.executable, "-m", "tests.benchmarks.prune_time", name], check=True)
