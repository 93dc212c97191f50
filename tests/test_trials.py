"""formal.py, trial by trial: what each setting does to trainings, rows and files."""

import json
import math
import re
import warnings
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image

import data
import formal
import pruning
import scnnb
from pruning import report, sensitivity
from scnnb import precision, training

SAMPLE = str(Path(__file__).parent / "fashion_sample.npz")
SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2


def test_fresh_computes_again_and_replaces_the_row(few, small, call):
    rows = []
    for options, trained in (([], True), ([], False), (["--fresh"], True)):
        status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, *options)
        assert (status, err) == (0, "")
        assert ("training the baseline" in out) == trained
        (row,) = report.read_rows(small.parent / "results" / "few.csv").to_dict("records")
        rows.append(row)
    for row in rows:
        for name in [*report.EXPORTED, "export_threads"]:
            assert math.isnan(row.pop(name))
    assert rows[0] == rows[1]
    differ = dict.fromkeys(["baseline_seconds", "retrain_seconds", "finished_at", *report.MEASURED])
    assert rows[0] | differ == rows[2] | differ
    assert rows[0] != rows[2]


def test_two_files_of_one_name_have_a_row_each(few, small, call):
    arrays = np.load(few)
    for name in ("a", "b"):
        (small.parent / name).mkdir()
        model = keras.models.load_model(small)
        model.layers[1].bias.assign([ord(name)] * 4)
        model.save(small.parent / name / "net.keras")
        reverse = slice(None, None, -1 if name == "b" else 1)
        np.savez(small.parent / name / "few.npz", **{k: v[reverse] for k, v in arrays.items()})
    for network, dataset in (("a", "a"), ("b", "a"), ("b", "b"), ("a", "a")):
        arguments = (f"{dataset}/few.npz", *SHORT, 0.5, "--model", f"{network}/net.keras")
        assert call(small.parent, *arguments)[::2] == (0, "")
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows["content"].nunique() == len(rows) == 3
    folders = {folder.name[-12:] for folder in (small.parent / "results").glob("*/")}
    assert folders == set(rows["content"])


def test_other_content_under_the_same_name_is_never_taken_for_it(few, small, call):
    with np.load(few) as stored:
        arrays = {key: value[::-1] for key, value in stored.items()}
    other = small.parent / "few.npz"
    np.savez(other, **arrays)
    csv = small.parent / "own.csv"
    rows = []
    for file, trained in ((few, True), (other, True), (few, False)):
        status, out, _ = call(small.parent, file, *SHORT, 0.5, "--model", small, "--csv", csv)
        assert status == 0
        assert ("training the baseline" in out) == trained
        rows.append(report.read_rows(csv))
    pd.testing.assert_frame_equal(rows[0], rows[1][:1])
    pd.testing.assert_frame_equal(rows[1], rows[2])
    assert rows[1]["content"].nunique() == 2
    assert csv.with_suffix(".png").exists()


def test_every_setting_shapes_the_baseline_and_stands_in_the_row(few, small, call, monkeypatch):
    monkeypatch.setattr(precision, "CPU_INFO", Path("/nowhere"))  # this machine may lack bfloat16
    arguments = (few, "0.02", 20, 2, 1, 0.9, "--model", small, "--optimizer", "sgd", "--seed", 3)
    status, out, err = call(small.parent, *arguments, "--augment", "--precision", "bfloat16")
    assert (status, err) == (0, "")
    assert re.findall(r"^epoch (./.)  loss ", out, re.MULTILINE) == ["1/2", "2/2", "1/1"]
    names = ["optimizer", "learning_rate", "batch_size", "epoch1", "epoch2", "seed"]
    names += ["augment", "precision"]
    results = small.parent / "results"
    (row,) = report.read_rows(results / "few.csv")[names].values.tolist()
    assert row == ["sgd", 0.02, 20, 2, 1, 3, "crop-flip", "bfloat16"]
    name = (
        "few_small.keras_sgd_lr0.02_batch20_crop-flip_bfloat16_epochs2_seed3_*/pruned0.9_*1.keras"
    )
    assert len(list(results.glob(name))) == 1


def test_bfloat16_is_refused_before_training_where_it_would_be_slower(
    few, small, call, tmp_path, monkeypatch
):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : avx2\n")
    status, out, err = call(small.parent, few, *SHORT, 0.5, "--precision", "bfloat16")
    assert (status, out) == (1, "")
    assert err.startswith("formal.py: --precision bfloat16 came, but this processor has no")
    assert not (small.parent / "results").exists()


