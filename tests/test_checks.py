"""What a single argument must be."""

import contextlib
import os

import pytest

from experiment.arguments import parse

RIGHT = ["fashion", "0.001", "128", "35", "30", "0.4"]


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, "[]", "{}", '{"conv1": 1}', '{"conv1": "half"}', '{"conv1": null}', "\xff"],
)
def test_a_file_that_holds_no_layer_ratios_is_a_wrong_argument(content, tmp_path, capsys):
    file = tmp_path / "ratios.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, "--layer-ratios", str(file)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'expected a file such as {"conv1": 0.5, "conv*": 0.2}, got ' in line


@pytest.mark.parametrize(
    ("flag", "name"), [("--layer-ratios", "a.json"), ("--csv", "a.csv"), ("--model", "a.keras")]
)
def test_a_pipe_in_place_of_a_file_is_a_wrong_argument(flag, name, tmp_path, capsys):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, flag, str(tmp_path / name)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}'" in line.partition(", got ")[2]


def test_a_folder_is_a_dataset_if_it_holds_train_and_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for part, status in (("train", 2), ("test", None)):
        (tmp_path / part).mkdir()
        with contextlib.nullcontext() if status is None else pytest.raises(SystemExit):
            assert parse([".", *RIGHT[1:]])[0]["dataset"] == "."
    (line,) = capsys.readouterr().err.splitlines()
    assert "an .npz file or a folder with train/ and test/ that exists, got '.';" in line
    with pytest.raises(SystemExit):
        parse(["", *RIGHT[1:]])


def test_layer_ratios_of_a_file_are_taken_as_one_line(tmp_path):
    file = tmp_path / "ratios.json"
    file.write_text('{"conv1": 0.5,\n "conv*": 0}')
    given, _ = parse([*RIGHT, "--layer-ratios", str(file)])
    assert given["layer_ratios"] == '{"conv1": 0.5, "conv*": 0.0}'
