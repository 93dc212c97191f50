"""Training images shifted and flipped at random, anew in every epoch: the usual CIFAR recipe.

Source: He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2.
"""

import math

import keras
import numpy as np

PADDING = 4  # pixels on each side


def crop_and_flip(images, rng):
    """Each image padded by 4 zeros on each side, cropped at random to its size, flipped or not.

    Args:
        images: array (n, height, width, channels).
        rng: NumPy's random Generator.

    Returns:
        Array like `images`; each image is shifted by up to 4 pixels in both directions, all shifts
        equally likely, and then flipped left to right with probability 0.5.
    """
    n, height, width, _ = images.shape
    padded = np.pad(images, [(0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)])
    top, left = rng.integers(0, 2 * PADDING + 1, (2, n, 1))
    flipped = rng.integers(0, 2, (n, 1))
    rows = top + np.arange(height)  # (n, height)
    columns = left + np.where(flipped, np.arange(width)[::-1], np.arange(width))  # (n, width)
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


class CroppedAndFlipped(keras.utils.PyDataset):
    """Batches of cropped and flipped training images; every epoch all of them in another order.

    What a batch holds follows from seed, epoch and its number, whatever thread asks for it. The
    seed is drawn from NumPy's global state, which `keras.utils.set_random_seed` fixes.
    """

    def __init__(self, images, labels, batch_size, epoch=0):
        """Take the images of every epoch, and how many of them are a batch.

        Args:
            images: array (n, height, width, channels).
            labels: array (n,).
            batch_size: images per batch; the last one of an epoch may hold fewer.
            epoch: number of the first epoch, counted from 0.
        """
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.seed = np.random.randint(2**31)
        self.epoch = epoch
        self.order = self._rng(0).permutation(len(labels))

    def __len__(self):
        """Number of batches in an epoch."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __getitem__(self, batch):
        """`(images, labels)` of one batch of the present epoch, counted from 0."""
        chosen = self.order[batch * self.batch_size : (batch + 1) * self.batch_size]
        return crop_and_flip(self.images[chosen], self._rng(batch + 1)), self.labels[chosen]

    def on_epoch_end(self):
        """Go on to the next epoch; Keras calls it."""
        self.epoch += 1
        self.order = self._rng(0).permutation(len(self.labels))

    def _rng(self, purpose):
        return np.random.default_rng([self.seed, self.epoch, purpose])
