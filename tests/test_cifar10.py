"""data/cifar10.py, without its 170 MB."""

import keras
import numpy as np
import pytest

import data
from data import cache, cifar10


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def few_images():
    images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array([[0], [1]], np.uint8)
    return (images, labels), (images, labels)


def test_without_network_the_line_says_what_to_do(monkeypatch, capsys):
    def fail(url):
        raise OSError("cannot reach it")

    monkeypatch.setattr(cache, "connect", fail)
    with pytest.raises(OSError, match="^cifar10: cannot reach it; without network pass an .npz"):
        data.load("cifar10")
    assert capsys.readouterr().err == ""


def test_an_archive_cut_short_that_cannot_be_downloaded_again_is_one_line(keras_home, monkeypatch):
    (keras_home / "datasets").mkdir()
    (keras_home / "datasets" / f"{cifar10.FOLDER}_archive").write_bytes(b"half")

    def load_data():
        raise Exception("URL fetch failure")  # the type Keras raises

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    with pytest.raises(OSError, match="^cifar10: Keras cannot load it: URL fetch failure; without"):
        data.load("cifar10")


def test_content_that_is_not_cifar10_is_refused(monkeypatch):
    monkeypatch.setattr(cache, "connect", lambda url: None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", few_images)
    with pytest.raises(ValueError, match="cifar-10-batches-py-target is damaged and not used"):
        data.load("cifar10")


def test_the_cache_is_read_without_asking_the_network(keras_home, monkeypatch):
    (keras_home / "datasets").mkdir()
    (keras_home / "datasets" / f"{cifar10.FOLDER}_archive").touch()
    monkeypatch.setattr(cache, "connect", None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", few_images)
    (x_train, y_train), (x_test, y_test) = few_images()
    content = data.dataset.from_raw("cifar10", x_train, y_train, x_test, y_test)
    monkeypatch.setattr(cifar10, "FINGERPRINT", content.fingerprint)
    assert data.load("cifar10").train_labels.tolist() == [0, 1]