def test_a_file_system_without_locks_is_told(few, small, call, monkeypatch):
    def acquire(*args, **kwargs):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", small)
    assert (status, err) == (1, "formal.py: FileSystem does not appear to support flock\n")


def test_a_changed_network_or_file_has_another_folder(tmp_path):
    settings = {"dataset": "fashion_sample", "model": "mine", "optimizer": "adam"}
    settings |= {"batch_size": 1, "epoch1": 1, "seed": 0, "augment": "", "learning_rate": 0.1}
    settings |= {"precision": "float32", "pixels": "0..1"}
    dataset = data.load(SAMPLE)

    def of(network, name="scnnb", **changes):
        content = formal._content(dataset, network, name)
        return formal._folder(settings | {"content": content} | changes)

    one, other = (scnnb.NETWORKS["scnnb"](shape, 10) for shape in ((28, 28, 1), (32, 28, 1)))
    folder = of(one)
    assert of(one) == folder
    assert of(other) != folder
    augmented = of(one, augment="crop-flip")
    in_bfloat16 = of(one, precision="bfloat16")
    assert in_bfloat16.name == folder.name.replace("_batch1_", "_batch1_bfloat16_")
    assert augmented.name == folder.name.replace("_batch1_", "_batch1_crop-flip_")
    assert folder.name.startswith("fashion_sample_mine_adam_lr0.1_batch1_epochs1_seed0_")
    file = str(tmp_path / "mine.keras")
    one.save(file)
    stored = of(one, file)
    one.get_layer("conv1").bias.assign(range(32))
    one.save(file)
    assert len({folder, stored, of(one, file)}) == 3


@pytest.mark.parametrize("name", ["scnnb", "resnet20"])
def test_the_names_of_a_network_do_not_depend_on_what_was_built_before(name):
    dataset = data.load(SAMPLE)
    assert formal.build(name, dataset).to_json() == formal.build(name, dataset).to_json()


def test_another_network_is_trained_and_pruned_by_its_name(few, tmp_path, call):
    status, out, err = call(tmp_path, few, *SHORT, 0.5, "--model", "scnnb-b")
    assert (status, err) == (0, "")
    assert re.search(r"conv1 +32 -> 16 .*\nconv2 ", out)
    (row,) = report.read_rows(tmp_path / "results" / "few.csv").to_dict("records")
    assert (row["model"], row["coupled"]) == ("scnnb-b", "joint")


def test_augment_changes_every_training(few, small, call):
    losses = []
    for options in ([], ["--augment"], ["--augment"]):
        status, out, err = call(small.parent, few, *SHORT, 0.5, "--model", small, *options)
        assert (status, err) == (0, "")
        losses.append(re.findall(r"loss (\S+)", out))
    assert [len(each) for each in losses] == [2, 2, 0]
    assert all(one != other for one, other in zip(*losses[:2], strict=True))
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows["augment"].tolist() == ["", "crop-flip"]


def test_a_folder_of_images_is_trained_on_as_an_npz_file_is(few, small, call):
    with np.load(few) as stored:
        for part in ("train", "test"):
            pairs = zip(stored[f"x_{part}"], stored[f"y_{part}"], strict=True)
            for number, (image, label) in enumerate(pairs):
                file = small.parent / "own" / part / str(label) / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)
    status, out, err = call(small.parent, "own", *SHORT, 0.5, "--model", small)
    assert (status, err) == (0, "")
    assert "own: 40 training and 40 test images (28, 28, 1), 10 classes" in out
    assert (small.parent / "results" / "own.csv").exists()


def test_convolutions_that_meet_are_pruned_as_coupled_says(few, tmp_path, call):
    images = keras.Input((28, 28, 1))
    first, last = (layers.Conv2D(4, 3, padding="same", name=f"conv{n}") for n in (1, 3))
    x = first(images)
    x += last(layers.Conv2D(6, 1, name="conv2")(x))
    answer = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(images, answer).save(tmp_path / "mine.keras")
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", "mine.keras", "--coupled")
    for coupled, filters in (("joint", "4 -> 2"), ("shortcut", "4 -> 4"), ("skip", "4 -> 4")):
        status, out, err = call(tmp_path, *arguments, coupled)
        assert (status, err) == (0, "")
        assert re.findall(r"^conv. +(. -> .)", out, re.MULTILINE) == [filters, "6 -> 3", filters]
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert rows["coupled"].tolist() == ["joint", "shortcut", "skip"]
    assert out.count("baseline read from") == 1


