"""Random shifts and flips of training images.

Source: He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2.
"""

import numpy as np

PADDING = 4  # pixels on each side


def crop_and_flip(images, rng, black=0.0):
    """The images, each randomly shifted by up to 4 pixels and flipped left to right or not.

    An image is padded with 4 black pixels on each side. Then a random part of its old size is cut
    out.

    Args:
        images: array (n, height, width, channels).
        rng: NumPy's random Generator.
        black: value of a black pixel.

    Returns:
        New array like `images`. All shifts are equally likely, and so are both directions.
    """
    n, height, width, _ = images.shape
    margins = [(0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)]
    padded = np.pad(images, margins, constant_values=black)
    top, left = rng.integers(0, 2 * PADDING + 1, (2, n))
    flipped = rng.integers(0, 2, n)
    results = np.empty_like(images)
    for image, (y, x, flip) in enumerate(zip(top, left, flipped, strict=True)):
        crop = padded[image, y : y + height, x : x + width]
        results[image] = crop[:, ::-1] if flip else crop
    return results


def flip(images, rng, black=0.0):
    """The images, each flipped left to right or not; arguments and result as of `crop_and_flip`."""
    flipped = rng.integers(0, 2, len(images)).astype(bool)
    return np.where(flipped[:, None, None, None], images[:, :, ::-1], images)


AUGMENTATIONS = {"crop-flip": crop_and_flip, "flip": flip}


class Augmented:
    """Images that are changed when they are read; the same slice is always changed alike.

    Attributes:
        shape: `(n, height, width, channels)`.
    """

    def __init__(self, images, augment, seed):
        """Take images as `batches` does, a key of `AUGMENTATIONS`, and a whole number from 0."""
        self._images, self._augment, self._seed = images, augment, seed
        self.shape = images.shape

    def __len__(self):
        """Number of images."""
        return len(self._images)

    def __getitem__(self, part):
        """Float32 array of the images of a slice."""
        rng = np.random.default_rng([self._seed, part.start or 0])
        black = getattr(self._images, "black", 0.0)
        return AUGMENTATIONS[self._augment](self._images[part], rng, black)
