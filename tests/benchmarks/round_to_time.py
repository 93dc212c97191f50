"""What multiples of 8 filters buy: latency of pruned networks of equal MACs, with and without.

    python -m tests.benchmarks.round_to_time
    python -m tests.benchmarks.round_to_time MobileNetV2 --csv results/round-to.csv

Each network has random weights and loses filters until half of its MACs are gone: once so that
every group keeps a multiple of 8, and once without that, down to the MACs of the first. The full
network and both pruned ones take one image in turns, in each runtime. A ratio is of two medians of
a round; the table has the median, the least and the largest ratio of all rounds.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd

import scnnb
from experiment import timings
from pruning import export, macs, prune, timing
from pruning.exports import FORMATS

NETWORKS = {  # name: function without arguments
    "SCNNB": lambda: scnnb.NETWORKS["scnnb"]((28, 28, 1), 10),
    "ResNet-20": lambda: scnnb.NETWORKS["resnet20"]((32, 32, 3), 10),
    "MobileNetV2": lambda: keras.applications.MobileNetV2(weights=None),
    "ResNet50": lambda: keras.applications.ResNet50(weights=None),
}
RUNTIMES = ["keras", "litert", "litert-int8", "onnx"]
PART, MULTIPLE = 0.5, 8
ROUNDS = 5
IMAGES = 20  # that calibrate int8


def measure(name):
    """The rows of a network, one for each runtime."""
    full = NETWORKS[name]()
    rounded = prune(full, macs=PART, round_to=MULTIPLE)
    plain = prune(full, macs=macs(rounded) / macs(full))
    networks = {"full": full, "plain": plain, "rounded": rounded}
    shape = {"network": name, **{f"macs_{key}": macs(each) for key, each in networks.items()}}
    images = np.random.default_rng(0).uniform(size=(IMAGES, *full.input_shape[1:]))
    images = images.astype("float32")
    return [shape | _times(networks, runtime, images) for runtime in RUNTIMES]


def _times(networks, runtime, images):
    with tempfile.TemporaryDirectory() as folder:
        calls = [_call(each, runtime, images, Path(folder) / key) for key, each in networks.items()]
        rounds = [timing.seconds_per_call(calls, images[:1]) for _ in range(ROUNDS)]
    row = {"runtime": runtime, "threads": timings.cores()}
    of_networks = zip(networks, zip(*rounds, strict=True), strict=True)
    row |= {f"{key}_ms": round(1000 * statistics.median(times), 3) for key, times in of_networks}
    ratios = {
        "plain_by_full": [plain / full for full, plain, _ in rounds],
        "rounded_by_plain": [rounded / plain for _, plain, rounded in rounds],
    }
    for key, values in ratios.items():
        row |= {
            key: round(statistics.median(values), 3),
            f"{key}_least": round(min(values), 3),
            f"{key}_most": round(max(values), 3),
        }
    return row


def _call(model, runtime, images, path):
    """A function of images that runs the network in the runtime."""
    if runtime == "keras":
        return timing.inference(model)
    (file_format,) = [each for each in FORMATS.values() if each.name == runtime]
    path = file_format.path_of(path)
    export(model, path, runtime, images=images)
    return file_format.load(path, threads=timings.cores())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="network")
    parser.add_argument("--csv", type=Path, help="write the table here, too")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.networks:
        rows += measure(name)
        print(pd.DataFrame(rows[-len(RUNTIMES) :]).to_string(index=False), flush=True)
    if arguments.csv:
        pd.DataFrame(rows).to_csv(arguments.csv, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
