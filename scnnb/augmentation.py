"""Training images shifted and flipped at random, anew in every epoch: the usual CIFAR recipe.

Source: He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2.
"""

import numpy as np

PADDING = 4  # pixels on each side


def crop_and_flip(images, rng, black=0.0):
    """Each image padded by 4 black pixels, cropped at random to its size, flipped or not.

    Args:
        images: array (n, height, width, channels).
        rng: NumPy's random Generator.
        black: value of a black pixel.

    Returns:
        Array like `images`; each image is shifted by up to 4 pixels in both directions, all shifts
        equally likely, and then flipped left to right with probability 0.5.
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
