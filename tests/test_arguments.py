"""The command line: the arguments that it accepts, and the errors about others."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiment import fields, grid, names
from experiment.arguments import parse
from experiment.settings import TrialSettings
from pruning import criteria
from pruning.exports import FORMATS
from tests.test_grid import GIVEN

ROOT = Path(__file__).parent.parent
RIGHT = ["fashion", "0.001", "128", "35", "30", "0.4"]


def test_it_runs_with_its_output_closed(tmp_path):
    command = f"exec {sys.executable} {ROOT / 'formal.py'} missing.npz 1 1 1 1 0 >&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("formal.py: argument dataset: expected fashion, ")


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
        ("Epoch2", ["-1", "12.5", "inf"]),
        ("filterPercentage", ["1", "1.0", "-0.1", "40", "nan", "inf", "-inf", "half"]),
    ],
)
def test_a_wrong_argument_is_named_with_what_came_and_what_is_accepted(position, values, capsys):
    names = ["dataset", "lr", "batchSz", "Epoch1", "Epoch2", "filterPercentage"]
    for value in values:
        arguments = RIGHT.copy()
        arguments[names.index(position)] = value
        with pytest.raises(SystemExit) as ended:
            parse(arguments)
        assert ended.value.code == 2
        pattern = rf"formal\.py: argument {position}: expected .+, got {value!r}.*; see --help\n"
        assert re.fullmatch(pattern, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "argument --seed: expected a whole number .*, got '-1'"),
        (["--seed", "1.5"], "argument --seed: expected a whole number .*, got '1.5'"),
        (["--optimizer", "rmsprop"], "argument --optimizer: expected adam, sgd, got 'rmsprop'"),
        (
            ["--csv", "/" + "a" * 300 + "/a.csv"],
            "argument --csv: expected the .*, got '/aa.*'",
        ),
        (["--csv", "rows.txt"], "argument --csv: expected .* ends in .csv, .*, got 'rows.txt'"),
        (["--see", "1"], "unrecognized arguments: --see"),
        (["--two\nlines"], "unrecognized arguments: --two lines"),
        (["0.5", "1.5"], "argument filterPercentage: expected a number .*, got '1.5'"),
        (["--criterion", "l3"], "argument --criterion: expected l1, l2, .*, got 'l3'"),
        (["--retrain-lr", "0"], "argument --retrain-lr: expected a number above 0, .*, got '0'"),
        (["--seeds", "0", "-1"], "argument --seeds: expected a whole number .*, got '-1'"),
        (["--seeds"], "argument --seeds: expected at least one argument"),
        (["--sensitivity", "--dry-run"], "--dry-run does not fit --sensitivity, which"),
        (["--max-drop", "0.1"], "--max-drop requires --sensitivity;"),
        (["--sensitivity", "--max-drop", "1"], "argument --max-drop: expected .*, got '1'"),
        (["--sensitivity", "--compensate"], "--compensate does not fit --sensitivity, which"),
        (["--sensitivity", "--control", "scratch"], "--control does not fit --sensitivity, which"),
        (
            ["--sensitivity", "--retrain-lr", "0.1"],
            "--retrain-lr does not fit --sensitivity,",
        ),
        (["--export", "tflite"], "argument --export: expected litert, .*, got 'tflite'"),
        (["--export", "onnx", "--int8-io"], "--int8-io requires --export litert-int8"),
        (["--ray", "fashion"], "argument --ray: expected .* write --ray last\\), got 'fashion'"),
        (["--ray", "--cpus-per-trial", "1.5"], "--cpus-per-trial: expected .*, got '1.5'"),
        (["--ray", "--cpus-per-trial", "inf"], "--cpus-per-trial: expected .*, got 'inf'"),
        (
            ["--ray", "--cpus-per-trial", "-inf"],
            "--cpus-per-trial: expected .*, got '-inf'",
        ),
        (["--ray", "--gpus-per-trial", "0"], "argument --gpus-per-trial: expected .*, got '0'"),
        (["--gpus-per-trial", "0.5"], "--gpus-per-trial requires --ray;"),
        (["--momentum", "0.9"], "--momentum requires --optimizer sgd, got adam; see"),
        (["--best-epoch"], "--best-epoch requires --validation;"),
        (["--validation", "1"], "argument --validation: expected a number from 0 to below 1, "),
        (["--validation", "20"], r"argument --validation: expected .* \(did you mean 0.2\?\)"),
        (["--nesterov"], "--nesterov requires --optimizer sgd, got adam; see"),
        (["--warmup", "30"], "--warmup: expected fewer epochs than Epoch2 30, got 30; see"),
        (["--steps", "3"], "--steps requires --schedule stepwise, got one-shot; see"),
        (["--schedule", "stepwise", "--steps", "1"], "argument --steps: expected a .* from 2, su"),
        (
            ["--schedule", "stepwise", "--steps", "31"],
            "--steps: expected at most Epoch2 30, got 31; each step has an epoch or more; see",
        ),
        (
            ["--schedule", "stepwise", "--warmup", "7"],
            "--warmup: expected fewer epochs than Epoch2 / --steps 7, got 7;",
        ),
        (["--distill", "-0.1"], "argument --distill: expected a number from 0 to 1, such as"),
        (
            ["--distill", "1.1"],
            "argument --distill: expected a number from 0 to 1, such as",
        ),
        (["--distill", "1", "--distill-temperature", "0"], "-temperature: expected a number above"),
        (["--distill-temperature", "2"], "--distill-temperature requires --distill;"),
        (["--distill", "0.9", "--sensitivity"], "--distill does not fit --sensitivity, which does"),
        (["--combine", "product"], "argument --combine: expected sum, mean, max, got 'product'"),
        (["--round-to", "0"], "argument --round-to: expected a whole number from 1, .* got '0'"),
        (["--round-to", "8", "--sensitivity"], "--round-to does not fit --sensitivity without -"),
        (
            ["--dense", "--criterion", "l1", "mean-std"],
            "--dense does not fit --criterion mean-std, which is 0 .*; give var-l2 or mean-l1;",
        ),
        (["--target", "flops"], "argument --target: expected macs, parameters, bytes, got 'flops'"),
        (["--target"], "argument --target: expected one argument"),
        (
            ["0", "--target", "macs"],
            "argument filterPercentage: expected .* above 0, at .* got '0'",
        ),
        (
            ["--target", "macs", "0.5", "1.5"],
            "argument filterPercentage: expected the part that may remain, .* at most 1, .* '1.5'",
        ),
        (["--target", "parameters", "50"], r"argument filterPerc.*, got '50' \(did you mean 0.5\?"),
        (["--target", "bytes"], "argument filterPercentage: expected a whole number, .* got '0.4'"),
        (["--keep", "0.3"], "--keep requires --ranking global, got uniform;"),
        (["--ranking", "global", "--keep", "1"], "argument --keep: expected .* below 1, .* '1'"),
        (["--ranking", "all"], "argument --ranking: expected uniform, global, got 'all'"),
        (["--ranking", "global", "--sensitivity"], "--ranking does not fit --sensitivity, which"),
        (
            ["--ranking", "global", "--strategy", "greedy"],
            "--strategy greedy does not fit --ranking global: its scores depend on what earlier",
        ),
        (
            ["--ranking", "global", "--schedule", "iterative"],
            "--schedule iterative does not fit --ranking global, which ranks all layers together",
        ),
        (
            ["--ranking", "global", "--schedule", "stepwise"],
            "--schedule stepwise does not fit --ranking global, which ranks all layers together",
        ),
        (["--warmup", "1.5"], "argument --warmup: expected a whole number from 0, such as 5, got"),
        (
            ["--label-smoothing", "1"],
            "argument --label-smoothing: expected a number from 0 to be.*1'",
        ),
        (
            ["--class-weights", "rare"],
            "argument --class-weights: expected balanced or none, got 'rare'",
        ),
        (["--weight-decay", "-1"], "argument --weight-decay: expected a number from 0, such as"),
        (["--augment", "crop"], "argument --augment: expected crop-flip, flip or none, got 'crop'"),
        (["--augment", "flipnone"], "--augment: expected .*, got 'flipnone' .did you mean flip"),
        (["--sensitivity", "--verbose"], "--verbose does not fit --sensitivity, which"),
        (["--sensitivity", "--ray"], "--ray does not fit --sensitivity, which does not use it"),
        (["--sensitivity", "--export", "onnx"], "--export does not fit --sensitivity, which"),
        (["--sensitivity", "--recalibrate"], "--recalibrate does not fit --sensitivity, which"),
        (["--recalibrate", "0"], "argument --recalibrate: expected a whole number from 1, .* '0'"),
        (
            ["--strategy", "greedy", "--criterion", "l2", "var-l2"],
            "greedy requires a --criterion of weights .l1, l2, largest, random, fpgm., got var-l2;",
        ),
        (
            ["--strategy", "greedy", "--criterion", "l2", "taylor", "bn-scale"],
            "greedy requires a --criterion of weights .*, got taylor;",
        ),
    ],
)
def test_a_wrong_option_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(RIGHT + arguments)
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
        ([*RIGHT, "--quick"], None),
    ],
)
def test_what_is_close_to_a_wrong_argument_is_named(arguments, guess, capsys):
    with pytest.raises(SystemExit):
        parse(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    if guess:
        assert line.endswith(f" (did you mean {guess}?); see --help")
    else:
        assert "did you mean" not in line


def test_a_control_from_scratch_needs_the_epochs_of_the_baseline(small, capsys):
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, "--model", str(small), "--trained", "--control", "scratch"])
    assert ended.value.code == 2
    assert "--control scratch does not fit --trained: it needs Epoch1" in capsys.readouterr().err


def test_without_retraining_nothing_is_distilled(capsys):
    with pytest.raises(SystemExit):
        parse([*RIGHT[:4], "0", "0.4", "--distill", "0.9"])
    assert "--distill requires Epoch2 above 0: without retraining, " in capsys.readouterr().err


def test_only_networks_by_name_are_normalised(small, capsys):
    assert parse([*RIGHT, "--normalize", "--model", "vgg16"])[0]["normalize"] == "normalize"
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, "--normalize", "--model", str(small)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search("--normalize requires --model scnnb, .*, got .*; put a Normalization", line)


def test_digits_are_not_flipped(capsys):
    assert parse(["mnist", *RIGHT[1:], "--augment", "none"])[0]["augment"] == ""
    assert parse(["cifar100", *RIGHT[1:], "--augment", "flip"])[0]["augment"] == "flip"
    with pytest.raises(SystemExit) as ended:
        parse(["mnist", *RIGHT[1:], "--augment", "flip"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--augment does not fit dataset mnist: a flipped digit is no digit;" in line


def test_a_missing_argument_is_named(capsys):
    with pytest.raises(SystemExit):
        parse(RIGHT[:5])
    assert "required: filterPercentage; see --help" in capsys.readouterr().err


def test_the_usage_line_keeps_the_six_names(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    usage = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert "dataset lr batchSz Epoch1 Epoch2 filterPercentage [filterPercentage ...]" in usage


def test_right_arguments_are_taken_in_any_order_with_options():
    given, options = parse(["--seed", "7", *RIGHT, "--optimizer", "sgd", "0.5"])
    sgd = {"optimizer": "sgd", "weight_decay": 5e-6, "momentum": 0.9}
    assert given == GIVEN | {"seed": [7], "pruning_ratio": [0.4, 0.5]} | sgd
    assert (options.csv, options.fresh, options.export, options.int8_io) == (None, False, [], False)


@pytest.mark.parametrize(
    ("arguments", "amounts"),
    [
        (["0.5", "0.3", "--target", "macs"], [0.5, 0.3]),
        (["--target", "macs", "0.5", "0.3"], [0.5, 0.3]),
        (["0.5", "--target=macs", "0.3"], [0.5, 0.3]),
        (["1", "--target", "parameters", "0.3"], [1.0, 0.3]),
        (["--target", "bytes", "500000"], [500_000]),
    ],
)
def test_the_amounts_of_a_target_stand_before_or_after_it(arguments, amounts):
    given, _ = parse([*RIGHT[:5], *arguments])
    assert given["pruning_ratio"] == amounts
    assert f"--target {given['target']}" in " ".join(arguments).replace("=", " ")
    assert [type(each) for each in given["pruning_ratio"]] == [type(each) for each in amounts]


def test_a_percentage_of_minus_zero_is_zero():
    given, _ = parse([*RIGHT[:5], "-0.0"])
    assert math.copysign(1, given["pruning_ratio"][0]) == 1


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--seeds", "0", "1", "2"], "seed", [0, 1, 2]),
        ([], "seed", [0]),
        (
            ["--criterion", "l2", "random", "--criterion", "l1", "l2"],
            "criterion",
            ["l2", "random", "l1"],
        ),
        (["--layer-ratios", "vgg16-A"], "layer_ratios", "vgg16-A"),
        (["--label-smoothing", "0.1"], "label_smoothing", 0.1),
        (["--class-weights", "balanced"], "class_weights", "balanced"),
        (["--schedule", "stepwise"], "steps", 4),
        (["--ranking", "global"], "keep", 0.1),
        (["--ranking", "global", "--keep", "0"], "keep", 0.0),
        (["--distill", "1"], "distill", 1.0),
        (["--distill", "0.5"], "distill_temperature", 4.0),
        (["--distill", "0.5", "--distill-temperature", "2"], "distill_temperature", 2.0),
        (["--schedule", "stepwise", "--steps", "2"], "steps", 2),
    ],
)
def test_what_shapes_a_result_is_given(arguments, name, value):
    given, _ = parse([*RIGHT, *arguments])
    assert given[name] == value


def test_what_shapes_no_result_is_an_option():
    _, options = parse([*RIGHT, "--export", "onnx", "litert", "--export", "onnx"])
    assert options.export == [FORMATS["onnx"], FORMATS["litert"]]
    assert parse([*RIGHT, "--ray", "--cpus-per-trial", "2"])[1].ray == "local"
    for arguments, images in (
        (["--recalibrate"], 10_000),
        (["--recalibrate", "500"], 500),
        ([], None),
    ):
        assert parse([*RIGHT, *arguments])[1].recalibrate == images
    assert parse([*RIGHT, "--ray", "ray://node:10001"])[1].ray == "ray://node:10001"


def test_criteria_and_controls_make_a_trial_each_of_every_ratio():
    options = ["--criterion", "random", "mean-std", "--control", "scratch", "--retrain-lr", "0.002"]
    given, _ = parse([*RIGHT[:5], "0", "0.5", "--schedule", "iterative", *options])
    names = ["pruning_ratio", "criterion", "schedule", "control", "retrain_learning_rate"]
    rows = map(fields.row, grid.trials(given, dataset="fashion", content=""))
    assert [[row[name] for name in names] for row in rows] == [
        [0.0, "l1", "iterative", "", 0.002],  # by whatever criterion, nothing is removed
        [0.0, "", "", "scratch", 0.001],
        [0.5, "random", "iterative", "", 0.002],
        [0.5, "mean-std", "iterative", "", 0.002],
        [0.5, "", "", "scratch", 0.001],
    ]


@pytest.mark.parametrize(
    ("options", "folder", "trial"),
    [
        ([], "fashion_scnnb_lr0.001_batch128_epochs35_seed0_c", "pruned0.4_retrained30"),
        (["--strategy", "greedy"], None, "pruned0.4_greedy_retrained30"),
        (["--compensate"], None, "pruned0.4_compensate_retrained30"),
        (
            ["--augment", "crop-flip", "--precision", "bfloat16", "--optimizer", "sgd"]
            + ["--pixels", "0..255"],
            "fashion_scnnb_sgd_lr0.001_batch128_crop-flip_bfloat16_epochs35_0..255_seed0_c",
            None,
        ),
        (
            ["--lr-schedule", "cosine", "--warmup", "2", "--weight-decay", "0.01"],
            "fashion_scnnb_lr0.001_cosine_warmup2_decay0.01_batch128_epochs35_seed0_c",
            "pruned0.4_retrained30",
        ),
        (
            ["--validation", "0.2", "--best-epoch"],
            "fashion_scnnb_lr0.001_batch128_best-epoch_epochs35_validation0.2_seed0_c",
            "pruned0.4_retrained30",
        ),
        (
            ["--lr-schedule", "step", "--retrain-schedule", "constant"],
            "fashion_scnnb_lr0.001_step_batch128_epochs35_seed0_c",
            "pruned0.4_retrained30_constant",
        ),
    ],
)
def test_what_is_not_the_default_stands_in_the_names_of_files(options, folder, trial):
    given, _ = parse([*RIGHT, *options])
    (only,) = grid.trials(given, dataset="fashion", content="c")
    assert folder in (None, names.folder(only.baseline))
    assert trial in (None, names.trial(only))


@pytest.mark.parametrize("variable", ["tensorflow", "jax", "torch", "", None])
def test_the_backend_is_that_of_the_variable_else_tensorflow(monkeypatch, variable):
    monkeypatch.delenv("KERAS_BACKEND")
    if variable is not None:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    assert parse(RIGHT)[0]["backend"] == (variable or "tensorflow")


@pytest.mark.parametrize("variable", ["openvino", "numpy", "TensorFlow", "cntk"])
def test_a_backend_that_cannot_train_is_a_wrong_argument(monkeypatch, capsys, variable):
    monkeypatch.setenv("KERAS_BACKEND", variable)
    with pytest.raises(SystemExit) as ended:
        parse(RIGHT)
    message = (
        f"formal.py: KERAS_BACKEND: expected tensorflow, jax or torch, got {variable!r}; set one "
        "of them, or unset it for tensorflow; see --help\n"
    )
    assert (ended.value.code, capsys.readouterr().err) == (2, message)


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(
    ("flag", "value", "later"),
    [
        ("--export", "onnx", "; or call pruning.export with the stored .keras files there"),
        ("--tensorboard", "logs", ""),
    ],
)
def test_what_tensorflow_writes_is_an_error_on_other_backends(
    monkeypatch, capsys, backend, flag, value, later
):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(SystemExit) as ended:
        parse([*RIGHT, flag, value])
    message = (
        f"formal.py: {flag} requires KERAS_BACKEND=tensorflow, got {backend}: TensorFlow writes "
        f"its files{later}; see --help\n"
    )
    assert (ended.value.code, capsys.readouterr().err) == (2, message)


def test_the_flag_takes_every_criterion_and_the_help_names_each(capsys):
    names = "l1 l2 largest random fpgm mean-mean mean-std mean-l1 mean-l2 var-l2".split()
    names += ["bn-scale", "taylor"]
    assert parse([*RIGHT, "--criterion", *names])[0]["criterion"] == names
    assert names == [*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS, *criteria.OF_NETWORKS]
    assert set(names) <= help_words(capsys)


def test_the_flag_takes_every_format_and_the_help_names_each(capsys):
    names = ["litert", "litert-int8", "onnx", "saved-model"]
    _, options = parse([*RIGHT, "--export", *names])
    assert [each.name for each in options.export] == names == list(FORMATS)
    assert set(names) <= help_words(capsys)


def test_the_help_has_a_group_for_each_question_of_a_user(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    groups = re.findall(r"^(\S.*):\n((?:  .*\n)+)", capsys.readouterr().out, re.M)
    flags = {title: re.findall(r"^  (--[\w-]+)", section, re.M) for title, section in groups}
    assert [*flags][2:] == ["what to prune", "how to train", "what to write", "where to run"]
    assert "--layer-ratios" in flags["what to prune"]
    assert "--retrain-lr" in flags["how to train"] and "--seeds" in flags["how to train"]
    assert "--export" in flags["what to write"]
    assert flags["where to run"] == ["--ray", "--cpus-per-trial", "--gpus-per-trial"]


def help_words(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    # a line may end after a dash
    return set(re.findall(r"[\w-]+", re.sub(r"-\n\s*", "-", capsys.readouterr().out)))


@pytest.fixture
def help_entries(monkeypatch, capsys):
    """`{flag or position: help}` of the parser."""
    monkeypatch.setenv("COLUMNS", "2000")  # no entry is broken
    with pytest.raises(SystemExit):
        parse(["--help"])
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


def test_every_setting_of_the_parser_is_a_field_and_has_its_default():
    given, _ = parse(["fashion", "0.001", "128", "35", "30", "0.4"])
    names = {field.name for field in fields.of(TrialSettings).values()}
    assert given.keys() == names - {"content"} | {"trained"}
    assert given == GIVEN | {"seed": [0]}


def test_an_analysis_of_sensitivities_takes_a_default_that_is_written_out_and_nothing_else(capsys):
    right = ["fashion", "0.001", "128", "35", "30", "0.4", "--sensitivity"]
    for flag, default, other in (
        ("--strategy", "independent", "greedy"),
        ("--schedule", "one-shot", "iterative"),
    ):
        assert parse([*right, flag, default])[1].sensitivity
        with pytest.raises(SystemExit):
            parse([*right, flag, other])
        assert f"{flag} does not fit --sensitivity, which does not use" in capsys.readouterr().err


def test_an_analysis_of_sensitivities_takes_the_recipe_of_its_baseline(capsys):
    recipe = ["cifar10", *RIGHT[1:], "--recipe", "li2017"]
    given, _ = parse([*recipe, "--sensitivity"])
    assert given == parse(recipe)[0]
    with pytest.raises(SystemExit):
        parse([*recipe, "--sensitivity", "--retrain-lr", "0.001"])
    assert "--retrain-lr does not fit --sensitivity, which" in capsys.readouterr().err
