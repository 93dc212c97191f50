"""Networks of a call: built by name or read from a file."""

import re
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import data
import pruning
import scnnb
from experiment import networks, record

SAMPLE = str(Path(__file__).parent / "fashion_sample.npz")
SHORT = ("0.001", "40", "1", "1")  # lr, batchSz, Epoch1, Epoch2
MESSAGE = (
    "ATTENTION: own.keras is right on 100.0% of 50 training images with pixels 0..255, "
    "on 10.0% with 0..1; give --pixels 0..255\n"
)


def test_a_changed_network_dataset_or_file_has_another_content(few, small, tmp_path):
    dataset = data.load(few)
    one, other = (scnnb.NETWORKS["scnnb"](shape, 10) for shape in ((28, 28, 1), (32, 28, 1)))
    content = networks.content(dataset, one, "scnnb")
    assert networks.content(dataset, one, "scnnb") == content
    assert re.fullmatch("[0-9a-f]{12}", content)
    model = keras.models.load_model(small)
    contents = [content, networks.content(dataset, other, "scnnb")]
    contents.append(networks.content(dataset, model, str(small)))
    model.layers[1].bias.assign(range(4))
    model.save(small)
    contents.append(networks.content(dataset, model, str(small)))
    with np.load(few) as stored:
        arrays = {key: value[::-1] for key, value in stored.items()}
    np.savez(tmp_path / "few.npz", **arrays)
    contents.append(networks.content(data.load(tmp_path / "few.npz"), one, "scnnb"))
    assert len(set(contents)) == 5


@pytest.mark.parametrize("name", ["scnnb", "resnet20"])
def test_the_names_of_a_network_do_not_depend_on_what_was_built_before(name, few):
    dataset = data.load(few)
    first, second = (networks.build(name, dataset).to_json() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["scnnb-a", "vgg16", "alexnet", "resnet20"])  # of each file
def test_a_normalised_network_answers_as_one_without_to_normalised_images(name, few):
    dataset = data.load(few)
    normalised, plain = (networks.build(name, dataset, how) for how in ("normalize", ""))
    plain.set_weights(normalised.get_weights())  # Normalization has none
    pixels = dataset.train_images[:]
    images = dataset.test_images[:3]
    same = (images - pixels.mean(axis=(0, 1, 2))) / pixels.std(axis=(0, 1, 2))
    np.testing.assert_allclose(normalised(images), plain(same), rtol=1e-4, atol=1e-6)


def test_the_normalisation_of_a_network_is_not_changed_by_pruning(few):
    dataset = data.load(few)
    smaller = pruning.prune(networks.build("scnnb-a", dataset, "normalize"), 0.5)
    mean = dataset.train_images[:].mean()
    assert smaller.get_layer("normalize").get_config()["mean"] == [pytest.approx(mean)]


def test_a_network_in_an_h5_file_answers_as_that_in_a_keras_file(few, small):
    dataset = data.load(few)
    # Keras warns of the old format
    with warnings.catch_warnings(action="ignore"):
        keras.models.load_model(small).save(small.with_suffix(".h5"))
    one, other = (networks.build(str(f), dataset) for f in (small, small.with_suffix(".h5")))
    images = dataset.test_images[:2]
    np.testing.assert_array_equal(one(images), other(images))


def test_a_file_that_is_no_network_ends_with_1_and_one_line(few, tmp_path, call):
    (tmp_path / "small.h5").write_bytes(b"no model")
    status, _, err = call(tmp_path, few, *SHORT, 0.5, "--model", "small.h5")
    assert status == 1
    assert re.fullmatch(r"formal\.py: .*small\.h5: Keras cannot .* as a \.keras file\n", err)


@pytest.mark.slow
def test_another_network_is_trained_and_pruned_by_its_name(few, tmp_path, call):
    status, out, err = call(tmp_path, few, *SHORT, 0.5, "--model", "scnnb-b", "--verbose")
    assert (status, err) == (0, "")
    assert re.search(r"conv1 +32 -> 16 .*\nconv2 ", out)
    (row,) = record.read_rows(tmp_path / "results" / "few.csv").to_dict("records")
    assert (row["model"], row["coupled"]) == ("scnnb-b", "joint")


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
    # trained already, too, is one of the slow tests
    calls = [[], *([["--trained", "--schedule", "iterative"]] if form != "plain" else [])]
    for options in calls:
        arguments = (few, *SHORT, 0.5, "--model", "mine.keras", *options)
        status, _, err = call(tmp_path, *arguments)
        assert (status, err) == (0, "")
    rows = record.read_rows(tmp_path / "results" / "few.csv")
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


@pytest.mark.slow
def test_a_trained_network_fed_pixels_of_the_wrong_range_is_reported_and_pixels_corrects_it(
    tmp_path, call
):
    network_of_bytes(tmp_path / "own.keras")
    bright(tmp_path / "bright.npz")
    arguments = ("bright.npz", *SHORT, 0, "--model", "own.keras", "--trained")
    status, out, err = call(tmp_path, *arguments)
    assert (status, err) == (0, "")
    (message,) = (line for line in out.splitlines() if line.startswith("ATTENTION"))
    assert message == MESSAGE.strip()
    status, out, err = call(tmp_path, *arguments, "--pixels", "0..255")
    assert (status, err) == (0, "")
    assert "ATTENTION" not in out
    rows = record.read_rows(tmp_path / "results" / "bright.csv")
    assert rows["pixels"].tolist() == ["0..1", "0..255"]
    assert rows["baseline_accuracy"].tolist() == [0.1, 1.0]
    assert call(tmp_path, *arguments, "--pixels", "-1..1", "--dry-run")[0] == 0


@pytest.mark.slow
def test_a_network_in_an_h5_file_is_pruned_as_one_in_a_keras_file_is(few, small, call):
    # Keras warns of the old format
    with warnings.catch_warnings(action="ignore"):
        keras.models.load_model(small).save(small.with_suffix(".h5"))
    for file in (small, small.with_suffix(".h5")):
        status, _, err = call(small.parent, few, *SHORT, 0.5, "--model", file, "--trained")
        assert (status, err) == (0, "")
    one, other = record.read_rows(small.parent / "results" / "few.csv").to_dict("records")
    assert (one["model"], other["model"]) == ("small.keras", "small.h5")
    for name in ("parameters", "baseline_accuracy", "pruned_accuracy", "accuracy"):
        assert one[name] == other[name]


def test_a_stored_network_that_does_not_fit_ends_with_1_and_one_line(tmp_path, call):
    images = keras.Input((28, 28, 1))
    flat = layers.Flatten()(layers.Conv2D(4, 3)(images))
    keras.Model(images, layers.Dense(7, activation="softmax")(flat)).save(tmp_path / "mine.keras")
    status, out, err = call(tmp_path, SAMPLE, *SHORT, 0.4, "--model", "mine.keras")
    assert status == 1
    expected = "expected a network of 10 classes, as the dataset has, got the output (7,)"
    assert err == f"formal.py: mine.keras: {expected}\n"
    assert "epoch" not in out


def test_pixels_of_the_wrong_range_are_reported_and_of_the_right_range_not(tmp_path, capsys):
    network_of_bytes(tmp_path / "own.keras")
    bright(tmp_path / "bright.npz")
    model = keras.models.load_model(tmp_path / "own.keras")
    dataset = data.load(tmp_path / "bright.npz")
    for pixels, message in (("0..255", ""), ("0..1", MESSAGE)):
        given = {"model": "own.keras", "pixels": pixels, "seed": [0]}
        networks.warn_of_pixels(model, dataset.between(pixels), given)
        assert capsys.readouterr().out == message
