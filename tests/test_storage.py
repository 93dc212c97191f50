"""scnnb/storage.py."""

import keras
import numpy as np
import pytest
from keras import layers

from scnnb import storage


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, bias_initializer="ones")])


def test_a_stored_baseline_comes_back_bit_for_bit(tmp_path, model):
    record = {"accuracy": 0.1 + 0.2, "seconds": 12.5}
    storage.save_baseline(tmp_path, model, record)
    read, measured = storage.read_baseline(tmp_path)
    assert measured == record
    for before, after in zip(model.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline.json", "baseline.keras"]


def test_an_empty_folder_holds_no_baseline(tmp_path):
    assert storage.read_baseline(tmp_path) is None


def test_a_run_killed_between_model_and_record_left_no_baseline(tmp_path, model, monkeypatch):
    storage.save_baseline(tmp_path, model, {"accuracy": 1.0})

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        storage.save_baseline(tmp_path, model, {"accuracy": 0.5})
    assert storage.read_baseline(tmp_path) is None


@pytest.mark.parametrize("name", ["baseline.keras", "baseline.json"])
@pytest.mark.parametrize("content", [b"", b"foreign"])
def test_a_damaged_baseline_is_refused_by_name(tmp_path, model, name, content):
    storage.save_baseline(tmp_path, model, {"accuracy": 1.0})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds a damaged baseline"):
        storage.read_baseline(tmp_path)
