"""formal.py --sensitivity: each layer of a baseline alone."""

import dataclasses
import json
import re
import shutil

import keras
import numpy as np
import pytest
from keras import layers

import data
import pruning
from experiment import record
from experiment.columns import NORMS, SENSITIVITY
from pruning import sensitivity
from scnnb import training
from tests import studies
from tests.test_networks import bright, network_of_bytes
from tests.test_preflight import save_network

SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2


@pytest.fixture(scope="module")
def better_than_chance(few, tmp_path_factory):
    """The path of a network as `small`, trained on `few` until it is right on most images."""
    keras.utils.set_random_seed(0)
    file = tmp_path_factory.mktemp("trained") / "trained.keras"
    save_network(file, [layers.Conv2D(4, 3, 2, name="conv1"), layers.Conv2D(6, 3, 2, name="conv2")])
    model = keras.models.load_model(file)
    recipe = studies.recipe(learning_rate=0.01, batch_size=10, epochs=15)
    training.train(model, data.load(few), **dataclasses.asdict(recipe))
    model.save(file)
    return file


@pytest.fixture
def trained(better_than_chance, tmp_path):
    """A copy of that network in an empty folder."""
    return shutil.copy(better_than_chance, tmp_path / "trained.keras")


@pytest.fixture
def asked(monkeypatch):
    """What a function is called with: `asked(module, name)` -> list of dicts, filled as it is."""

    def record(module, name):
        function, calls = getattr(module, name), []

        def recorded(*args, **kwargs):
            calls.append(kwargs | {"args": args})
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, recorded)
        return calls

    return record


@pytest.mark.parametrize(("options", "part"), [([], "test"), (["--max-drop", "0.1"], "train")])
def test_layers_are_measured_on_the_images_that_are_asked_for(
    few, trained, call, asked, options, part
):
    judged, analysed = asked(pruning, "judge"), asked(sensitivity, "analyse")
    arguments = (few, *SHORT, 0, "--model", trained, "--trained", "--sensitivity")
    options = ("--coupled", "skip", "--criterion", "mean-l1", "--seed", 3, *options)
    call(trained.parent, *arguments, *options)
    _, images, labels = analysed[-1]["args"]
    with np.load(few) as arrays:
        np.testing.assert_array_equal(judged[-1]["images"][..., 0] * 255, arrays["x_train"])
        pairs = zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        expected = sorted((image.tolist(), label) for image, label in pairs)
    found = [np.rint(image[..., 0] * 255).tolist() for image in images]
    assert sorted(zip(found, labels.tolist(), strict=True)) == expected
    assert (analysed[-1]["coupled"], judged[-1]["seed"]) == ("skip", 3)


def test_the_sensitivity_by_a_criterion_that_needs_labels(few, trained, call, asked):
    judged = asked(pruning, "judge")
    arguments = (few, *SHORT, 0, "--model", trained, "--trained", "--sensitivity")
    status, _, err = call(trained.parent, *arguments, "--criterion", "taylor", "--fresh")
    assert (status, err) == (0, "")
    assert [len(each["labels"]) for each in judged] == [2, 40]  # before any training, and after


def test_a_layer_that_cannot_be_pruned_is_left_out_of_the_analysis_and_reported(
    few, tmp_path, call
):
    first, last = layers.Conv2D(4, 9, 9, name="first"), layers.Conv2D(4, 1, name="last")
    save_network(tmp_path / "mixed.keras", [first, layers.Activation("softmax"), last])
    arguments = (few, *SHORT, 0.5, "--model", "mixed.keras", "--trained", "--sensitivity")
    status, out, err = call(tmp_path, *arguments)
    assert (status, err) == (0, "")
    assert re.search(r"^left out: first: activation.* \(Activation\): ", out, re.MULTILINE)
    rows = record.read_rows(tmp_path / "results" / "few-sensitivity.csv", SENSITIVITY)
    assert set(rows["layers"]) == {"last"}


