"""data/npz.py: your own dataset in a file, tested with a sample of Fashion-MNIST."""

import os
from pathlib import Path

import numpy as np
import pytest

import data
from data import npz

SAMPLE = Path(__file__).parent / "fashion_sample.npz"


def arrays():
    with np.load(SAMPLE) as stored:
        return dict(stored)


def test_a_dataset_has_the_name_of_its_file_and_all_its_images():
    sample = data.load(str(SAMPLE))
    assert sample.name == "fashion_sample"
    assert sample.train_images.shape == (1000, 28, 28, 1)
    assert sample.test_images.shape == (500, 28, 28, 1)
    assert sample.num_classes == 10
    assert sample.train_images[:].max() == 1


def test_a_missing_key_is_named(tmp_path):
    kept = {key: value for key, value in arrays().items() if key != "y_test"}
    np.savez(tmp_path / "own.npz", **kept)
    with pytest.raises(ValueError, match=r"own\.npz: expected x_train, .* y_test, got no y_test"):
        npz.load(tmp_path / "own.npz")


def test_the_error_names_the_file_and_the_wrong_array(tmp_path):
    np.savez(tmp_path / "own.npz", **arrays() | {"x_test": np.zeros((500, 28, 28))})
    with pytest.raises(ValueError, match=r"own\.npz: x_test: expected uint8 images .* got float64"):
        npz.load(tmp_path / "own.npz")


def test_python_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "own.npz", **arrays() | {"y_test": np.array([{}] * 500)})
    with pytest.raises(ValueError, match=r"own\.npz: Object arrays cannot be loaded"):
        npz.load(tmp_path / "own.npz")


def test_a_pipe_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "own.npz")
    with pytest.raises(ValueError, match=r"own\.npz: expected an \.npz file, got no regular file"):
        npz.load(tmp_path / "own.npz")


@pytest.mark.parametrize("length", [0, 100, 400_000])
def test_a_truncated_file_is_rejected(tmp_path, length):
    (tmp_path / "own.npz").write_bytes(SAMPLE.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"own\.npz: expected an \.npz file, got another format"):
        npz.load(tmp_path / "own.npz")


def test_a_file_with_changed_bytes_is_rejected(tmp_path):
    content = bytearray(SAMPLE.read_bytes())
    content[300_000:300_100] = bytes(100)
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.npz: "):
        npz.load(tmp_path / "own.npz")
