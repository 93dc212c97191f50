"""The same trained SCNNB, pruned and retrained here and by Torch-Pruning in PyTorch.

    python3 formal.py fashion 0.002 128 6 4 0.0 --recipe fast
    python -m tests.benchmarks.torch_pruning_accuracy results/fashion_scnnb_…/baseline.keras

The weights of the baseline are carried over. Both remove filters by the L1 norm of their kernels,
and retrain with the training of `--recipe fast` in float32: Adam with a cosine and one epoch of
warm-up, each with the defaults of its framework. Fashion-MNIST. Torch-Pruning has a process of its
own, and is installed into a folder beside temporary files; that takes 1 GiB with PyTorch for CPUs.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Imports of either library stand in the functions that only its own process calls.
PEER = ("torch==2.13.0", "torch-pruning==1.6.1", "onnx==1.23.2")
LEARNING_RATE, BATCH_SIZE, WARMUP = 0.002, 128, 1
ROUNDS = 5  # of latency


def ours(baseline, folder, ratio, seed, epochs):
    """The row of this library; its ONNX file is in the folder."""
    import keras

    import data
    from pruning import cost, export, prune
    from scnnb import training

    dataset, model = data.load("fashion"), keras.models.load_model(baseline)
    keras.utils.set_random_seed(seed)
    smaller = prune(model, ratio)
    answers = smaller.predict(dataset.test_images[:], batch_size=200, verbose=0)
    np.save(folder / "ours.npy", answers)
    row = {
        "library": "ours",
        "conv1": smaller.get_layer("conv1").filters,
        "conv2": smaller.get_layer("conv2").filters,
        "parameters": cost.parameters(smaller),
        "macs": cost.macs(smaller),
        "baseline_accuracy": training.accuracy(model, *dataset.test),
        "pruned_accuracy": training.accuracy(smaller, *dataset.test),
    }
    training.train(
        smaller,
        dataset,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        lr_schedule="cosine",
        warmup=WARMUP,
        augment="",
    )
    export(smaller, folder / "ours.onnx", "onnx")
    return row | {"accuracy": training.accuracy(smaller, *dataset.test)}


def theirs(folder, ratio, seed, epochs):
    """The row of Torch-Pruning; its ONNX file and its answers after the cut are in the folder."""
    import torch
    import torch_pruning

    arrays = {
        name: torch.from_numpy(values) for name, values in np.load(folder / "given.npz").items()
    }
    torch.manual_seed(seed)
    network = _network(torch, arrays).eval()
    images = arrays["test_images"]
    row = {"library": "torch-pruning", "baseline_accuracy": _accuracy(torch, network, arrays)[0]}
    torch_pruning.pruner.MagnitudePruner(
        network,
        images[:1],
        # the scores of the convolution alone, as in the paper
        importance=torch_pruning.importance.MagnitudeImportance(p=1, group_reduction="first"),
        pruning_ratio=ratio,
        ignored_layers=[part for part in network if isinstance(part, torch.nn.Linear)],
    ).step()
    macs, _ = torch_pruning.utils.count_ops_and_params(network, images[:1])
    row |= {
        "conv1": network[0].out_channels,
        "conv2": network[4].out_channels,
        # with the moving statistics, as Keras counts
        "parameters": sum(value.numel() for value in network.state_dict().values() if value.ndim),
        "macs": int(macs),
    }
    row["pruned_accuracy"], answers = _accuracy(torch, network, arrays)
    np.save(folder / "theirs.npy", answers)
    _retrain(torch, network, arrays, epochs)
    row["accuracy"], _ = _accuracy(torch, network, arrays)
    torch.onnx.export(network, images[:1], folder / "theirs.onnx", dynamo=False)
    return row


def _network(torch, arrays):
    """SCNNB in PyTorch with the weights of the Keras model."""
    nn = torch.nn

    def convolution(name, norm):
        kernel, bias = arrays[f"{name} 0"], arrays[f"{name} 1"]
        made = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
        made.weight.data, made.bias.data = kernel.permute(3, 2, 0, 1).contiguous(), bias
        scaled = nn.BatchNorm2d(len(bias), eps=1e-3)  # its momentum of 0.1 is 0.9 in Keras
        scaled.weight.data, scaled.bias.data = arrays[f"{norm} 0"], arrays[f"{norm} 1"]
        scaled.running_mean, scaled.running_var = arrays[f"{norm} 2"], arrays[f"{norm} 3"]
        return made, scaled, nn.ReLU(), nn.MaxPool2d(2)

    def dense(kernel, bias):
        made = nn.Linear(*kernel.shape)
        made.weight.data, made.bias.data = kernel.T.contiguous(), bias
        return made

    # Keras flattens (7, 7, channels), PyTorch (channels, 7, 7)
    kernel = arrays["fc1 0"].reshape(7, 7, -1, arrays["fc1 0"].shape[-1]).permute(2, 0, 1, 3)
    return nn.Sequential(
        *convolution("conv1", "norm1"),
        *convolution("conv2", "norm2"),
        nn.Flatten(),
        dense(kernel.reshape(arrays["fc1 0"].shape), arrays["fc1 1"]),
        nn.ReLU(),
        nn.Dropout(0.5),
        dense(arrays["fc2 0"], arrays["fc2 1"]),
    )


def _accuracy(torch, network, arrays):
    """`(accuracy on the test images, probabilities)`."""
    network.eval()
    with torch.no_grad():
        parts = [network(part).softmax(1) for part in arrays["test_images"].split(200)]
    answers = torch.cat(parts)
    return (answers.argmax(1) == arrays["test_labels"]).double().mean().item(), answers.numpy()


def _retrain(torch, network, arrays, epochs):
    images, labels = arrays["train_images"], arrays["train_labels"]
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    steps = math.ceil(len(labels) / BATCH_SIZE)
    total, warmup = epochs * steps, WARMUP * steps

    def part(step):
        if step < warmup:
            return step / warmup
        return (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, part)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()


def measure(baseline, python, ratio, seed, epochs):
    """The rows of both libraries."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_given(baseline, folder / "given.npz")
        rows = [ours(baseline, folder, ratio, seed, epochs)]
        worker = [python, __file__, "--worker", folder, str(ratio), str(seed), str(epochs)]
        rows.append(json.loads(subprocess.run(worker, check=True, stdout=subprocess.PIPE).stdout))
        difference = np.abs(np.load(folder / "ours.npy") - np.load(folder / "theirs.npy")).max()
        files = [folder / "ours.onnx", folder / "theirs.onnx"]
        shared = {"ratio": ratio, "seed": seed, "epochs": epochs, "difference": float(difference)}
        return [
            row | shared | {"onnx_ms": round(1000 * seconds, 4)}
            for row, seconds in zip(rows, _seconds(files), strict=True)
        ]


