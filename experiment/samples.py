"""Choose some of the training images at random."""

import numpy as np

from pruning import criteria
from scnnb import endings, losses

LABELLED_IMAGES = 2000  # for a criterion that needs labels


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


def for_criterion(criterion, model, dataset, seed, count=LABELLED_IMAGES):
    """What a criterion needs: the arguments `images`, `labels` and `loss` of `prune`, a dict.

    Args:
        criterion: its name.
        model: Keras model that will be pruned.
        dataset: Dataset.
        seed: chooses the images, if the criterion needs labels.
        count: number of these images. Without labels, they are all training images.
    """
    if "labels" not in criteria.OF_NETWORKS.get(criterion, ()):
        return {"images": dataset.train_images}
    images, labels = training_images(dataset, seed, count)
    return {"images": images, "labels": labels, "loss": losses.loss(endings.of(model))}
