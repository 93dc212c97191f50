"""data/mnist.py, with three images in place of MNIST."""

import keras
import numpy as np
import pytest

import data
from data import cache, mnist


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Path of MNIST in Keras' cache; there is no network."""
    (tmp_path / "datasets").mkdir()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def fail(*_):
        raise OSError("cannot reach it")

    monkeypatch.setattr(cache, "connect", fail)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    return tmp_path / "datasets" / "mnist.npz"


@pytest.fixture
def arrays(monkeypatch):
    """Arrays of three images, accepted as MNIST."""
    images, labels = np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.array([0, 1, 1], np.uint8)
    content = data.dataset.from_raw("mnist", images, labels, images, labels)
    monkeypatch.setattr(mnist, "FINGERPRINT", content.fingerprint)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_in_the_cache_is_read_without_a_network(path, arrays, save, capsys):
    save(path, **arrays)
    loaded = data.load("mnist")
    assert loaded.name == "mnist"
    np.testing.assert_array_equal(loaded.train_images[:].ravel(), np.float32(np.arange(12)) / 255)
    assert loaded.test_labels.tolist() == [0, 1, 1]
    assert capsys.readouterr().err == ""


def test_a_missing_file_is_downloaded_after_the_server_has_answered(
    path, arrays, monkeypatch, capsys
):
    asked = []
    monkeypatch.setattr(cache, "connect", asked.append)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: np.savez(path, **arrays))
    assert data.load("mnist").num_classes == 2
    assert asked == [mnist.URL]
    assert capsys.readouterr().err == f"mnist: Keras downloads the dataset to {path.parent}\n"


def test_without_a_network_the_message_says_what_to_do(path, capsys):
    with pytest.raises(OSError, match="^mnist: cannot reach it; without a network, give an .npz"):
        data.load("mnist")
    assert capsys.readouterr().err == ""


def test_a_damaged_file_and_other_images_are_rejected_and_not_deleted(path, arrays):
    np.savez(path, **arrays | {"x_test": arrays["x_test"][::-1]})
    for content in (path.read_bytes(), path.read_bytes()[:300], b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mnist\.npz is damaged and not used; delete it,"):
            data.load("mnist")
        assert path.read_bytes() == content
