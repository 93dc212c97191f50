"""experiment/recipes.py: files that give the flags of a training."""

import re
import shlex

import pytest

from experiment import recipes
from experiment.arguments import parse

RIGHT = ["fashion", "0.001", "128", "35", "30", "0.4"]


@pytest.fixture
def own(tmp_path):
    """A function that writes a recipe and returns its path."""

    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", recipes.NAMES)
def test_the_command_in_the_head_of_a_recipe_is_right_and_uses_each_of_its_lines(name):
    text = (recipes.FOLDER / f"{name}.toml").read_text()
    (command,) = re.findall(r"^# Command: formal\.py (.*)$", text, re.M)
    given, _ = parse(shlex.split(command))
    values = list(given.values())
    for argument in recipes.arguments(name):
        _, _, value = argument.partition("=")
        assert not value or value in values or float(value) in values


def test_a_recipe_gives_the_flags_and_what_is_given_beside_it_wins(own):
    path = own('optimizer = "sgd"\nmomentum = 0.5\nnesterov = true\nwarmup = 2\nnormalize = false')
    given, _ = parse([*RIGHT, "--recipe", path])
    names = ("optimizer", "momentum", "nesterov", "warmup", "normalize", "weight_decay")
    assert [given[name] for name in names] == ["sgd", 0.5, "nesterov", 2, "", 5e-6]
    assert "recipe" not in given
    for beside in ([*RIGHT, "--recipe", path], ["--recipe", path, *RIGHT]):
        given, _ = parse([*beside, "--momentum", "0.7", "--no-nesterov", "--normalize"])
        assert [given[name] for name in names] == ["sgd", 0.7, "", 2, "normalize", 5e-6]


def test_every_line_of_a_recipe_can_be_taken_back(own):
    taken_back = {
        'optimizer = "sgd"': "--optimizer adam",
        'lr-schedule = "cosine"': "--lr-schedule constant",
        "warmup = 1": "--warmup 0",
        "weight-decay = 0.1": "--weight-decay 0",
        "momentum = 0.5": "--momentum 0",
        "nesterov = true": "--no-nesterov",
        'augment = "flip"': "--augment none",
        "label-smoothing = 0.1": "--label-smoothing 0",
        'class-weights = "balanced"': "--class-weights none",
        'precision = "bfloat16"': "--precision float32",
        "best-epoch = true": "--no-best-epoch",
        "normalize = true": "--no-normalize",
        "validation = 0.1": "--validation 0",
        "retrain-lr = 0.1": "--retrain-lr 0.001",
        'retrain-schedule = "step"': "--retrain-schedule constant",
        "distill = 0.5": "--distill 0",
        "distill-temperature = 2": "--distill-temperature 0",
    }
    assert [line.split(" = ")[0] for line in taken_back] == [*recipes.keys()]
    path, (usual, _) = own("\n".join(taken_back)), parse(RIGHT)
    given, _ = parse([*RIGHT, "--recipe", path])
    assert sum(given[name] != usual[name] for name in usual) == len(taken_back)
    beside = " ".join(taken_back.values()).split()
    assert parse([*RIGHT, "--recipe", path, *beside])[0] == usual


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = 0.1", "own.toml: expected optimizer, .*, got 'lr'; see --help"),
        ("seed = 1", "own.toml: expected optimizer, .*, got 'seed'"),
        ("nesterov = 1", "own.toml: nesterov: expected true or false, got 1"),
        ("momentum = true", "own.toml: momentum: expected a text or a number, got True"),
        ("weight_decay = 0", "got 'weight_decay' .did you mean weight-decay"),
        ("weight-decay = -1e-5", "--weight-decay: expected a number from 0, .*, got '-1e-05'"),
        ("momentum = 2", "argument --momentum: expected a number from 0 to below 1, .* got '2'"),
        ("momentum 2", "expected a file of lines such as lr-schedule = .cosine., got .*own.toml'"),
    ],
)
def test_a_wrong_recipe_is_an_error_in_one_line(own, capsys, text, message):
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, "--recipe", own(text)])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert re.search(message, line)


def test_an_unknown_recipe_is_an_error_that_names_those_that_exist(capsys):
    with pytest.raises(SystemExit):
        parse([*RIGHT, "--recipe", "fest"])
    message = (
        "formal.py: argument --recipe: expected fast, li2017, scnnb or the path of a .toml file "
        "that exists, got 'fest' (did you mean fast?); see --help\n"
    )
    assert capsys.readouterr().err == message
