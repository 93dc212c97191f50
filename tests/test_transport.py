"""experiment/transport.py: files are copied as bytes from one machine to another."""

import contextlib

import pytest

from experiment import transport


def test_copied_files_are_the_same_and_a_record_is_written_last(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    files = {"a.json": b"{}", "a.keras": b"model", "a_saved_model/variables/x": b"weights"}
    transport.place(copy, files)
    assert transport.tree(copy) == files
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
        transport.place(copy, files)
    assert sorted(transport.tree(copy)) == ["a.keras", "a_saved_model/variables/x"]
    monkeypatch.undo()


def test_a_record_is_deleted_first_only_if_its_model_is_replaced(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def full(path):
        raise OSError("no room")
        yield

    transport.place(tmp_path, {"a.json": b"{}", "a.keras": b"model"})
    monkeypatch.setattr(transport, "replaced", full)
    with pytest.raises(OSError, match="no room"):
        transport.place(tmp_path, {"a.json": b"{}", "a.onnx": b""})
    assert "a.json" in transport.tree(tmp_path)  # its model is not replaced
    with pytest.raises(OSError, match="no room"):
        transport.place(tmp_path, {"a.json": b"{}", "a.keras": b"another"})
    assert transport.tree(tmp_path) == {"a.keras": b"model"}
