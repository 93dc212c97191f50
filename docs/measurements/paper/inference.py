"""Time of inference saved beside MACs saved, as Li et al. 2017, table 3: batches of 128 images.

    python -m docs.measurements.paper.inference > docs/measurements/paper/inference.csv

Random weights: the time does not depend on them. The full and the pruned network take a batch in
turns; a round has a median for each, and the table has the median round, the least and the largest.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import statistics

import numpy as np

import scnnb
from experiment import layer_ratios
from pruning import macs, prune, timing

ROUNDS = 5
BATCH = 128


def measure(name, ratios):
    """The row of a configuration, a dict."""
    full = scnnb.NETWORKS[name.split("-")[0]]((32, 32, 3), 10)
    pruned = prune(full, 0, layer_ratios=ratios)
    calls = [timing.inference(full), timing.inference(pruned)]
    images = np.random.default_rng(0).uniform(size=(BATCH, 32, 32, 3)).astype("float32")
    rounds = [timing.seconds_per_call(calls, images) for _ in range(ROUNDS)]
    saved = [1 - after / before for before, after in rounds]
    return {
        "configuration": name,
        "macs_saved": round(1 - macs(pruned) / macs(full), 4),
        "time_saved": round(statistics.median(saved), 4),
        "time_saved_least": round(min(saved), 4),
        "time_saved_most": round(max(saved), 4),
        "milliseconds": round(1000 * statistics.median(before for before, _ in rounds), 2),
        "pruned_milliseconds": round(1000 * statistics.median(after for _, after in rounds), 2),
        "rounds": ROUNDS,
    }


if __name__ == "__main__":
    for index, (name, ratios) in enumerate(layer_ratios.LAYER_RATIOS.items()):
        row = measure(name, ratios)
        if not index:
            print(*row, sep=",")
        print(*row.values(), sep=",", flush=True)
