"""CIFAR-100: 50,000 + 10,000 colour images, 32x32 pixels, 100 classes (the fine labels).

Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images. It was published for
research, without a licence. So it is downloaded, and must not be distributed.
"""

import hashlib

import keras

from data import cache, dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
FOLDER = "cifar-100-python-target"  # of Keras' cache
FILES = {  # file in the archive's folder: its MD5, as published in torchvision's datasets/cifar.py
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


def load():
    """CIFAR-100 from Keras' cache or a download, with the checksums of its files verified.

    Returns:
        Dataset.

    Raises:
        OSError: the dataset is not in the cache and cannot be downloaded.
        ValueError: the cache holds other content.
    """
    archive = cache.folder() / f"{FOLDER}_archive"
    train, test = cache.fetch("cifar100", archive, URL, keras.datasets.cifar100.load_data)
    for name, checksum in FILES.items():
        content = (cache.folder() / FOLDER / "cifar-100-python" / name).read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum:
            raise cache.damaged(cache.folder() / FOLDER)
    return dataset.from_raw("cifar100", *train, *test)
