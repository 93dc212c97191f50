"""scnnb/files.py: a file that is whole or not there."""

import os

import pytest

from scnnb import files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pruned0.4.json"


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_file_takes_the_place_of_the_old_one_when_it_is_whole(path):
    path.write_bytes(b"old")
    with files.replaced(path) as partial:
        assert partial.name == "pruned0.4.json.partial.json"  # Keras goes by the suffix
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert contents(path.parent) == {path.name: b"new"}


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_other(path):
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"), files.replaced(path) as partial:
        partial.write_bytes(b"new")
        raise OSError(28, "No space left on device")
    assert contents(path.parent) == {path.name: b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_put_in_place_leaves_the_old_one_and_no_other(
    path, monkeypatch, step
):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"), files.replaced(path) as partial:
        partial.write_bytes(b"new")
    assert contents(path.parent) == {path.name: b"old"}


def test_a_file_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append("written"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("named"), replace(*paths)))
    with files.replaced(path) as partial:
        partial.write_bytes(b"new")
    assert done == ["written", "named"]


def test_what_is_set_aside_never_takes_the_place_of_what_was_before(path, capsys):
    for number in (1, 2):
        path.write_bytes(b"%d" % number)
        files.set_aside(path, f"{path} is damaged")
        told = f"{path} is damaged; set aside as pruned0.4.json.damaged{number}\n"
        assert capsys.readouterr().out == told
    assert contents(path.parent) == {f"{path.name}.damaged{n}": b"%d" % n for n in (1, 2)}
