"""Compare the time of a sensitivity analysis with that of pruning for each evaluation.

    python -m tests.benchmarks.sensitivity_time

It prints a CSV for networks with new weights and random images: the seconds per evaluation of both
ways, and their ratio. Pruning is measured at one ratio for every layer.
"""

import os
import time
from types import SimpleNamespace

import numpy as np

NETWORKS = {"scnnb": (28, 28, 1), "resnet20": (32, 32, 3)}
IMAGES = 10_000


def measure(name, shape):
    """Measure a network and print its row."""
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
