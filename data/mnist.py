"""MNIST: 60,000 + 10,000 grey images of handwritten digits, 28x28 pixels, 10 classes.

Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document
Recognition. Copyright Yann LeCun and Corinna Cortes, CC BY-SA 3.0 licence.
"""

from data import cache, npz

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
# Of arrays whose four IDX files have the published MD5 sums 6bbc9ace, a25bea73, 2646ac64, 27ae3e4e
FINGERPRINT = "69191943f99ef12d7ccd4eae496ec2c46ef953b60bfdda85bd25c9d458f8a019"


def load():
    """MNIST from Keras' cache or download, verified by its checksum.

    A file at hand is judged by its images and labels. Keras would judge its bytes: fetch another
    file of the same content anew, and delete it where there is no network.

    Returns:
        Dataset.

    Raises:
        OSError: it is not in the cache and cannot be downloaded.
        ValueError: what the cache holds is not MNIST.
    """
    import keras  # takes seconds: not before the arguments are known to be right

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
