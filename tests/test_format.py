"""pruning/exports/format.py: names of files and columns."""

from pathlib import Path

from pruning.exports import FORMATS


def test_a_file_has_the_name_of_its_network_and_the_suffix_of_its_format():
    names = [each.path_of(Path("a", "pruned0.5")) for each in FORMATS.values()]
    assert names == [
        Path("a", "pruned0.5.tflite"),
        Path("a", "pruned0.5_int8.tflite"),
        Path("a", "pruned0.5.onnx"),
        Path("a", "pruned0.5_saved_model"),
    ]


def test_names_of_columns_have_no_dash():
    columns = [each.column for each in FORMATS.values()]
    assert columns == ["litert", "litert_int8", "onnx", "saved_model"]
