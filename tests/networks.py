"""Prune a network as people bring it, and prove the copy: one file, in a process of its own.

    python -m tests.networks prove FILE FOLDER

runs a file that builds `model`, prunes it by half, compares the copy with the silenced network,
stores it in the folder and trains it for a step. It prints a dict, as JSON.

    python -m tests.networks load FILE FOLDER

loads the stored copy in a process that knows the classes of the file only, and checks its answers.
If Keras does not store or load the full network, it need not store or load the copy.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

from pruning import groups, layer_groups, prune
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced

RATIO = 0.5


def prove(file, folder):
    """Prune the network of a file, compare, store and train it; a dict of what came of it.

    `status` is `"pruned"`, `"partly"` if some convolutions that do not make the outputs stay, or
    `"unchanged"` if all do. `why` is the list of the reasons.
    """
    model = randomise(_run(file)["model"])
    members = groups.find(model).members
    convolutions = {path for path, member in members.items() if member.flow.filters.prunable}
    rows = layer_groups(model).rows
    why = {row["layers"]: row["not_pruned_because"] for row in rows if row["not_pruned_because"]}
    why = {
        layers: reason
        for layers, reason in why.items()
        if not convolutions.isdisjoint(layers.split(", ")) and "network's output" not in reason
    }
    try:
        pruned = prune(model, RATIO)
    except ValueError as refusal:
        return {"status": "unchanged", "why": [str(refusal)]}
    kept = kept_filters(model, RATIO)
    images = images_for(model)
    expected = predict(silenced(model, kept), images)
    answers = predict(pruned, images)
    _save(model, pruned, folder)
    np.savez(folder / "answers.npz", *answers)
    result = {
        "status": "partly" if why else "pruned",
        "why": list(dict.fromkeys(why.values())),
        "parameters": model.count_params(),
        "pruned_parameters": pruned.count_params(),
        "class": type(pruned).__name__,
        "error": float(error(answers, expected)),
        "effect": float(error(expected, predict(model, images))),
    }
    return result | {"trained": _trains(pruned, images)}


def check_loaded(file, folder):
    """Raise AssertionError if the stored network, loaded here, does not give the same answers."""
    if not (folder / "model.keras").exists():
        return
    names = _run(file)
    classes = {n: c for n, c in names.items() if isinstance(c, type)}
    try:
        keras.models.load_model(folder / "full.keras", custom_objects=classes)
    except Exception as reason:
        print(f"the full network does not load: {reason}")
        return
    loaded = keras.models.load_model(folder / "model.keras", custom_objects=classes)
    stored = np.load(folder / "answers.npz")
    for found, expected in zip(predict(loaded, images_for(loaded)), stored.values(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def _save(model, pruned, folder):
    try:
        model.save(folder / "full.keras")
    except NotImplementedError:  # a layer without get_config
        return
    pruned.save(folder / "model.keras")


def _run(file):
    names = {"__name__": "network"}
    exec(compile(Path(file).read_text(encoding="utf-8"), file, "exec"), names)
    return names


def _trains(model, images):
    """Whether a step of training changes finite answers to other finite answers."""
    before = predict(model, images)
    model.compile(keras.optimizers.SGD(0.001, clipnorm=1), "mse")
    targets = keras.tree.map_structure(lambda s: np.zeros(s.shape), model(images))
    model.fit(images, targets, batch_size=len(keras.tree.flatten(images)[0]), verbose=0)
    after = predict(model, images)
    changed = any((a != b).any() for a, b in zip(before, after, strict=True))
    return changed and all(np.isfinite(a).all() for a in [*before, *after])


if __name__ == "__main__":
    task, path, place = sys.argv[1:]
    if task == "prove":
        print(json.dumps(prove(path, Path(place))))
    else:
        check_loaded(path, Path(place))