def _save_given(baseline, file):
    """Write the weights of the baseline, and the images with the channels first."""
    import keras

    import data

    dataset = data.load("fashion")
    given = {
        f"{layer.name} {index}": weight
        for layer in keras.models.load_model(baseline).layers
        for index, weight in enumerate(layer.get_weights())
    }
    for part in ("train", "test"):
        given[f"{part}_images"] = getattr(dataset, f"{part}_images")[:].transpose(0, 3, 1, 2)
        given[f"{part}_labels"] = getattr(dataset, f"{part}_labels").astype("int64")
    np.savez(file, **given)


def _seconds(files):
    """Seconds for one image of each file in ONNX Runtime: the median of rounds in turns."""
    import onnxruntime

    from pruning import timing

    def call(file):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        shape = [size if isinstance(size, int) else 1 for size in given.shape]
        return lambda images: session.run(None, {given.name: images.reshape(shape)})

    calls, images = [call(file) for file in files], np.zeros((1, 28, 28, 1), "float32")
    rounds = [timing.seconds_per_call(calls, images) for _ in range(ROUNDS)]
    return np.median(rounds, axis=0).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("baseline", type=Path, help="file of a trained SCNNB for Fashion-MNIST")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.4, 0.8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of retraining")
    parser.add_argument("--epochs", type=int, default=4, help="of retraining")
    parser.add_argument("--csv", type=Path, help="write the table here, too")
    arguments = parser.parse_args()
    import pandas as pd

    from tests.benchmarks.prune_time import installed

    python, rows = installed(PEER), []
    for ratio in arguments.ratios:
        for seed in arguments.seeds:
            rows += measure(arguments.baseline, python, ratio, seed, arguments.epochs)
            print(pd.DataFrame(rows[-2:]).to_string(index=False), flush=True)
            if arguments.csv:
                pd.DataFrame(rows).to_csv(arguments.csv, index=False, lineterminator="\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        folder, ratio, seed, epochs = sys.argv[2:]
        print(json.dumps(theirs(Path(folder), float(ratio), int(seed), int(epochs))))
    else:
        main()
