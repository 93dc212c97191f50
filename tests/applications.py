"""Prune the architectures of keras.applications and compare each to its silenced network.

    python -m tests.applications docs/measurements/applications/applications.csv

prunes all 40 at ratio 0.5 and writes one row for each. `tests/test_applications.py` checks them.
"""

import os
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import pandas as pd

from pruning import cost, groups, prune
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced

NAMES = [name for name in dir(keras.applications) if name[0].isupper()]
PIXELS = {
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "Xception": 71,
}  # the smallest images they take; 32 for the others
RATIO = 0.5


def build(name):
    """The architecture for small images and ten classes, with random weights, without softmax."""
    pixels = PIXELS.get(name, 32)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(pixels, pixels, 3), classes=10, classifier_activation=None
    )
    return randomise(model, gain=1.5 if name.startswith("VGG") else 1)


def keep_the_signal_alive(twin, model):
    """Set the BatchNormalization statistics of both networks to those of the silenced network.

    With random statistics the values get smaller from layer to layer, until the network gives the
    same answer to every image. That would hide mistakes. With fewer than 32 images the deepest
    layers would have variances near 0, which makes rounding errors of float32 large.
    """
    for layer in twin.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0  # the next batch replaces the statistics
    twin(images_for(twin, n=32), training=True)
    for layer in twin.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            model.get_layer(layer.name).set_weights(layer.get_weights())


def prove(name):
    """Prune the architecture and compare it to the silenced network.

    Returns:
        `(pruned model, row of the table)`. All three errors in the row are relative to the largest
        answer. `relative_error` is the largest difference between the pruned and the silenced
        network, `effect` that between the silenced and the full network, and `response` that
        between the answers to two images.
    """
    model = build(name)
    members = groups.find(model).members
    kept = kept_filters(model, RATIO)
    twin = silenced(model, kept)
    keep_the_signal_alive(twin, model)
    start = time.monotonic()
    pruned = prune(model, RATIO)
    seconds = time.monotonic() - start
    images = images_for(model, n=2)
    expected = predict(twin, images)
    first, second = expected[0]
    convolutions = {path for path, member in members.items() if member.flow.filters.prunable}
    return pruned, {
        "architecture": name,
        "pixels": PIXELS.get(name, 32),
        "parameters": cost.parameters(model),
        "pruned_parameters": cost.parameters(pruned),
        "macs": cost.macs(model),
        "pruned_macs": cost.macs(pruned),
        "convolutions": len(convolutions),
        "not_pruned": len(convolutions - set(kept)),
        "seconds": round(seconds, 1),
        "relative_error": f"{error(predict(pruned, images), expected):.1e}",
        "effect": f"{error(expected, predict(model, images)):.1e}",
        "response": f"{error([first], [second]):.1e}",
    }


if __name__ == "__main__":
    rows = []
    for architecture in NAMES:
        rows.append(prove(architecture)[1])
        print(rows[-1], flush=True)
        keras.utils.clear_session()
    pd.DataFrame(rows).to_csv(sys.argv[1], index=False)
