"""Compare the time of a sweep with that of one run for each percentage.

    python -m tests.benchmarks.sweep_time

Each single run trains its own baseline; the sweep trains one. The network is SCNNB, on 5,000 random
images of Fashion-MNIST's size, with 7 + 6 epochs. This is the proportion of 35 + 30 with much less
training, so other costs count more. It prints a CSV with the seconds of each run, the start of the
program included. The sweep runs after half of the single runs.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent.parent
RATIOS = [number / 10 for number in range(10)]
IMAGES, EPOCHS = 5_000, ("7", "6")


def seconds(*ratios):
    """The seconds of a call in an empty folder."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(
            f"{folder}/random.npz",
            x_train=rng.integers(0, 256, (IMAGES, 28, 28), np.uint8),
            y_train=np.arange(IMAGES) % 10,
            x_test=rng.integers(0, 256, (IMAGES, 28, 28), np.uint8),
            y_test=np.arange(IMAGES) % 10,
        )
        command = [sys.executable, ROOT / "formal.py", "random.npz", "0.001", "128", *EPOCHS]
        start = time.perf_counter()
        subprocess.run([*command, *map(str, ratios)], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    print("run,seconds")
    separate = []
    for ratio in RATIOS:
        if ratio == RATIOS[5]:
            sweep = seconds(*RATIOS)
            print(f"sweep,{sweep:.1f}", flush=True)
        separate.append(seconds(ratio))
        print(f"{ratio},{separate[-1]:.1f}", flush=True)
    print(f"sweep / all others,{sweep / sum(separate):.3f}")
