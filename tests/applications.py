"""The architectures of keras.applications, pruned and proven equal to the silenced network.

    python -m tests.applications docs/measurements/applications/applications.csv

prunes all 40 at ratio 0.5 and writes a row each. `tests/test_applications.py` makes the same rows.
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
}  # the least they take; else 32
RATIO = 0.5


def build(name):
    """The architecture for small images and ten classes, every weight random, without softmax."""
    pixels = PIXELS.get(name, 32)
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(pixels, pixels, 3), classes=10, classifier_activation=None
    )
    return randomise(model, gain=1.5 if name.startswith("VGG") else 1)


def keep_the_signal_alive(twin, model):
    """Normalise by what the silenced network computes, in both.

    With random statistics its signal would fade from layer to layer, until it answered the same to
    every image, and any mistake would be hidden. Of fewer images the deepest layers would take
    variances near 0, and magnify the rounding of float32.
    """
    for layer in twin.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0  # takes the statistics of the next batch as they are
    twin(images_for(twin, n=32), training=True)
    for layer in twin.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            model.get_layer(layer.name).set_weights(layer.get_weights())


def prove(name):
    """Prune the architecture and compare with the silenced network.

    Returns:
        `(pruned model, row of the table)`. In it `relative_error` is the largest difference between
        the two, `effect` how far both are from the full network, `response` how far their answers
        to two images are apart, each in parts of the largest answer.
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
