"""MNIST: 60,000 + 10,000 grey images of handwritten digits, 28x28 pixels, 10 classes.

Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document
Recognition. Copyright Yann LeCun and Corinna Cortes, CC BY-SA 3.0 licence.
"""

import keras

from data import cache, npz

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
# of the arrays in the four IDX files with the published MD5 sums 6bbc9ace, a25bea73, 2646ac64 and
# 27ae3e4e
FINGERPRINT = "69191943f99ef12d7ccd4eae496ec2c46ef953b60bfdda85bd25c9d458f8a019"


def load():
    """MNIST from Keras' cache or a download, with its checksum verified.

    The checksum of a file in the cache is that of its images and labels. Keras compares all bytes
    of the file. It would download the dataset again for another file with the same images, and
    without a network it would delete that file.

    Returns:
        Dataset.

    Raises:
        OSError: the dataset is not in the cache and cannot be downloaded.
        ValueError: the cache holds other content.
    """
    path = cache.folder() / "mnist.npz"

    def download():
        if not path.exists():
            keras.datasets.mnist.load_data()

    cache.fetch("mnist", path, URL, download)
    try:
        loaded = npz.load(path)
    except ValueError as error:
        raise cache.damaged(path) from error
    if loaded.fingerprint != FINGERPRINT:
        raise cache.damaged(path)
    return loaded
