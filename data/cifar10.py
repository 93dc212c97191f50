"""CIFAR-10: 50,000 + 10,000 colour images, 32x32 pixels, 10 classes.

Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images. It was published for
research, without a licence. So it is downloaded, and must not be distributed.
"""

import keras

from data import cache, dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FINGERPRINT = "45d5a00a6ced7ad77ae04337390fb6686b34e39a9a1a35ffcbc0d642fd13cafe"
FOLDER = "cifar-10-batches-py-target"  # of Keras' cache


def load():
    """CIFAR-10 from Keras' cache or a download, with its checksum verified.

    Returns:
        Dataset.

    Raises:
        OSError: the dataset is not in the cache and cannot be downloaded.
        ValueError: the cache holds other content.
    """
    archive = cache.folder() / f"{FOLDER}_archive"
    train, test = cache.fetch("cifar10", archive, URL, keras.datasets.cifar10.load_data)
    loaded = dataset.from_raw("cifar10", *train, *test)
    if loaded.fingerprint != FINGERPRINT:
        raise cache.damaged(cache.folder() / FOLDER)
    return loaded