def test_criteria_and_controls_get_a_row_each_and_a_schedule_its_stages(few, small, call):
    arguments = (few, *SHORT, 0.0, 0.5, "--model", small, "--schedule", "iterative")
    options = ("--criterion", "random", "mean-std", "--control", "scratch")
    status, out, err = call(small.parent, *arguments, *options, "--retrain-lr", "0.002")
    assert (status, err) == (0, "")
    names = ["pruning_ratio", "criterion", "schedule", "control", "retrain_learning_rate"]
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows[names].values.tolist() == [
        [0.0, "l1", "iterative", "", 0.002],  # by whatever criterion, nothing is removed
        [0.0, "", "", "scratch", 0.001],
        [0.5, "random", "iterative", "", 0.002],
        [0.5, "mean-std", "iterative", "", 0.002],
        [0.5, "", "", "scratch", 0.001],
    ]
    assert rows["parameters"].tolist() == [332, 332, *[117] * 3]
    assert out.count("training the baseline") == 1
    (file,) = (small.parent / "results").glob("*/pruned0.5_random_iterative_*_lr0.002_stages.csv")
    stages = pd.read_csv(file)
    assert stages["layers"].tolist() == ["conv1", "conv2"]
    assert stages["parameters"].tolist() == [204, 117]
    random = rows.iloc[2]
    assert stages.iloc[1][["pruned_accuracy", "accuracy"]].tolist() == [
        random["pruned_accuracy"],
        random["accuracy"],
    ]


def test_every_training_gets_its_weights_epochs_and_learning_rate(few, small, call, monkeypatch):
    trainings = []
    original = keras.models.load_model(small).get_layer("conv1").get_weights()[0]

    def train(model, dataset, *, epochs, learning_rate, **others):
        old = np.isin(model.get_layer("conv1").get_weights()[0], original).all()
        trainings.append((model.count_params(), epochs, learning_rate, old))
        return 1.0

    monkeypatch.setattr(training, "train", train)
    arguments = (few, "0.01", 40, 7, 3, 0.5, "--model", small, "--retrain-lr", "0.02")
    for schedule in ("one-shot", "iterative"):
        call(small.parent, *arguments, "--schedule", schedule, "--control", "scratch")
    assert trainings == [
        (332, 7, 0.01, True),
        (117, 3, 0.02, True),
        (117, 10, 0.01, False),
        (204, 3, 0.02, True),
        (117, 3, 0.02, True),
    ]  # the second control is the first


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


def test_prune_is_asked_for_what_the_flags_say(few, small, call, asked):
    calls = asked(pruning, "prune")
    options = ("--model", small, "--seed", 3, "--coupled", "skip")
    call(small.parent, few, *SHORT, 0.5, *options, "--criterion", "l2", "--strategy", "greedy")
    names = ("criterion", "strategy", "coupled", "seed")
    assert [calls[-1][name] for name in names] == ["l2", "greedy", "skip", 3]
    call(small.parent, few, *SHORT, 0.5, *options, "--criterion", "mean-l2")
    assert [calls[-1][name] for name in names] == ["mean-l2", "independent", "skip", 3]
    with np.load(few) as arrays:
        np.testing.assert_array_equal(calls[-1]["images"][..., 0] * 255, arrays["x_train"])


BETTER_THAN_CHANCE = ("0.02", 4, 60, 1)  # lr, batchSz, Epoch1, Epoch2: 70 % of the 40 images


@pytest.mark.parametrize(("options", "part"), [([], "test"), (["--max-drop", "0.1"], "train")])
def test_layers_are_measured_on_the_images_told(few, small, call, asked, options, part):
    judged, analysed = asked(pruning, "judge"), asked(sensitivity, "analyse")
    how = BETTER_THAN_CHANCE if options else SHORT
    arguments = (few, *how, 0, "--model", small, "--sensitivity", "--coupled", "skip")
    call(small.parent, *arguments, "--criterion", "mean-l1", "--seed", 3, *options)
    _, images, labels = analysed[-1]["args"]
    with np.load(few) as arrays:
        np.testing.assert_array_equal(judged[-1]["images"][..., 0] * 255, arrays["x_train"])
        pairs = zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        expected = sorted((image.tolist(), label) for image, label in pairs)
    found = [np.rint(image[..., 0] * 255).tolist() for image in images]
    assert sorted(zip(found, labels.tolist(), strict=True)) == expected
    assert (analysed[-1]["coupled"], judged[-1]["seed"]) == ("skip", 3)


