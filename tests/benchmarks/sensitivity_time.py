"""How long an evaluation of a sensitivity analysis takes, against pruning and measuring each time.

    python -m tests.benchmarks.sensitivity_time

Prints as CSV, for networks with new weights on random images, the seconds per evaluation either way
and by what factor pruning takes longer. Pruning is timed at one ratio for every layer.
"""

import os
import time
from types import SimpleNamespace

import numpy as np

NETWORKS = {"scnnb": (28, 28, 1), "resnet20": (32, 32, 3)}
IMAGES = 10_000


def measure(name, shape):
    """Print a line."""
    import pruning
    import scnnb
    from pruning import criteria, sensitivity
    from scnnb import training

    model = scnnb.NETWORKS[name](shape, 10)
    images = np.random.default_rng(0).random((IMAGES, *shape), np.float32)
    labels = np.arange(IMAGES) % 10
    start = time.perf_counter()
    _, rows = sensitivity.analyse(model, images, labels, criterion=criteria.l1_norm)
    ours = (time.perf_counter() - start) / len(rows)

    stages, _ = sensitivity.measurable(model)
    dataset = SimpleNamespace(test_images=images, test_labels=labels)
    start = time.perf_counter()
    for only in stages:
        training.accuracy(
            pruning.prune(model, 0.5, only=only), dataset.test_images, dataset.test_labels
        )
    each = (time.perf_counter() - start) / len(stages)
    print(f"{name},{len(rows)},{IMAGES},{ours:.2f},{each:.2f},{each / ours:.2f}", flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("network,evaluations,images,evaluation_s,prune_and_measure_s,factor")
    for name, shape in NETWORKS.items():
        measure(name, shape)
