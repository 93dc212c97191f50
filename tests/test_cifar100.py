"""data/cifar100.py, with a small archive in place of the real one of 170 MB."""

import hashlib
import io
import pickle
import re
import tarfile

import keras
import numpy as np
import pytest

import data
from data import cache, cifar100


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Keras' folder with an archive of three images; there is no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "connect", None)
    images = np.arange(3 * 3 * 32 * 32, dtype=np.uint8).reshape(3, -1)  # channels first
    labels = {b"fine_labels": [1, 0, 2], b"coarse_labels": [0, 0, 1]}
    content = pickle.dumps({b"data": images} | labels)
    archive = tmp_path / "datasets" / f"{cifar100.FOLDER}_archive"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("train", "test"):
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    checksum = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(cifar100, "FILES", dict.fromkeys(cifar100.FILES, checksum))
    # Keras would compare the real archive's checksum, and it reads KERAS_HOME at import
    changes = {"file_hash": None, "cache_dir": str(tmp_path)}
    get_file = keras.utils.get_file
    monkeypatch.setitem(
        keras.datasets.cifar100.load_data.__globals__,
        "get_file",
        lambda **arguments: get_file(**arguments | changes),
    )
    return tmp_path


def test_cifar100_has_the_fine_labels_and_channels_last(keras_home, capsys):
    loaded = data.load("cifar100")
    assert loaded.name == "cifar100"
    assert loaded.train_labels.tolist() == [1, 0, 2]
    assert loaded.image_shape == (32, 32, 3)
    first_pixel = np.array([0, 1024, 2048]) % 256
    np.testing.assert_array_equal(loaded.train_images[0, 0, 0] * 255, first_pixel)
    np.testing.assert_allclose(loaded.test_images[0, 0, 1] * 255, first_pixel + 1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["train", "test"])
def test_other_content_than_cifar100_is_rejected(keras_home, monkeypatch, name):
    monkeypatch.setitem(cifar100.FILES, name, "0" * 32)
    folder = re.escape(str(keras_home / "datasets" / cifar100.FOLDER))
    with pytest.raises(ValueError, match=f"^{folder} is damaged and not used; delete it, and"):
        data.load("cifar100")


def test_without_a_network_the_message_says_what_to_do(keras_home, monkeypatch, capsys):
    def fail(url):
        raise OSError("cannot reach it")

    monkeypatch.setattr(cache, "connect", fail)
    (keras_home / "datasets" / f"{cifar100.FOLDER}_archive").unlink()
    with pytest.raises(
        OSError, match="^cifar100: cannot reach it; without a network, give an .npz"
    ):
        data.load("cifar100")
    assert capsys.readouterr().err == ""