def test_greedy_has_a_name_of_its_own(few, small, call):
    arguments = (few, *SHORT, 0.5, "--model", small, "--strategy", "greedy")
    status, _, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert len(list((small.parent / "results").glob("*/pruned0.5_greedy_retrained1.keras"))) == 1
    rows = report.read_rows(small.parent / "results" / "few.csv")
    assert rows["strategy"].tolist() == ["greedy"]


def save_network(path, convolutions):
    """Store a network for `few` of these layers in a row."""
    images = x = keras.Input((28, 28, 1))
    for layer in convolutions:
        x = layer(x)
    answer = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    keras.Model(images, answer).save(path)


def test_a_schedule_or_analysis_that_cannot_be_carried_out_is_refused_before_training(
    few, tmp_path, call
):
    save_network(tmp_path / "none.keras", [layers.MaxPooling2D(7)])
    save_network(  # once cut, the groups have one channel each, as a depthwise convolution
        tmp_path / "grouped.keras",
        [layers.Conv2D(4, 9, 9), layers.Conv2D(4, 1, groups=2, name="last")],
    )
    for name, options, message in (
        ("none", ["--schedule", "iterative"], "no convolution that could lose a filter"),
        ("none", ["--sensitivity"], "no convolution that could lose a filter"),
        ("grouped", ["--schedule", "iterative"], "last: no convolution with filters"),
    ):
        ratio = 0.0 if name == "none" else 0.5
        arguments = (few, *SHORT, ratio, "--model", f"{name}.keras", *options)
        status, out, err = call(tmp_path, *arguments)
        assert status == 1, out
        assert message in err
        assert "epoch" not in out


def test_a_layer_that_cannot_be_pruned_is_left_out_of_the_analysis_and_told(few, tmp_path, call):
    first, last = layers.Conv2D(4, 9, 9, name="first"), layers.Conv2D(4, 1, name="last")
    save_network(tmp_path / "mixed.keras", [first, layers.Activation("softmax"), last])
    arguments = (few, *SHORT, 0.5, "--model", "mixed.keras", "--sensitivity")
    status, out, err = call(tmp_path, *arguments)
    assert (status, err) == (0, "")
    assert re.search(r"^left out: first: activation.* \(Activation\): ", out, re.MULTILINE)
    rows = report.read_rows(tmp_path / "results" / "few-sensitivity.csv", report.SENSITIVITY)
    assert set(rows["layers"]) == {"last"}


def test_sensitivity_measures_each_layer_alone_and_retrains_nothing(few, small, call):
    arguments = (few, "0.001", 40, 1, 1, 0.5, "--model", small, "--sensitivity")
    status, out, err = call(small.parent, *arguments, "--criterion", "l1", "mean-l1")
    assert (status, err) == (0, "")
    assert out.count("epoch ") == 1  # the baseline's
    assert re.search(r"^18 evaluations in \d+\.\d s, \d+\.\d\d s each$", out, re.MULTILINE)
    results = small.parent / "results"
    rows = report.read_rows(results / "few-sensitivity.csv", report.SENSITIVITY)
    assert rows["criterion"].tolist() == ["l1"] * 18 + ["mean-l1"] * 18
    assert rows["layers"].tolist() == (["conv1"] * 9 + ["conv2"] * 9) * 2
    assert rows["pruning_ratio"].tolist() == [n / 10 for n in range(1, 10)] * 4
    assert set(rows["images"]) == {"test"}
    norms = report.read_rows(results / "few-sensitivity-norms.csv", report.NORMS)
    assert norms["layer"].tolist() == ["conv1"] * 4 + ["conv2"] * 6
    baseline = keras.models.load_model(next(results.glob("*/baseline.keras")))
    first = baseline.get_layer("conv1").kernel.numpy()[..., 0]
    assert norms["l1_norm"][0] == pytest.approx(np.abs(first).sum(), rel=1e-6)
    assert (results / "few-sensitivity.png").read_bytes().startswith(b"\x89PNG")

    before = (results / "few-sensitivity.csv").read_text()
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "sensitivity_l1_joint_test is finished since" in out
    assert (results / "few-sensitivity.csv").read_text() == before


