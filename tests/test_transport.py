"""experiment/transport.py: files as bytes, from one machine to another."""

import contextlib

import pytest

from experiment import transport


def test_files_placed_elsewhere_are_the_same_and_a_record_comes_last(tmp_path, monkeypatch):
    made = tmp_path / "made"
    files = {"a.json": b"{}", "a.keras": b"model", "a_saved_model/variables/x": b"weights"}
    transport.place(made, files)
    assert transport.tree(made) == files
    assert transport.tree(tmp_path / "nowhere") == {}
    replaced, number = transport.replaced, []

    @contextlib.contextmanager
    def full_after_two(path):
        number.append(path)
        if len(number) == 3:
            raise OSError("no room")
        with replaced(path) as partial:
            yield partial

    monkeypatch.setattr(transport, "replaced", full_after_two)
    with pytest.raises(OSError, match="no room"):
        transport.place(made, files)
    assert sorted(transport.tree(made)) == ["a.keras", "a_saved_model/variables/x"]
    monkeypatch.undo()


def test_a_record_stays_until_the_next_is_there_where_its_model_does(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def full(path):
        raise OSError("no room")
        yield

    transport.place(tmp_path, {"a.json": b"{}", "a.keras": b"model"})
    monkeypatch.setattr(transport, "replaced", full)
    with pytest.raises(OSError, match="no room"):
        transport.place(tmp_path, {"a.json": b"{}", "a.onnx": b""})
    assert "a.json" in transport.tree(tmp_path)  # its model is as it was
    with pytest.raises(OSError, match="no room"):
        transport.place(tmp_path, {"a.json": b"{}", "a.keras": b"another"})
    assert transport.tree(tmp_path) == {"a.keras": b"model"}
