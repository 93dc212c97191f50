"""formal.py's command line: what it accepts and how it refuses the rest."""

import contextlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import formal
from pruning import criteria
from pruning.exports import FORMATS

ROOT = Path(__file__).parent.parent
RIGHT = ["fashion", "0.001", "128", "35", "30", "0.4"]


def test_it_runs_with_its_output_closed(tmp_path):
    command = f"exec {sys.executable} {ROOT / 'formal.py'} missing.npz 1 1 1 1 0 >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("formal.py: argument dataset: 'missing.npz' came")


@pytest.mark.parametrize("python", [[sys.executable], [sys.executable, "-W", "error"]])
def test_wrong_arguments_and_help_are_answered_before_keras_is_imported(tmp_path, python):
    for folder in ("run", "slow"):
        (tmp_path / folder).mkdir()
    late = "keras tensorflow pandas matplotlib ai_edge_litert onnx onnxruntime tf2onnx".split()
    for name in late:
        (tmp_path / "slow" / f"{name}.py").write_text("raise Exception('it is imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "slow")}
    for arguments, status in ((["fashion", "nan", *RIGHT[2:]], 2), (["--help"], 0)):
        command = [*python, ROOT / "formal.py", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path / "run", env=environment, capture_output=True, text=True
        )
        assert done.returncode == status
        assert len(done.stderr.splitlines()) == (status == 2)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("position", "values"),
    [
        ("dataset", ["fashon", "", "missing.npz", "formal.py", ".", "tests", "a" * 300 + ".npz"]),
        ("lr", ["nan", "inf", "-inf", "0", "-1e-3", "-0.1", "fast", ""]),
        ("batchSz", ["0", "-1", "12.5", "1e3", "nan", "99999999999999999999"]),
        ("Epoch1", ["0", "-1", "12.5", "many"]),
        ("Epoch2", ["0", "-1", "12.5", "inf"]),
        ("filterPercentage", ["1", "1.0", "-0.1", "40", "nan", "inf", "-inf", "half"]),
    ],
)
def test_a_wrong_argument_is_named_with_what_came_and_what_is_accepted(position, values, capsys):
    names = ["dataset", "lr", "batchSz", "Epoch1", "Epoch2", "filterPercentage"]
    for value in values:
        arguments = RIGHT.copy()
        arguments[names.index(position)] = value
        with pytest.raises(SystemExit) as ended:
            formal.parse(arguments)
        assert ended.value.code == 2
        pattern = (
            rf"formal\.py: argument {position}: {value!r} came, but it must be .+; see --help\n"
        )
        assert re.fullmatch(pattern, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "argument --seed: '-1' came, but it must be a whole number"),
        (["--seed", "1.5"], "argument --seed: '1.5' came, but it must be a whole number"),
        (["--optimizer", "rmsprop"], r"argument --optimizer: invalid choice: 'rmsprop' \(choose"),
        (["--csv", "/" + "a" * 300 + "/a.csv"], "argument --csv: '/aa.*' came, but it must be"),
        (["--csv", "rows.txt"], "argument --csv: 'rows.txt' came, but it must be .* ends in .csv"),
        (["--see", "1"], "unrecognized arguments: --see"),
        (["--two\nlines"], "unrecognized arguments: --two lines"),
        (["0.5", "1.5"], "argument filterPercentage: '1.5' came"),
        (["--criterion", "l3"], r"argument --criterion: invalid choice: 'l3' \(choose from"),
        (["--retrain-lr", "0"], "argument --retrain-lr: '0' came, but it must be a number above"),
        (["--seeds", "0", "-1"], "argument --seeds: '-1' came, but it must be a whole number"),
        (["--seeds"], "argument --seeds: expected at least one argument"),
        (["--sensitivity", "--dry-run"], "--dry-run came with --sensitivity, which"),
        (["--max-drop", "0.1"], "--max-drop came without --sensitivity; give both"),
        (["--sensitivity", "--max-drop", "1"], "argument --max-drop: '1' came, but it must be"),
        (["--sensitivity", "--control", "scratch"], "--control came with --sensitivity, which"),
        (["--sensitivity", "--retrain-lr", "0.1"], "--retrain-lr came with --sensitivity, which"),
        (["--export", "tflite"], r"argument --export: invalid choice: 'tflite' \(choose from"),
        (["--export", "onnx", "--int8-io"], "--int8-io came without --export litert-int8; give"),
        (["--ray", "fashion"], "argument --ray: 'fashion' came, .* write --ray last"),
        (["--ray", "--cpus-per-trial", "1.5"], "argument --cpus-per-trial: '1.5' came, but it"),
        (["--ray", "--cpus-per-trial", "inf"], "argument --cpus-per-trial: 'inf' came, but it"),
        (["--ray", "--cpus-per-trial", "-inf"], "argument --cpus-per-trial: '-inf' came, but it"),
        (["--ray", "--gpus-per-trial", "0"], "argument --gpus-per-trial: '0' came, but it must"),
        (["--gpus-per-trial", "0.5"], "--gpus-per-trial came without --ray; give both"),
        (["--sensitivity", "--ray"], "--ray came with --sensitivity, which does not use it"),
        (["--sensitivity", "--export", "onnx"], "--export came with --sensitivity, which"),
        (
            ["--strategy", "greedy", "--criterion", "l2", "var-l2"],
            "greedy came with --criterion var-l2; .*: give l1, l2, largest, random; see",
        ),
    ],
)
def test_a_wrong_option_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse(RIGHT + arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["Fashion", *RIGHT[1:]], "fashion"),
        ([*RIGHT, "40"], "0.4"),
        ([*RIGHT, "12.5%"], "0.125"),
        ([*RIGHT, "--model", "resnet-20"], "resnet20"),
        ([*RIGHT, "--criterion", "L1"], "l1"),
        ([*RIGHT, "--export", "litert_int8"], "litert-int8"),
        ([*RIGHT, "--layer-ratios", "VGG16-a"], "vgg16-A"),
        ([*RIGHT, "--layerratios", "vgg16-A"], "--layer-ratios"),
        ([*RIGHT, "--optimiser=sgd"], "--optimizer"),
        ([*RIGHT, "100"], None),
        (["pictures", *RIGHT[1:]], None),
        ([*RIGHT, "--verbose"], None),
    ],
)
def test_what_is_close_to_a_wrong_argument_is_named(arguments, guess, capsys):
    with pytest.raises(SystemExit):
        formal.parse(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    if guess:
        assert line.endswith(f" (did you mean {guess}?); see --help")
    else:
        assert "did you mean" not in line


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, "[]", "{}", '{"conv1": 1}', '{"conv1": "half"}', '{"conv1": null}', "\xff"],
)
def test_a_file_that_holds_no_layer_ratios_is_a_wrong_argument(content, tmp_path, capsys):
    file = tmp_path / "ratios.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(SystemExit) as ended:
        formal.parse([*RIGHT, "--layer-ratios", str(file)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'ratios.json\' came, but it must be a file such as {"conv1": 0.5, "conv*": 0.2}' in line


@pytest.mark.parametrize(
    ("flag", "name"), [("--layer-ratios", "a.json"), ("--csv", "a.csv"), ("--model", "a.keras")]
)
def test_a_pipe_in_place_of_a_file_is_a_wrong_argument(flag, name, tmp_path, capsys):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SystemExit) as ended:
        formal.parse([*RIGHT, flag, str(tmp_path / name)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}' came, but it must be" in line


def test_a_control_from_scratch_needs_the_epochs_of_the_baseline(small, capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse([*RIGHT, "--model", str(small), "--trained", "--control", "scratch"])
    assert ended.value.code == 2
    assert "--trained came with --control scratch, which needs Epoch1" in capsys.readouterr().err


def test_a_folder_is_a_dataset_if_it_holds_train_and_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for part, status in (("train", 2), ("test", None)):
        (tmp_path / part).mkdir()
        with contextlib.nullcontext() if status is None else pytest.raises(SystemExit):
            assert formal.parse([".", *RIGHT[1:]]).dataset == "."
    (line,) = capsys.readouterr().err.splitlines()
    assert "or the path of an .npz file or a folder with train/ and test/ that exists;" in line
    with pytest.raises(SystemExit):
        formal.parse(["", *RIGHT[1:]])


def test_digits_are_not_flipped(capsys):
    assert formal.parse(["mnist", *RIGHT[1:]]).augment is False
    assert formal.parse(["cifar100", *RIGHT[1:], "--augment"]).augment is True
    with pytest.raises(SystemExit) as ended:
        formal.parse(["mnist", *RIGHT[1:], "--augment"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--augment came with dataset mnist, and digits do not survive a flip; leave" in line


def test_a_missing_argument_is_named(capsys):
    with pytest.raises(SystemExit):
        formal.parse(RIGHT[:5])
    assert "required: filterPercentage; see --help" in capsys.readouterr().err


def test_the_usage_line_keeps_the_six_names(capsys):
    with pytest.raises(SystemExit) as ended:
        formal.parse(["--help"])
    assert ended.value.code == 0
    usage = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert "dataset lr batchSz Epoch1 Epoch2 filterPercentage [filterPercentage ...]" in usage


def test_right_arguments_are_taken_in_any_order_with_options():
    args = formal.parse(["--seed", "7", *RIGHT, "--optimizer", "sgd", "0.5"])
    assert args.filterPercentage == [0.4, 0.5]
    assert (args.dataset, args.lr, args.batchSz, args.Epoch1, args.Epoch2) == (
        "fashion",
        0.001,
        128,
        35,
        30,
    )
    assert math.copysign(1, formal.parse([*RIGHT[:5], "-0.0"]).filterPercentage[0]) == 1
    assert (args.seeds, args.optimizer, args.csv, args.fresh) == ([7], "sgd", None, False)
    assert formal.parse([*RIGHT, "--seeds", "0", "1", "2"]).seeds == [0, 1, 2]
    assert formal.parse(RIGHT).seeds == [0]
    assert args.criterion == ["l1"]
    twice = ["--criterion", "l2", "random", "--criterion", "l1", "l2"]
    assert formal.parse([*RIGHT, *twice]).criterion == ["l2", "random", "l1"]
    assert (args.model, args.trained, args.coupled) == ("scnnb", False, "joint")
    assert args.layer_ratios is None
    assert (args.export, args.int8_io) == ([], False)
    twice = ["--export", "onnx", "litert", "--export", "onnx"]
    assert formal.parse([*RIGHT, *twice]).export == ["onnx", "litert"]
    assert formal.parse([*RIGHT, "--ray", "--cpus-per-trial", "2"]).ray == "local"
    assert formal.parse([*RIGHT, "--ray", "ray://node:10001"]).ray == "ray://node:10001"
    assert formal.parse([*RIGHT, "--layer-ratios", "vgg16-A"]).layer_ratios == "vgg16-A"


def test_the_flag_takes_every_criterion_and_the_help_names_each(capsys):
    names = "l1 l2 largest random mean-mean mean-std mean-l1 mean-l2 var-l2".split()
    assert formal.parse([*RIGHT, "--criterion", *names]).criterion == names
    assert names == [*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS]
    assert set(names) <= help_words(capsys)


def test_the_flag_takes_every_format_and_the_help_names_each(capsys):
    names = ["litert", "litert-int8", "onnx", "saved-model"]
    assert formal.parse([*RIGHT, "--export", *names]).export == names == list(FORMATS)
    assert set(names) <= help_words(capsys)


def help_words(capsys):
    with pytest.raises(SystemExit):
        formal.parse(["--help"])
    # a line may end after a dash
    return set(re.findall(r"[\w-]+", re.sub(r"-\n\s*", "-", capsys.readouterr().out)))
