"""Choose some of the training images at random."""

import numpy as np


def training_images(dataset, seed, count):
    """Random training images and their labels; all of them if there are fewer than `count`.

    Args:
        dataset: Dataset.
        seed: whole number from 0, the seed of the choice.
        count: number of images.

    Returns:
        `(Images, int32 array)`.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(dataset.train_labels), min(count, len(dataset.train_labels)), False)
    return dataset.train_images.only(chosen), dataset.train_labels[chosen]
