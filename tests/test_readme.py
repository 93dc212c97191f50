"""README.md: what it says of the command line, and what the program takes and writes."""

import re
from pathlib import Path

import pytest

from experiment import arguments
from experiment.columns import TRIALS
from experiment.settings import BaselineSettings, Recipe, TrialSettings, fields, folder_name

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


def test_the_readme_has_a_line_for_every_argument_and_for_no_other(help_entries):
    table = README.split("| argument | meaning |")[1].split("\n\n")[0]
    names = re.findall(r"^\| `([\w-]+)", table, re.M)
    assert len(names) == len(set(names))
    assert set(names) == help_entries.keys() - {"-h"}
    assert names[:6] == arguments.POSITIONS


def test_the_readme_lists_the_columns_of_the_csv_in_their_order():
    (listed,) = re.findall(r"^CSV columns: `([^`]*)`", README, re.M)
    assert listed.replace("\n", " ").split(", ") == [*TRIALS.columns]


def test_the_readme_names_the_folder_of_a_baseline_part_by_part():
    recipe = Recipe(
        optimizer="sgd",
        learning_rate="…",
        batch_size="…",
        augment="crop-flip",
        precision="bfloat16",
        epochs="…",
    )
    baseline = BaselineSettings(
        dataset="<dataset>",
        model="<model>",
        recipe=recipe,
        pixels="<pixels>",
        backend="<backend>",
        seed="…",
        content="<content>",
    )
    named = [
        re.sub(r"[][]", "", each) for each in re.findall("^\\| `(<dataset>.*)/` \\|", README, re.M)
    ]
    assert named == [folder_name(baseline)]


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
        assert f"{flag} came with --sensitivity, which does not use it" in capsys.readouterr().err
