"""How long it takes to find out what networks will cost, before any is trained.

    python -m tests.benchmarks.preflight_time

Prints the seconds of `planned_sizes` for an iterative schedule of ResNet-56 at two ratios and of
ResNet-110 at ten; for the first also those of really pruning it at every ratio and stage.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pruning import cost, planned_sizes, prune, stages
from scnnb.zoo.resnet import build_resnet56, build_resnet110

IMAGES = (32, 32, 3), 10  # as of CIFAR-10


def prune_at_every_stage(model, ratio):
    """`[(layers, parameters, MACs)]` after each cut, by pruning."""
    found = []
    for only in stages(model, ratio):
        model = prune(model, ratio, only=only)
        found.append((only, cost.parameters(model), cost.macs(model)))
    return found


def measure(name, make):
    """Print the seconds it takes, and return what it makes."""
    start = time.perf_counter()
    found = make()
    print(f"{name:<40}{time.perf_counter() - start:>8.1f} s", flush=True)
    return found


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
