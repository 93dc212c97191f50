"""How long one pruning takes, and how much memory, beside Torch-Pruning.

    python -m tests.benchmarks.prune_time
    python -m tests.benchmarks.prune_time ResNet50 VGG16 --csv results/prune-time.csv

Networks of keras.applications here, of torchvision there, with random weights: half of the filters
of each layer, ranked by their L1 norms, in one shot, on the CPU. Each library has a process of its
own per network, and they prune in turns. Building the network, and its deep copy for Torch-Pruning,
which prunes in place, is not timed; finding what is coupled, ranking and removing is. The first
pruning of a process is listed apart, seconds are medians of the others. `clone` is the time of
`keras.models.clone_model` for the same network: what Keras needs to make a new network, unpruned.

Memory is the process's peak while the first pruning ran, in bytes of the network's weights: 1.0 is
the network itself, the rest is what pruning added. Linux only. The other library is installed into
a folder beside temporary files, where the next call finds it again; that takes 5 GiB.
"""

import argparse
import csv
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

# Imports of either library stand in the functions that only its own process calls.
NETWORKS = {  # name in keras.applications: (in torchvision.models, image size)
    "VGG16": ("vgg16", 224),
    "ResNet50": ("resnet50", 224),
    "MobileNetV2": ("mobilenet_v2", 224),
    "DenseNet121": ("densenet121", 224),
    "InceptionV3": ("inception_v3", 299),
    "ConvNeXtTiny": ("convnext_tiny", 224),
    "EfficientNetB0": ("efficientnet_b0", 224),
}
PEER = ("torch==2.14.1", "torchvision==0.29.1", "torch-pruning==1.6.1")
REPEATS = 5
RATIO = 0.5


def measure(name, peer_python):
    """A row: seconds, parameters and memory of both libraries, which prune in turns."""
    workers = {
        "our": _start(sys.executable, "our", name),
        "peer": _start(peer_python, "peer", name),
    }
    answers = {side: [] for side in workers}
    for _ in range(1 + REPEATS):
        for side, process in workers.items():
            print("prune", file=process.stdin, flush=True)
            answers[side].append(json.loads(process.stdout.readline()))
    for process in workers.values():
        process.communicate()
    clones = [answer.pop("clone_seconds") for answer in answers["our"]]
    row = {"network": name, "pixels": NETWORKS[name][1]}
    for side, (first, *others) in answers.items():
        row |= {
            f"{side}_parameters": first["parameters"],
            f"{side}_parameters_after": first["parameters_after"],
            f"{side}_first_seconds": round(first["seconds"], 3),
            f"{side}_seconds": round(statistics.median(a["seconds"] for a in others), 3),
            f"{side}_memory": round(1 + first["added_bytes"] / (4 * first["parameters"]), 2),
        }
    row["clone_seconds"] = round(statistics.median(clones[1:]), 3)
    return row | {"seconds_ratio": round(row["our_seconds"] / row["peer_seconds"], 3)}


def work(side, name):
    """Prune once per line of standard input, and answer with a line of JSON."""
    if side == "our":
        import keras
    build, prune, parameters = {"our": _keras_side, "peer": _torch_side}[side](name)
    for _ in sys.stdin:
        network = build()
        answer = {"parameters": parameters(network)}
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        resident, start = _memory("VmRSS"), time.perf_counter()
        pruned = prune(network)
        answer["seconds"] = time.perf_counter() - start
        answer["added_bytes"] = _memory("VmHWM") - resident
        answer["parameters_after"] = parameters(pruned)
        if side == "our":
            start = time.perf_counter()
            keras.models.clone_model(network)
            answer["clone_seconds"] = time.perf_counter() - start
        print(json.dumps(answer), flush=True)


def _keras_side(name):
    import keras

    from pruning import prune

    model = getattr(keras.applications, name)(weights=None)
    return (
        lambda: model,
        lambda network: prune(network, RATIO),
        lambda network: sum(math.prod(weight.shape) for weight in network.trainable_weights),
    )


def _torch_side(name):
    import copy

    import torch
    import torch_pruning
    import torchvision

    torch_name, pixels = NETWORKS[name]
    options = {"aux_logits": False, "init_weights": False} if name == "InceptionV3" else {}
    model = getattr(torchvision.models, torch_name)(**options).eval()
    images = torch.randn(1, 3, pixels, pixels)

    def prune(network):
        head = network.fc if hasattr(network, "fc") else network.classifier
        torch_pruning.pruner.MagnitudePruner(
            network,
            images,
            importance=torch_pruning.importance.MagnitudeImportance(p=1),
            pruning_ratio=RATIO,
            ignored_layers=[part for part in head.modules() if isinstance(part, torch.nn.Linear)],
        ).step()
        return network

    return (
        lambda: copy.deepcopy(model),
        prune,
        lambda network: sum(weight.numel() for weight in network.parameters()),
    )


def _start(python, side, name):
    command = [python, __file__, "--worker", side, name]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def installed(packages):
    """The Python of an environment that holds these packages, each with its version."""
    folder = Path(tempfile.gettempdir()) / "_".join(packages).replace("==", "-")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def _memory(key):
    (line,) = [ln for ln in Path("/proc/self/status").read_text().splitlines() if key in ln]
    return int(line.split()[1]) * 1024


def _text(row):
    our, peer = (
        "{first_seconds:7.2f} s first {seconds:7.2f} s {memory:6.2f} x bytes".format(
            **{key.removeprefix(f"{side}_"): value for key, value in row.items()}
        )
        for side in ("our", "peer")
    )
    ratio, clone = row["seconds_ratio"], row["clone_seconds"]
    return f"{row['network']:<15} our {our}   peer {peer}   ratio {ratio:.2f}   clone {clone:.2f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="network")
    parser.add_argument("--csv", type=Path, help="write the table here, too")
    arguments = parser.parse_args()
    python = installed(PEER)
    rows = []
    for name in arguments.networks:
        rows.append(measure(name, python))
        print(_text(rows[-1]), flush=True)
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.argv[1:2] == ["--worker"]:
        work(*sys.argv[2:])
    else:
        main()
