"""The training images in batches."""

import numpy as np

from scnnb.augmentation import AUGMENTATIONS


def batches(images, labels, *, seed, batch_size, epochs, first_epoch=0, augment=""):
    """The batches of all epochs: every image once per epoch, in another order in every epoch.

    A batch depends only on the seed, the epoch and its number in the epoch.

    Args:
        images: array (n, height, width, channels), or an object whose slices are such arrays. Its
            attribute `black` is the value of a black pixel; without it, that value is 0.
        labels: int32 array (n,).
        seed: whole number from 0, the seed of order, shifts and flips.
        batch_size: images per batch; the last batch of an epoch may be smaller.
        epochs: number of all epochs, those before `first_epoch` included.
        first_epoch: number of the first epoch, counted from 0.
        augment: a key of `augmentation.AUGMENTATIONS`, or "" to leave the images unchanged.

    Yields:
        `(images, labels)`, float32 (batch, height, width, channels) and int32 (batch,).
    """
    black = getattr(images, "black", 0.0)
    for epoch in range(first_epoch, epochs):
        order = np.random.default_rng([seed, epoch, 0]).permutation(len(labels))
        for number, start in enumerate(range(0, len(labels), batch_size), 1):
            chosen = order[start : start + batch_size]
            batch = images[chosen]
            if augment:
                rng = np.random.default_rng([seed, epoch, number])
                batch = AUGMENTATIONS[augment](batch, rng, black)
            yield batch, labels[chosen]
