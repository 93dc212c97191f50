"""Measure the time to plan the sizes of networks before training.

    python -m tests.benchmarks.preflight_time

It prints the seconds of `planned_sizes` for an iterative schedule: ResNet-56 at two ratios and
ResNet-110 at ten. For ResNet-56, it also prints the seconds of pruning at every ratio and stage.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pruning import cost, planned_sizes, prune, stages
from scnnb.zoo.resnet import build_resnet56, build_resnet110

IMAGES = (32, 32, 3), 10  # as in CIFAR-10


def prune_at_every_stage(model, ratio):
    """`[(layers, parameters, MACs)]` after each cut of the pruned network."""
    cuts = []
    for only in stages(model, ratio):
        model = prune(model, ratio, only=only)
        cuts.append((only, cost.parameters(model), cost.macs(model)))
    return cuts


def measure(name, function):
    """Call the function and print the seconds it takes; returns its result."""
    start = time.perf_counter()
    result = function()
    print(f"{name:<40}{time.perf_counter() - start:>8.1f} s", flush=True)
    return result


if __name__ == "__main__":
    two, ten = [0.3, 0.5], [n / 10 for n in range(10)]
    resnet56, resnet110 = build_resnet56(*IMAGES), build_resnet110(*IMAGES)
    planned = measure(
        "ResNet-56, 2 ratios, planned", lambda: planned_sizes(resnet56, two, schedule="iterative")
    )
    measure(
        "ResNet-110, 10 ratios, planned",
        lambda: planned_sizes(resnet110, ten, schedule="iterative"),
    )
    pruned = measure(
        "ResNet-56, 2 ratios, pruned",
        lambda: {ratio: prune_at_every_stage(resnet56, ratio) for ratio in two},
    )
    print("the same" if planned == pruned else "DIFFERENT")
