"""Measure the start of the program, and its memory.

    python -m tests.benchmarks.start_time [path of an .npz file of CIFAR-10]

It prints a CSV with the median seconds of three calls in an empty folder: for the help, for the
error of a wrong argument, and until the end of the first training step on Fashion-MNIST, whose
images are in Keras' cache. With a path, it also prints the peak memory of two trials of SCNNB on
that dataset, in 10^6 bytes: the column `peak_memory_mb`.
"""

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TRAINING = ["0.001", "128", "1", "1"]
CALLS = 3
# the program, which ends after its first training step
FIRST_STEP = """
import os
import formal

run = formal.experiment

def experiment(*arguments):
    from scnnb import training
    training.EpochLines.on_train_batch_end = lambda *step, **logs: os._exit(0)
    run(*arguments)

formal.experiment = experiment
formal.main()
"""


def seconds(*command):
    """The seconds of a call in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=folder, capture_output=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    program = str(ROOT / "formal.py")
    begin = ["-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{FIRST_STEP}"]
    print("what,n,value,least,most")
    for what, command in (
        ("--help, s", [program, "--help"]),
        ("wrong argument, s", [program, "fashion", "fast"]),
        ("first step, s", [*begin, "fashion", *TRAINING, "0.4"]),
    ):
        times = sorted(seconds(*command) for _ in range(CALLS))
        print(f'"{what}",{CALLS},{statistics.median(times):.2f},{times[0]:.2f},{times[-1]:.2f}')
    for path in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, program, str(Path(path).resolve()), *TRAINING, "0.0", "0.4"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            (file,) = Path(folder).glob(f"results/{Path(path).stem}.csv")
            for row in csv.DictReader(file.open()):
                peak = float(row["peak_memory_mb"])
                print(f'"peak at {row["pruning_ratio"]}, MB",1,{peak:.0f},{peak:.0f},{peak:.0f}')
