"""experiment/preflight.py: errors that are reported before any training."""

import re
from pathlib import Path

import keras
import pytest
from keras import layers

from experiment import arguments, grid, preflight, study
from experiment.columns import TRIALS
from scnnb import precision

SAMPLE = str(Path(__file__).parent / "fashion_sample.npz")
SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2


def save_network(path, convolutions):
    """Store a network of these layers for the images of `few`."""
    images = x = keras.Input((28, 28, 1))
    for layer in convolutions:
        x = layer(x)
    answer = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    keras.Model(images, answer).save(path)


def test_bfloat16_is_an_error_before_training_if_it_would_be_slower(
    few, small, call, tmp_path, monkeypatch
):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : avx2\n")
    status, out, err = call(small.parent, few, *SHORT, 0.5, "--precision", "bfloat16")
    assert (status, out) == (1, "")
    assert err.startswith(
        "formal.py: --precision: expected float32 on this processor, got bfloat16"
    )
    assert not (small.parent / "results").exists()


def test_a_schedule_or_analysis_that_is_not_possible_is_an_error_before_training(
    few, tmp_path, call
):
    save_network(tmp_path / "none.keras", [layers.MaxPooling2D(7)])
    save_network(  # after a cut, each group has one channel, as in a depthwise convolution
        tmp_path / "grouped.keras",
        [layers.Conv2D(4, 9, 9), layers.Conv2D(4, 1, groups=2, name="last")],
    )
    for name, options, message in (
        ("none", ["--schedule", "iterative"], "no convolution that could lose a filter"),
        ("none", ["--sensitivity"], "no convolution that could lose a filter"),
        (
            "grouped",
            ["--schedule", "iterative"],
            "only: expected layers whose filters can be removed",
        ),
    ):
        ratio = 0.0 if name == "none" else 0.5
        arguments = (few, *SHORT, ratio, "--model", f"{name}.keras", *options)
        status, out, err = call(tmp_path, *arguments)
        assert status == 1, out
        assert message in err
        assert "epoch" not in out


@pytest.mark.parametrize("options", [[], ["--sensitivity"], ["--dry-run"]])
def test_a_layer_without_a_rule_is_an_error_before_training_if_asked_for(
    few, tmp_path, call, options
):
    first, last = layers.Conv2D(4, 9, 9, name="first"), layers.Conv2D(4, 1, name="last")
    save_network(tmp_path / "mixed.keras", [first, layers.Softmax(name="mix"), last])
    arguments = (few, *SHORT, 0.5, "--model", "mixed.keras", *options)
    status, out, err = call(tmp_path, *arguments, "--unsupported", "error")
    assert status == 1
    assert re.match(
        r"formal\.py: unsupported: expected [^\n]* first \[mix \(Softmax\)[^\n]*\n$", err
    )
    assert "epoch" not in out


def test_a_layer_without_a_rule_is_named_in_a_dry_run(few, tmp_path, call, caplog):
    first, last = layers.Conv2D(4, 9, 9, name="first"), layers.Conv2D(4, 1, name="last")
    save_network(tmp_path / "mixed.keras", [first, layers.Softmax(name="mix"), last])
    status, _, _ = call(tmp_path, few, *SHORT, 0.5, "--model", "mixed.keras", "--dry-run")
    (message,) = caplog.messages
    assert status == 0 and "first [mix (Softmax): it computes each value" in message


def test_a_wrong_layer_name_is_an_error_before_training(tmp_path, call):
    (tmp_path / "ratios.json").write_text('{"conv9": 0.5}')
    options = ("--layer-ratios", tmp_path / "ratios.json")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, *options)
    assert status == 1
    assert re.fullmatch(
        r"formal\.py: layer_ratios: expected [^\n]+, got 'conv9'; similar names: [^\n]+\n", err
    )
    assert "training the baseline" not in out


@pytest.mark.parametrize("options", [[], ["--sensitivity"], ["--dry-run"]])
def test_a_criterion_that_cannot_score_a_layer_is_an_error_before_training(
    few, small, call, options
):
    arguments = (few, *SHORT, 0.5, "--model", small, "--criterion", "l1", "bn-scale", *options)
    status, out, err = call(small.parent, *arguments)
    assert status == 1
    assert err.startswith("formal.py: criterion: expected scores for conv1 (Conv2D), got none: ")
    assert err.count("\n") == 1 and "epoch" not in out


