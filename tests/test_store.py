"""experiment/store.py: the files of a stored network, and damaged ones."""

import json
import os

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from experiment import store
from experiment.errors import UserError
from experiment.store import Entry
from pruning.exports import FORMATS

KINDS = {"accuracy": float}, {"seed": int, "dataset": str, "latency_ms": float}, ["latency_ms"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text() | st.sampled_from(["seed"]), each),
)


def network(units):
    inputs = keras.Input((units,))
    return keras.Model(inputs, layers.Dense(units, bias_initializer="ones")(inputs))


@pytest.fixture
def model():
    return network(3)


@pytest.fixture
def entry(tmp_path):
    return Entry(tmp_path / "pruned0.4", KINDS)


def save(entry, model, record):
    size = entry.save_model(model)
    entry.save_record(record)
    return size


def test_a_model_and_its_record_are_read_exactly_as_stored(entry, model):
    record = {"accuracy": 0.1 + 0.2, "seconds": 12.5, "dataset": "fashion"}
    entry = Entry(entry.path, ({"accuracy": float, "seconds": float, "dataset": str}, {}, []))
    size = save(entry, model, record)
    assert size == entry.model_file.stat().st_size
    assert entry.read_record() == record
    for before, after in zip(model.get_weights(), entry.read_model().get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert sorted(os.listdir(entry.path.parent)) == ["pruned0.4.json", "pruned0.4.keras"]


def test_the_optimizer_is_not_stored(entry):
    model = network(300)
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 300)), np.zeros((1, 300)), verbose=0)
    save(entry, model, {})
    assert entry.model_file.stat().st_size < 1.2 * 4 * model.count_params()


def test_without_files_there_is_no_record(entry):
    assert entry.read_record() is None


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_killed_while_it_replaces_a_network_leaves_no_record(entry, model, monkeypatch, step):
    save(entry, model, {"accuracy": 1.0})
    replace, calls = os.replace, []

    def killed(*files):
        calls.append(files)
        if len(calls) == step:
            raise KeyboardInterrupt
        replace(*files)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(entry, model, {"accuracy": 0.5})
    assert entry.read_record() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"foreign",
        b"\xff",
        b"[1]",
        b"null",
        b'{"seconds": 1}',
        b'{"accuracy": NaN}',
        b'{"accuracy": "0.5"}',
        b'{"accuracy": true}',
        b'{"accuracy": null}',
        b'{"accuracy": 1.5}',
        b'{"accuracy": 1e400}',
        b'{"accuracy": 0.5, "other": 1}',
        b'{"accuracy": 0.5, "seed": 9223372036854775808}',
        b'{"accuracy": 0.5, "seed": 1.0}',
        b'{"accuracy": 0.5, "dataset": "\\ud800"}',
        b'{"accuracy": 0.5, "latency_ms": Infinity}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_reported_and_set_aside_unchanged(entry, capsys, content):
    file = entry.record_file
    for number in (1, 2):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"pruned0\.4\.json is damaged"):
            entry.peek()
        assert file.exists()
        assert entry.read_record() is None
        message = f"{file} is damaged; set aside as pruned0.4.json.damaged{number}\n"
        assert capsys.readouterr().out == message
        assert not file.exists()
        assert (entry.path.parent / f"pruned0.4.json.damaged{number}").read_bytes() == content


def test_a_record_with_the_old_name_of_a_column_is_read(tmp_path):
    entry = Entry(tmp_path / "old", ({"backend_version": str}, {}, ()))
    entry.record_file.write_text('{"tensorflow": "2.21.0"}')
    assert entry.read_record() == {"backend_version": "2.21.0"}


def test_a_value_that_was_not_measured_is_not_0(entry):
    entry.save_record({"accuracy": 1, "latency_ms": float("nan")})
    record = entry.read_record()
    assert record.pop("latency_ms") != 0
    assert record == {"accuracy": 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=ANY_JSON, accuracy=st.none() | st.floats(0, 1))