def test_sensitivity_measures_each_layer_alone_and_retrains_nothing(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", small, "--sensitivity")
    status, out, err = call(small.parent, *arguments, "--criterion", "l1", "mean-l1")
    assert (status, err) == (0, "")
    assert out.count("epoch ") == 1  # the baseline's
    assert re.search(r"^18 evaluations in \d+\.\d s, \d+\.\d\d s each$", out, re.MULTILINE)
    results = small.parent / "results"
    rows = record.read_rows(results / "few-sensitivity.csv", SENSITIVITY)
    assert rows["criterion"].tolist() == ["l1"] * 18 + ["mean-l1"] * 18
    assert rows["layers"].tolist() == (["conv1"] * 9 + ["conv2"] * 9) * 2
    assert rows["pruning_ratio"].tolist() == [n / 10 for n in range(1, 10)] * 4
    assert set(rows["images"]) == {"test"}
    norms = record.read_rows(results / "few-sensitivity-norms.csv", NORMS)
    assert norms["layer"].tolist() == ["conv1"] * 4 + ["conv2"] * 6
    baseline = keras.models.load_model(next(results.glob("*/baseline.keras")))
    first = baseline.get_layer("conv1").kernel.numpy()[..., 0]
    assert norms["l1_norm"][0] == pytest.approx(np.abs(first).sum(), rel=1e-6)
    assert (results / "few-sensitivity.png").read_bytes().startswith(b"\x89PNG")

    before = (results / "few-sensitivity.csv").read_text()
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "sensitivity_l1_joint_test was finished at" in out
    assert (results / "few-sensitivity.csv").read_text() == before


@pytest.mark.usefixtures("untrained")
def test_dense_layers_are_measured_if_asked_for_beside_what_was_measured_without(
    few, tmp_path, call
):
    stack = [layers.Conv2D(4, 9, 9, name="conv1"), layers.Flatten(), layers.Dense(8, name="hidden")]
    save_network(tmp_path / "own.keras", stack)
    arguments = (few, *SHORT, 0, "--model", "own.keras", "--trained", "--sensitivity")
    for options in ([], ["--dense", "--criterion", "taylor", "--combine", "max"]):
        status, _, err = call(tmp_path, *arguments, *options)
        assert (status, err) == (0, "")
    rows = record.read_rows(tmp_path / "results" / "few-sensitivity.csv", SENSITIVITY)
    expected = [("", "sum", "conv1"), ("dense", "max", "conv1"), ("dense", "max", "hidden")]
    found = rows[["dense", "combine", "layers"]].drop_duplicates()
    assert list(found.itertuples(index=False, name=None)) == expected
    names = [path.name for path in (tmp_path / "results").glob("*/sensitivity_*.json")]
    assert sorted(names) == [
        "sensitivity_l1_joint_test.json",
        "sensitivity_taylor_joint_test_combine-max_dense-layers.json",
    ]
    norms = record.read_rows(tmp_path / "results" / "few-sensitivity-norms.csv", NORMS)
    assert list(norms["layer"].unique())[:2] == ["conv1", "hidden"]


def test_max_drop_writes_layer_ratios_measured_on_training_images(few, trained, call):
    arguments = (few, *SHORT, 0.0, "--model", trained, "--trained")
    options = ("--sensitivity", "--max-drop", "0.05")
    status, out, err = call(trained.parent, *arguments, *options)
    assert (status, err) == (0, "")
    rows = record.read_rows(trained.parent / "results" / "few-sensitivity.csv", SENSITIVITY)
    assert set(rows["images"]) == {"training"}
    (file,) = (trained.parent / "results").glob("*/sensitivity_l1_joint_training_drop0.05.json")
    near = rows[rows["baseline_accuracy"] - rows["accuracy"] <= 0.05 + 1e-9]
    expected = {"conv1": 0.0, "conv2": 0.0} | dict(near.groupby("layers")["pruning_ratio"].max())
    assert json.loads(file.read_text()) == expected
    status, _, err = call(trained.parent, *arguments, "--layer-ratios", file, "--dry-run")
    assert (status, err) == (0, "")


def test_a_target_writes_layer_ratios_that_reach_it_where_training_images_lose_least(
    few, trained, call
):
    arguments = (few, *SHORT, "--model", trained, "--trained")
    options = ("--sensitivity", "--target", "macs", 0.5, 0.7, "--max-drop", "0.05")
    status, out, err = call(trained.parent, *arguments, *options)
    assert (status, err) == (0, "")
    rows = record.read_rows(trained.parent / "results" / "few-sensitivity.csv", SENSITIVITY)
    assert set(rows["images"]) == {"training"}
    measured = [{**row, "layers": [row["layers"]]} for row in rows.to_dict("records")]
    model, accuracy = keras.models.load_model(trained), rows["baseline_accuracy"][0]
    for amount in (0.5, 0.7):
        stem = f"sensitivity_l1_joint_training_macs{amount}"
        (file,) = (trained.parent / "results").glob(f"*/{stem}.json")
        assert f"for --layer-ratios: {file.relative_to(trained.parent)}\n" in out
        ratios = json.loads(file.read_text())
        assert ratios == sensitivity.cheapest_ratios(model, accuracy, measured, macs=amount)
        assert pruning.macs(pruning.prune(model, 0, layer_ratios=ratios)) <= amount * pruning.macs(
            model
        )
    assert "training_drop0.05.json\n" in out
    status, out, err = call(trained.parent, *arguments, 0, "--layer-ratios", file, "--dry-run")
    assert (status, err) == (0, "")


def test_a_target_that_no_layer_ratios_reach_is_an_error_before_any_training(few, small, call):
    arguments = (few, *SHORT, 0.001, "--model", small, "--sensitivity", "--target", "macs")
    status, out, err = call(small.parent, *arguments, "--round-to", "2")
    assert (status, "epoch" in out) == (1, False)
    assert err.startswith("formal.py: macs: expected an amount that can be reached, got 0.001: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [(["0", "--max-drop", "0.05"], "--max-drop 0.05"), (["0.5", "--target=macs"], "--target macs")],
)
def test_layer_ratios_are_an_error_if_the_baseline_answers_by_chance(tmp_path, call, options, said):
    network_of_bytes(tmp_path / "own.keras")
    bright(tmp_path / "bright.npz")
    arguments = ("bright.npz", *SHORT, *options, "--model", "own.keras", "--trained")
    status, out, err = call(tmp_path, *arguments, "--sensitivity")
    assert (status, "evaluations" in out) == (1, False)
    assert err == (
        f"formal.py: {said}: the baseline is right on 10.0% of 50 training images, and 10.0% are "
        "of one class: it answers by chance, and every ratio would cost less; train it better, or "
        "see --pixels\n"
    )
    assert not list((tmp_path / "results").glob("*/*_training_*"))