def test_max_drop_writes_layer_ratios_measured_on_training_images(few, small, call):
    arguments = (few, *BETTER_THAN_CHANCE, 0.0, "--model", small)
    options = ("--sensitivity", "--max-drop", "0.05")
    status, out, err = call(small.parent, *arguments, *options)
    assert (status, err) == (0, "")
    rows = report.read_rows(small.parent / "results" / "few-sensitivity.csv", report.SENSITIVITY)
    assert set(rows["images"]) == {"training"}
    (file,) = (small.parent / "results").glob("*/sensitivity_l1_joint_training_drop0.05.json")
    near = rows[rows["baseline_accuracy"] - rows["accuracy"] <= 0.05 + 1e-9]
    expected = {"conv1": 0.0, "conv2": 0.0} | dict(near.groupby("layers")["pruning_ratio"].max())
    assert json.loads(file.read_text()) == expected
    status, _, err = call(small.parent, *arguments, "--layer-ratios", file)
    assert (status, err) == (0, "")


def test_a_stored_network_is_trained_further_or_taken_as_it_is(few, small, call):
    csv = small.parent / "own.csv"
    (small.parent / "ratios.json").write_text('{"conv*": 0.5, "conv2": 0}')
    options = ("--csv", csv, "--layer-ratios", small.parent / "ratios.json")
    arguments = (few, *SHORT, 0, "--model", small, *options)
    status, out, err = call(small.parent, *arguments)
    assert (status, err) == (0, "")
    assert "training the baseline of seed 0, epochs: 1" in out
    status, out, err = call(small.parent, *arguments, "--trained")
    assert (status, err) == (0, "")
    assert "training the baseline" not in out
    assert re.search(r"conv1 +4 -> 2 .*\nconv2 +6 -> 6 ", out)
    rows = report.read_rows(csv)
    assert rows["model"].tolist() == ["small.keras"] * 2
    assert rows["epoch1"].tolist() == [1, 0]
    assert rows["baseline_seconds"][1] == 0
    assert rows["layer_ratios"].tolist() == ['{"conv*": 0.5, "conv2": 0.0}'] * 2
    trained = small.parent.glob("results/*_small.keras_*/pruned0.0_*_retrained1.keras")
    assert len(list(trained)) == 2


@pytest.mark.parametrize(
    "form",
    [
        "plain",
        pytest.param("application", marks=pytest.mark.slow),
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("float16", "bfloat16", "float64")),
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("mixed_float16", "mixed_bfloat16")),
    ],
)
def test_a_sequential_file_is_trained_pruned_and_stored(few, tmp_path, call, form):
    stack = [layers.RandomFlip(), layers.Conv2D(4, 3, 2, name="conv1"), layers.BatchNormalization()]
    if form == "application":
        stack[1:] = [layers.ZeroPadding2D(2), layers.Conv2D(3, 1)]
        stack.append(
            keras.applications.MobileNetV2((32, 32, 3), 0.35, include_top=False, weights=None)
        )
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *stack])
    if "float" in form:
        model = keras.models.clone_model(
            model,
            clone_function=lambda layer: type(layer).from_config(
                layer.get_config() | {"dtype": form}
            ),
        )
    model.save(tmp_path / "mine.keras")
    for options in ([], ["--trained", "--schedule", "iterative"]):
        arguments = (few, *SHORT, 0.5, "--model", "mine.keras", *options)
        status, _, err = call(tmp_path, *arguments)
        assert (status, err) == (0, "")
    rows = report.read_rows(tmp_path / "results" / "few.csv")
    assert (rows["parameters"] < rows["baseline_parameters"]).all()
    assert (rows["baseline_parameters"] == model.count_params()).all()


def network_of_bytes(path):
    """Store a network that tells ten classes by how bright an image is, from pixels in 0..255."""
    images = keras.Input((28, 28, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1, name="conv1")(images))
    model = keras.Model(images, layers.Dense(10, activation="softmax")(x))
    slopes, borders = np.arange(10), np.arange(10) * 25.5
    offsets = -np.cumsum(borders)  # class n is the most probable from 25.5 n on
    model.set_weights([np.ones((1, 1, 1, 2)), np.zeros(2), np.stack([slopes, 0 * slopes]), offsets])
    model.save(path)


