"""data/cifar10.py, without a download of 170 MB."""

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


def test_without_a_network_the_message_says_what_to_do(monkeypatch, capsys):
    def fail(url):
        raise OSError("cannot reach it")

    monkeypatch.setattr(cache, "connect", fail)
    with pytest.raises(OSError, match="^cifar10: cannot reach it; without a network, give an .npz"):
        data.load("cifar10")
    assert capsys.readouterr().err == ""


def test_a_truncated_archive_that_cannot_be_downloaded_again_is_a_one_line_error(
    keras_home, monkeypatch
):
    (keras_home / "datasets").mkdir()
    (keras_home / "datasets" / f"{cifar10.FOLDER}_archive").write_bytes(b"half")

    def load_data():
        raise Exception("URL fetch failure")  # the type Keras raises

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    with pytest.raises(OSError, match="^cifar10: Keras cannot load it: URL fetch failure; without"):
        data.load("cifar10")


def test_other_content_than_cifar10_is_rejected(monkeypatch):
    monkeypatch.setattr(cache, "connect", lambda url: None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", few_images)
    with pytest.raises(ValueError, match="cifar-10-batches-py-target is damaged and not used"):
        data.load("cifar10")


def test_a_dataset_in_the_cache_is_read_without_a_connection(keras_home, monkeypatch):
    (keras_home / "datasets").mkdir()
    (keras_home / "datasets" / f"{cifar10.FOLDER}_archive").touch()
    monkeypatch.setattr(cache, "connect", None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", few_images)
    (x_train, y_train), (x_test, y_test) = few_images()
    content = data.dataset.from_raw("cifar10", x_train, y_train, x_test, y_test)
    monkeypatch.setattr(cifar10, "FINGERPRINT", content.fingerprint)
    assert data.load("cifar10").train_labels.tolist() == [0, 1]
