"""README.md: its length and its arguments; what the parser gives."""

import re
from pathlib import Path

import pytest

from experiment import arguments
from experiment.settings import TrialSettings, fields

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def help_entries(monkeypatch, capsys):
    """`{flag or position: help}` of the parser."""
    monkeypatch.setenv("COLUMNS", "2000")  # no entry is broken
    with pytest.raises(SystemExit):
        arguments.parse(["--help"])
    usage, *sections = capsys.readouterr().out.split("\n\n")
    entries = re.findall(r"^  (\S+)(.*(?:\n   .*)*)", "\n".join(sections), re.M)
    return {name.rstrip(","): " ".join(text.split()) for name, text in entries}


def test_every_argument_has_help_that_ends_with_an_example(help_entries):
    del help_entries["-h"]
    assert len(help_entries) > 25
    for name, text in help_entries.items():
        example = re.search(r" Example: (.+)$", text)
        assert example, name
        assert not name.startswith("-") or f"{name} " in f"{example[1]} "


def test_the_readme_is_short_and_explains_the_six_arguments_in_their_order():
    assert len(README.splitlines()) <= 150
    table = README.split("| argument | here | meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| `([^`]*)`", table, re.M) == [
        *zip(arguments.POSITIONS, "fashion 0.001 128 35 30 0.4".split(), strict=True)
    ]


def test_every_setting_of_the_parser_is_a_field_and_has_its_default():
    given, _ = arguments.parse(["fashion", "0.001", "128", "35", "30", "0.4"])
    names = {field.name for field in fields(TrialSettings).values()} - {"content"}
    assert given.keys() == names | {"trained"}
    assert given == {
        "dataset": "fashion",
        "model": "scnnb",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "batch_size": 128,
        "augment": "",
        "precision": "float32",
        "epochs": 35,
        "pixels": "0..1",
        "backend": "tensorflow",
        "seed": [0],
        "pruning_ratio": [0.4],
        "layer_ratios": "",
        "coupled": "joint",
        "criterion": ["l1"],
        "strategy": "independent",
        "schedule": "one-shot",
        "control": "",
        "epoch2": 30,
        "retrain_learning_rate": None,
        "trained": False,
    }


def test_an_analysis_of_sensitivities_takes_a_default_that_is_written_out_and_nothing_else(capsys):
    right = ["fashion", "0.001", "128", "35", "30", "0.4", "--sensitivity"]
    for flag, default, other in (
        ("--strategy", "independent", "greedy"),
        ("--schedule", "one-shot", "iterative"),
    ):
        assert arguments.parse([*right, flag, default])[1].sensitivity
        with pytest.raises(SystemExit):
            arguments.parse([*right, flag, other])
        assert f"{flag} does not fit --sensitivity, which does not use" in capsys.readouterr().err
