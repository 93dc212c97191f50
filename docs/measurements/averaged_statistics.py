"""Test accuracies of stored SCNNB networks, also with other statistics of BatchNormalization.

    python -m docs.measurements.averaged_statistics DATASET FILE.keras...

The statistics are averaged over 400 batches of 128 training images while the weights stay as they
are. Prints a line of CSV for each network; nothing is stored.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

import data
from scnnb.training import accuracy

BATCHES, SIZE = 400, 128


def main(dataset, *paths):
    """Print a line for each network."""
    dataset = data.load(dataset)
    rng = np.random.default_rng(0)
    print("model,accuracy,accuracy_with_averaged_statistics")
    for path in sorted(paths):
        model = keras.models.load_model(path)
        before = accuracy(model, *dataset.test)
        convolutions = keras.Model(model.input, model.get_layer("pool2").output)
        for _ in range(BATCHES):
            chosen = rng.integers(0, len(dataset.train_labels), SIZE)
            convolutions(dataset.train_images[chosen], training=True)
        print(Path(path).stem, before, accuracy(model, *dataset.test), sep=",")


if __name__ == "__main__":
    main(*sys.argv[1:])
