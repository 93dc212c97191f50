"""Run the library on one backend of Keras, in its own process, and store the results.

    KERAS_BACKEND=jax python -m tests.backends.library FOLDER

It reads networks and images from the folder, and stores its results and pruned networks there. Then
it waits for a line on stdin, and computes the outputs of the networks that all backends stored.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from pruning import cost, criteria, judge, planned_sizes, prune, recalibrate, sensitivity, stages
from tests.silenced import error, kept_filters, predict, silenced

RATIO = 0.5
BACKEND = keras.backend.backend()
CASES = {  # options of `prune`
    "l1": {},
    "greedy": {"strategy": "greedy"},
    "shortcut": {"coupled": "shortcut"},
    "skip": {"coupled": "skip"},
    "layer ratios": {"layer_ratios": {"conv1": 0.25, "block/*": 0}},
    **{name: {"criterion": name, "seed": 3} for name in ("l2", "largest", "random")},
}


def main(folder):
    """Store the networks, numbers in `BACKEND.json`, and arrays in `BACKEND.npz`."""
    images = np.load(folder / "images.npy")
    networks = {path.stem: keras.models.load_model(path) for path in folder.glob("*.keras")}
    labels = np.load(folder / "labels.npy")
    facts, arrays = {}, {}
    for name, model in networks.items():
        of_maps = criteria.OF_FEATURE_MAPS if name == "parts" else ["mean-std"]
        for case, network in pruned(model, images, CASES if name == "parts" else {}, of_maps):
            facts[f"cost of {name}, {case}"] = cost.parameters(network), cost.macs(network)
            for weight in network.weights:
                values = keras.ops.convert_to_numpy(weight).astype("float32")
                arrays[f"weight of {name}, {case}: {weight.path}"] = values
        for criterion in of_maps:
            for layer, values in judge(model, criterion, images=images).items():
                arrays[f"score of {name}, {criterion}: {layer}"] = values
        for layer, values in judge(model, "bn-scale").items():
            if not isinstance(values, str):
                arrays[f"scale of {name}: {layer}"] = values
        smaller = prune(model, RATIO)
        for weight in recalibrate(smaller, images, batch_size=25).non_trainable_weights:
            values = keras.ops.convert_to_numpy(weight).astype("float32")
            arrays[f"statistic of {name}: {weight.path}"] = values
        for weight in prune(model, RATIO, compensate=True, images=images).weights:
            values = keras.ops.convert_to_numpy(weight).astype("float32")
            arrays[f"compensated {name}: {weight.path}"] = values
        (arrays[f"answer of {name}"],) = predict(smaller, images)
        (folder / BACKEND).mkdir(exist_ok=True)
        smaller.save(folder / BACKEND / f"{name}.keras")
    model = networks["parts"]
    facts |= plans(model) | sensitivities(model, images, labels)
    facts["relative error, effect"] = invariant(model, images)
    arrays |= kernel_scores(model)
    for layer, values in judge(model, "taylor", images=images, labels=labels).items():
        arrays[f"change of the loss: {layer}"] = values
    print("stored", flush=True)
    sys.stdin.readline()
    for path in folder.glob("*/*.keras"):
        (answer,) = predict(keras.models.load_model(path), images)
        arrays[f"answer to {path.parent.name}'s {path.stem}"] = answer
    (folder / f"{BACKEND}.json").write_text(json.dumps(facts))
    np.savez(folder / f"{BACKEND}.npz", **arrays)


def pruned(model, images, cases, of_maps):
    """Yield each case, or criterion of feature maps, and the network pruned with it."""
    for case, options in cases.items():
        yield case, prune(model, RATIO, **options)
    for criterion in of_maps:
        yield criterion, prune(model, RATIO, criterion=criterion, images=images)
    network = model
    for only in stages(model, RATIO):
        network = prune(network, RATIO, only=only)
    yield "iterative", network


def plans(model):
    """The stages, and the planned sizes of both schedules."""
    return {"stages": stages(model, RATIO)} | {
        f"planned, {schedule}": planned_sizes(model, [RATIO], schedule=schedule)[RATIO]
        for schedule in ("one-shot", "iterative")
    }


def sensitivities(model, images, labels):
    """The sensitivity by a criterion of kernels, and by one of feature maps."""
    return {
        f"sensitivity, {criterion}": sensitivity.analyse(
            model, images, labels, criterion=judge(model, criterion, images=images)
        )
        for criterion in ("l1", "mean-std")
    }


def invariant(model, images):
    """The differences of the pruned network from the silenced one, and from the full one."""
    expected = predict(silenced(model, kept_filters(model, RATIO)), images)
    outputs = predict(prune(model, RATIO), images)
    return [float(error(outputs, each)) for each in (expected, predict(model, images))]


def kernel_scores(model):
    """The scores of two layers by every criterion of kernels."""
    kernels = {name: model.get_layer(name).get_weights()[0] for name in ("conv1", "grouped")}
    return {
        f"kernel score, {criterion}: {name}": judge(model, criterion, seed=3)(kernel)
        for criterion in criteria.OF_KERNELS
        for name, kernel in kernels.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