@pytest.mark.parametrize("criterion", ["bn-scale", "of_maps"])
@pytest.mark.parametrize("sensitivity", [[], ["--sensitivity"]])
def test_dense_layers_need_a_score_if_they_are_pruned(few, tmp_path, call, criterion, sensitivity):
    stack = [layers.Conv2D(4, 9, 9, name="conv1"), layers.BatchNormalization(), layers.Flatten()]
    save_network(tmp_path / "own.keras", [*stack, layers.Dense(8, name="hidden")])
    (tmp_path / "own.py").write_text("def of_maps(kernel): return kernel.sum(axis=(0, 1, 2))\n")
    arguments = (few, *SHORT, 0.5, "--model", "own.keras", "--criterion", criterion, *sensitivity)
    status, out, err = call(tmp_path, *arguments, "--dense", "--custom", "own.py")
    assert (status, "epoch" in out) == (1, False)
    expected = {
        "bn-scale": "formal.py: criterion: expected scores for hidden (Dense), got none: ",
        "of_maps": "formal.py: own.py:1: AxisError: ",
    }
    assert err.startswith(expected[criterion]) and err.count("\n") == 1


@pytest.mark.usefixtures("untrained")
def test_layers_that_are_not_pruned_need_no_score(few, tmp_path, call):
    stack = [layers.Conv2D(4, 9, 9, name="conv1"), layers.BatchNormalization()]
    save_network(tmp_path / "half.keras", [*stack, layers.Conv2D(4, 1, name="conv2")])
    (tmp_path / "ratios.json").write_text('{"conv2": 0}')
    options = ("--criterion", "bn-scale", "--layer-ratios", "ratios.json", "--dry-run")
    status, _, err = call(tmp_path, few, *SHORT, 0.5, "--model", "half.keras", *options)
    assert (status, err) == (0, "")


@pytest.mark.parametrize("options", [[], ["--ranking", "global", "--criterion", "taylor"]])
@pytest.mark.parametrize(
    ("amount", "target", "least"),
    [
        (0.01, "macs", "macs: expected an amount that can be reached, got 0.01: the least that is"),
        (4, "bytes", "bytes: expected an amount that can be reached, got 4: the least that is"),
    ],
)
def test_a_target_that_cannot_be_reached_is_an_error_before_training(
    few, small, call, amount, target, least, options
):
    arguments = (few, *SHORT, amount, "--target", target, "--model", small, *options)
    status, out, err = call(small.parent, *arguments)
    assert status == 1
    assert err.startswith(f"formal.py: {least}") and err.count("\n") == 1
    assert "epoch" not in out


def test_the_sizes_of_a_study_are_those_of_its_targets(small):
    given, _ = arguments.parse(
        ["fashion", *SHORT, "1", "0.5", "--target", "macs", "--control", "scratch"]
    )
    trials = study.study(grid.trials(given, dataset="few", content=""))
    model = keras.models.load_model(small)
    sizes = preflight.sizes(model, trials, given)
    # conv1 keeps 2 of 4 filters and conv2 4 of 6: a third of 6 is the smallest ratio for 2 less
    assert sizes.ratios == {("macs", 0.5): 2 / 6}
    full, half = (13**2 * 9 * a + 6**2 * 9 * a * b + b * 10 for a, b in ((4, 6), (2, 4)))
    assert {each: cuts[-1].macs for each, cuts in sizes.after.items()} == {
        ("ratio", 0.0): full,
        ("macs", 0.5): half,
    }
    given |= {"ranking": "global", "keep": 0.1}
    sizes = preflight.sizes(model, trials, given)
    assert sizes.ratios == {}
    assert sizes.after["macs", 0.5][-1].macs <= full / 2


@pytest.mark.usefixtures("untrained")
def test_a_damaged_csv_is_set_aside_and_written_again(few, small, call):
    csv = small.parent / "own.csv"
    arguments = (few, "0.001", 40, 1, 1, 0.4, "--model", small, "--trained", "--csv", csv)
    call(small.parent, *arguments)
    complete = csv.read_text()
    content = complete[:-3]
    csv.write_text(content)
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert re.search(r"own\.csv is not a record of .*; set aside as own\.csv\.damaged1\n", out)
    assert csv.with_name("own.csv.damaged1").read_text() == content
    assert csv.read_text() == complete


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_another_file_in_place_of_the_csv_is_set_aside_unchanged(tmp_path, capsys, content):
    csv = tmp_path / "own.csv"
    csv.write_text(content)
    preflight.check_csv(csv, TRIALS)
    out = capsys.readouterr().out
    assert re.search(r"own\.csv is not a record of .*; set aside as own\.csv\.damaged1\n", out)
    assert csv.with_name("own.csv.damaged1").read_text() == content
    assert not csv.exists()


def test_a_damaged_csv_is_set_aside_in_its_folder_and_not_in_that_of_its_link(tmp_path, capsys):
    csv, target = tmp_path / "own.csv", tmp_path / "kept" / "rows.csv"
    target.parent.mkdir()
    target.write_text("a,b\n1,2\n")
    csv.symlink_to(target)
    preflight.check_csv(csv, TRIALS)
    assert "set aside as rows.csv.damaged1" in capsys.readouterr().out
    assert csv.is_symlink() and not target.exists()
    assert target.with_name("rows.csv.damaged1").read_text() == "a,b\n1,2\n"
    preflight.check_csv(csv, TRIALS)
    assert capsys.readouterr().out == ""
