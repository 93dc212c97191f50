"""Split a dataset: a part of the training images is for validation only."""

import math
from dataclasses import replace

import numpy as np


def split(dataset, part, seed):
    """The dataset with a part of its training images as validation images.

    Args:
        dataset: Dataset.
        part: part of the training images, as `chosen` takes it; with 0 the dataset is returned
            unchanged.
        seed: whole number from 0, the seed of the choice.

    Raises:
        ValueError: a class has only one training image.
    """
    if not part:
        return dataset
    images, labels = dataset.train_images, dataset.train_labels
    validation = chosen(labels, part, seed)
    return replace(
        dataset,
        train_images=images.only(~validation),
        train_labels=labels[~validation],
        validation_images=images.only(validation),
        validation_labels=labels[validation],
    )


def chosen(labels, part, seed=0):
    """Which training images are for validation, bool array (n,).

    Of each class, `part` of the images are chosen at random, rounded up, but at least one is left
    for training. So their number does not depend on the seed.

    Args:
        labels: of the training images, integer array (n,).
        part: part of the images, 0 <= part < 1.
        seed: whole number from 0, the seed of the choice.

    Raises:
        ValueError: a class has only one training image, and `part` is above 0.
    """
    validation = np.zeros(len(labels), bool)
    for label, count in enumerate(np.bincount(labels)) if part else ():
        if count < 2:
            raise ValueError(
                f"--validation {part:g}: expected at least 2 training images of each class, got "
                f"{count} of class {label}; give more images, or no --validation"
            )
        # rounded first, because 0.07 * 100 is 7.000000000000001 in floats
        number = min(count - 1, math.ceil(round(part * count, 9)))
        rng = np.random.default_rng([seed, label])
        validation[rng.choice(np.flatnonzero(labels == label), number, replace=False)] = True
    return validation
