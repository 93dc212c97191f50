"""Some of the training images, chosen by the seed."""

import numpy as np


def training_images(dataset, seed, count):
    """So many training images, or all if there are fewer, and their labels.

    Args:
        dataset: Dataset.
        seed: whole number from 0 that chooses them.
        count: how many.

    Returns:
        `(Images, int32 array)`.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(dataset.train_labels), min(count, len(dataset.train_labels)), False)
    return dataset.train_images.only(chosen), dataset.train_labels[chosen]
