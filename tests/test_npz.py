"""data/npz.py: a file of one's own, on the real sample of Fashion-MNIST that lies beside it."""

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


def test_the_sample_is_named_after_its_file_and_holds_all_ten_classes():
    sample = data.load(str(SAMPLE))
    assert sample.name == "fashion_sample"
    assert sample.train_images.shape == (1000, 28, 28, 1)
    assert sample.test_images.shape == (500, 28, 28, 1)
    assert sample.num_classes == 10
    assert sample.train_images[:].max() == 1


def test_a_missing_key_is_named(tmp_path):
    kept = {key: value for key, value in arrays().items() if key != "y_test"}
    np.savez(tmp_path / "own.npz", **kept)
    with pytest.raises(ValueError, match=r"own\.npz: it lacks y_test; give x_train, y_train"):
        npz.load(tmp_path / "own.npz")


def test_a_wrong_array_is_named_with_its_file(tmp_path):
    np.savez(tmp_path / "own.npz", **arrays() | {"x_test": np.zeros((500, 28, 28))})
    with pytest.raises(ValueError, match=r"own\.npz: x_test is float64"):
        npz.load(tmp_path / "own.npz")


def test_python_objects_are_not_unpacked(tmp_path):
    np.savez(tmp_path / "own.npz", **arrays() | {"y_test": np.array([{}] * 500)})
    with pytest.raises(ValueError, match=r"own\.npz: Object arrays cannot be loaded"):
        npz.load(tmp_path / "own.npz")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "own.npz")
    with pytest.raises(ValueError, match=r"own\.npz: it is no file"):
        npz.load(tmp_path / "own.npz")


@pytest.mark.parametrize("length", [0, 100, 400_000])
def test_a_file_cut_short_is_refused(tmp_path, length):
    (tmp_path / "own.npz").write_bytes(SAMPLE.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"own\.npz: it is not an \.npz file"):
        npz.load(tmp_path / "own.npz")


def test_a_file_with_changed_bytes_is_refused(tmp_path):
    content = bytearray(SAMPLE.read_bytes())
    content[300_000:300_100] = bytes(100)
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"own\.npz: "):
        npz.load(tmp_path / "own.npz")