def bright(path):
    """Store images of one brightness each, the class that `network_of_bytes` tells."""
    labels = np.arange(10).repeat(5)
    pixels = np.broadcast_to((labels * 25.5 + 10).astype(np.uint8)[:, None, None], (50, 28, 28))
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)


def test_a_trained_network_fed_pixels_of_the_wrong_range_is_told_and_pixels_mends_it(
    tmp_path, call
):
    network_of_bytes(tmp_path / "own.keras")
    bright(tmp_path / "bright.npz")
    arguments = ("bright.npz", *SHORT, 0, "--model", "own.keras", "--trained")
    status, out, err = call(tmp_path, *arguments)
    assert (status, err) == (0, "")
    (told,) = (line for line in out.splitlines() if line.startswith("ATTENTION"))
    assert told == (
        "ATTENTION: own.keras is right on 100.0% of 50 training images with pixels 0..255, "
        "on 10.0% with 0..1; give --pixels 0..255"
    )
    status, out, err = call(tmp_path, *arguments, "--pixels", "0..255")
    assert (status, err) == (0, "")
    assert "ATTENTION" not in out
    rows = report.read_rows(tmp_path / "results" / "bright.csv")
    assert rows["pixels"].tolist() == ["0..1", "0..255"]
    assert rows["baseline_accuracy"].tolist() == [0.1, 1.0]
    assert call(tmp_path, *arguments, "--pixels", "-1..1", "--dry-run")[0] == 0


def test_max_drop_is_refused_if_the_baseline_answers_by_chance(tmp_path, call):
    network_of_bytes(tmp_path / "own.keras")
    bright(tmp_path / "bright.npz")
    arguments = ("bright.npz", *SHORT, 0, "--model", "own.keras", "--trained", "--sensitivity")
    status, out, err = call(tmp_path, *arguments, "--max-drop", "0.05")
    assert (status, "evaluations" in out) == (1, False)
    assert err == (
        "formal.py: --max-drop 0.05: the baseline is right on 10.0% of 50 training images, and "
        "10.0% are of one class: it answers by chance, and every ratio would cost less; train it "
        "better, or see --pixels\n"
    )
    assert not list((tmp_path / "results").glob("*/*drop*"))


def test_a_network_in_an_h5_file_is_pruned_as_one_in_a_keras_file_is(few, small, call):
    # Keras warns of the old format
    with warnings.catch_warnings(action="ignore"):
        keras.models.load_model(small).save(small.with_suffix(".h5"))
    for file in (small, small.with_suffix(".h5")):
        status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", file, "--trained")
        assert (status, err) == (0, "")
    one, other = report.read_rows(small.parent / "results" / "few.csv").to_dict("records")
    assert (one["model"], other["model"]) == ("small.keras", "small.h5")
    for name in ("parameters", "baseline_accuracy", "pruned_accuracy", "accuracy"):
        assert one[name] == other[name]
    small.with_suffix(".h5").write_bytes(b"no model")
    status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", small.with_suffix(".h5"))
    assert status == 1
    assert re.fullmatch(r"formal\.py: .*small\.h5: Keras cannot .* as a \.keras file\n", err)


def test_a_stored_network_that_does_not_fit_ends_with_1_and_one_line(tmp_path, call):
    images = keras.Input((28, 28, 1))
    flat = layers.Flatten()(layers.Conv2D(4, 3)(images))
    keras.Model(images, layers.Dense(7, activation="softmax")(flat)).save(tmp_path / "mine.keras")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, "--model", "mine.keras")
    assert status == 1
    assert err == "formal.py: mine.keras: its output is (None, 7); the dataset has 10 classes\n"
    assert "epoch" not in out


def test_what_cannot_be_pruned_is_told_before_training(tmp_path, call):
    (tmp_path / "ratios.json").write_text('{"conv9": 0.5}')
    options = ("--layer-ratios", tmp_path / "ratios.json")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, *options)
    assert status == 1
    assert re.fullmatch(
        r"formal\.py: 'conv9' matches no layer of the network; close to it: [^\n]+\n", err
    )
    assert "training the baseline" not in out