def test_any_json_is_read_or_reported_as_damaged(entry, value, accuracy):
    if isinstance(value, dict) and accuracy is not None:
        value |= {"accuracy": accuracy}
    (entry.record_file).write_text(json.dumps(value))
    try:
        assert entry.peek()["accuracy"] == accuracy
    except ValueError as error:
        assert "is damaged" in str(error)


def test_a_pipe_in_place_of_a_record_or_model_is_set_aside(entry, capsys):
    os.mkfifo(entry.record_file)
    assert entry.read_record() is None
    assert "is damaged; set aside as pruned0.4.json.damaged1" in capsys.readouterr().out
    os.mkfifo(entry.model_file)
    assert entry.read_model() is None
    assert "is damaged; set aside as pruned0.4.keras.damaged1" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"foreign", None])
def test_a_damaged_model_is_reported_and_set_aside_unchanged(entry, model, capsys, content):
    save(entry, model, {"accuracy": 1.0})
    file = entry.model_file
    content = file.read_bytes()[:1000] if content is None else content
    file.write_bytes(content)
    assert entry.read_model() is None
    assert capsys.readouterr().out.endswith("is damaged; set aside as pruned0.4.keras.damaged1\n")
    assert (entry.path.parent / "pruned0.4.keras.damaged1").read_bytes() == content
    assert entry.read_model() is None  # there is no file now


def test_all_files_of_an_entry_are_in_one_folder_and_have_its_name(tmp_path):
    entry = Entry(tmp_path / "pruned0.4", KINDS).within(tmp_path / "node")
    folder = tmp_path / "node" / tmp_path.name
    assert entry.model_file == folder / "pruned0.4.keras"
    assert entry.record_file == folder / "pruned0.4.json"
    assert entry.stages_file == folder / "pruned0.4_stages.csv"
    assert entry.layers_file == folder / "pruned0.4_layers.csv"
    assert entry.backup_file(1) == folder / "pruned0.4.backup1.npz"
    exports = {entry.export_file(each) for each in FORMATS.values()}
    assert {file.parent for file in exports} == {folder} and len(exports) == len(FORMATS)
    assert all(file.name.startswith("pruned0.4") for file in exports)


def test_the_files_to_copy_are_model_and_record_if_they_exist(entry):
    assert entry.files() == {}
    entry.record_file.write_bytes(b"{}")
    assert entry.files() == {"pruned0.4.json": b"{}"}
    entry.model_file.write_bytes(b"model")
    assert entry.files() == {"pruned0.4.keras": b"model", "pruned0.4.json": b"{}"}


def test_the_backups_of_a_network_are_not_those_of_another(tmp_path):
    one, other = (Entry(tmp_path / f"pruned0.4_retrained{n}", KINDS) for n in (5, 50))
    for file in (one.backup_file(), one.backup_file(1), other.backup_file()):
        file.write_bytes(file.name.encode())
    names = [f"pruned0.4_retrained5.backup{number}.npz" for number in (0, 1)]
    assert one.backups() == {name: name.encode() for name in names}
    one.remove_backups()
    assert list(tmp_path.iterdir()) == [other.backup_file()]
    one.remove_backups()  # no error without backups


def test_one_run_holds_the_lock_and_the_next_prints_that_it_waits(entry, monkeypatch, capsys):
    lock = entry.lock()
    assert entry.lock(wait=False) is None
    assert capsys.readouterr().out == ""
    acquire = store.filelock.FileLock.acquire

    def released(other, timeout=None):
        if timeout is None:  # it waits
            lock.release()
        return acquire(other, timeout=timeout)

    monkeypatch.setattr(store.filelock.FileLock, "acquire", released)
    second = entry.lock()
    assert capsys.readouterr().out == "waiting for another run that computes pruned0.4\n"
    assert second.is_locked and not lock.is_locked
    second.release()
    third = entry.lock(wait=False)
    assert third.is_locked
    third.release()


def test_a_file_system_without_locks_is_an_error_of_the_user(entry, monkeypatch):
    def acquire(lock, timeout=None):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(store.filelock.FileLock, "acquire", acquire)
    for wait in (True, False):
        with pytest.raises(UserError, match="does not appear to support flock"):
            entry.lock(wait)
