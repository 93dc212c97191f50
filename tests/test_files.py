"""scnnb/files.py: a file is written completely or not at all."""

import os

import pytest

from scnnb import files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pruned0.4.json"


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_file_is_replaced_when_the_new_one_is_complete(path):
    path.write_bytes(b"old")
    with files.replaced(path) as partial:
        assert partial.name == "pruned0.4.json.partial.json"  # Keras needs the suffix
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert contents(path.parent) == {path.name: b"new"}


def test_if_a_file_cannot_be_written_only_the_old_one_is_there(path):
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"), files.replaced(path) as partial:
        partial.write_bytes(b"new")
        raise OSError(28, "No space left on device")
    assert contents(path.parent) == {path.name: b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_if_a_file_cannot_be_renamed_only_the_old_one_is_there(path, monkeypatch, step):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"), files.replaced(path) as partial:
        partial.write_bytes(b"new")
    assert contents(path.parent) == {path.name: b"old"}


def test_a_file_is_on_the_disk_before_it_is_renamed(path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append("written"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("named"), replace(*paths)))
    with files.replaced(path) as partial:
        partial.write_bytes(b"new")
    assert done == ["written", "named"]


def test_a_file_that_is_set_aside_does_not_replace_an_earlier_one(path, capsys):
    for number in (1, 2):
        path.write_bytes(b"%d" % number)
        files.set_aside(path, f"{path} is damaged")
        message = f"{path} is damaged; set aside as pruned0.4.json.damaged{number}\n"
        assert capsys.readouterr().out == message
    assert contents(path.parent) == {f"{path.name}.damaged{n}": b"%d" % n for n in (1, 2)}
