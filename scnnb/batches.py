"""The training images in batches."""

import numpy as np

from scnnb.augmentation import crop_and_flip


def batches(images, labels, *, seed, batch_size, epochs, first_epoch=0, augment=False):
    """Every image once per epoch, every epoch in another order, all epochs in a row.

    What a batch holds follows from seed, epoch and its number in the epoch.

    Args:
        images: array (n, height, width, channels), or what gives such arrays when it is sliced and
            has the value of a black pixel as `black`, which is else 0.
        labels: int32 array (n,).
        seed: whole number from 0 that fixes order, shifts and flips.
        batch_size: images per batch; the last one of an epoch may hold fewer.
        epochs: number of the epoch to end before, counted from 0.
        first_epoch: number of the epoch to begin with.
        augment: whether each image is shifted and flipped as `augmentation.crop_and_flip` does.

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
                batch = crop_and_flip(batch, rng, black)
            yield batch, labels[chosen]
