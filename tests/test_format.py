"""pruning/exports/format.py: what files and columns of a format are called."""

from pathlib import Path

from pruning.exports import FORMATS


def test_a_file_is_called_like_its_network_whose_name_may_hold_a_point():
    names = [each.path_of(Path("a", "pruned0.5")) for each in FORMATS.values()]
    assert names == [
        Path("a", "pruned0.5.tflite"),
        Path("a", "pruned0.5_int8.tflite"),
        Path("a", "pruned0.5.onnx"),
        Path("a", "pruned0.5_saved_model"),
    ]


def test_columns_have_no_dash():
    columns = [each.column for each in FORMATS.values()]
    assert columns == ["litert", "litert_int8", "onnx", "saved_model"]
