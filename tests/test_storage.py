"""scnnb/storage.py."""

import json
import os

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from scnnb import storage

KINDS = {"accuracy": float}, {"seed": int, "dataset": str, "latency_ms": float}, ["latency_ms"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text() | st.sampled_from(["seed"]), each),
)


def network(units):
    inputs = keras.Input((units,))
    return keras.Model(inputs, layers.Dense(units, bias_initializer="ones")(inputs))


@pytest.fixture
def model():
    return network(3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pruned0.4"


def save(path, model, record):
    size = storage.save_model(path, model)
    storage.save_record(path, record)
    return size


def test_a_stored_model_comes_back_bit_for_bit_with_its_record(path, model):
    record = {"accuracy": 0.1 + 0.2, "seconds": 12.5, "dataset": "fashion"}
    kinds = {"accuracy": float, "seconds": float, "dataset": str}
    size = save(path, model, record)
    assert size == storage.model_path(path).stat().st_size
    assert storage.read_record(path, kinds) == record
    for before, after in zip(
        model.get_weights(), storage.read_model(path).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert sorted(os.listdir(path.parent)) == ["pruned0.4.json", "pruned0.4.keras"]


def test_the_file_does_not_grow_with_the_optimizer(path):
    model = network(300)
    model.compile("adam", "mse")
    model.fit(np.zeros((1, 300)), np.zeros((1, 300)), verbose=0)
    save(path, model, {})
    assert storage.model_path(path).stat().st_size < 1.2 * 4 * model.count_params()


def test_where_nothing_is_stored_there_is_no_record(path):
    assert storage.read_record(path, {}) is None


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_killed_while_it_replaces_what_is_stored_leaves_no_record(
    path, model, monkeypatch, step
):
    save(path, model, {"accuracy": 1.0})
    replace, calls = os.replace, []

    def killed(*files):
        calls.append(files)
        if len(calls) == step:
            raise KeyboardInterrupt
        replace(*files)

    monkeypatch.setattr(storage.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(path, model, {"accuracy": 0.5})
    assert storage.read_record(path, {}) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"foreign",
        b"\xff",
        b"[1]",
        b"null",
        b'{"seconds": 1}',
        b'{"accuracy": NaN}',
        b'{"accuracy": "0.5"}',
        b'{"accuracy": true}',
        b'{"accuracy": null}',
        b'{"accuracy": 1.5}',
        b'{"accuracy": 1e400}',
        b'{"accuracy": 0.5, "other": 1}',
        b'{"accuracy": 0.5, "seed": 9223372036854775808}',
        b'{"accuracy": 0.5, "seed": 1.0}',
        b'{"accuracy": 0.5, "dataset": "\\ud800"}',
        b'{"accuracy": 0.5, "latency_ms": Infinity}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record_is_named_and_set_aside_as_it_is(path, capsys, content):
    file = path.parent / "pruned0.4.json"
    for number in (1, 2):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"pruned0\.4\.json is damaged"):
            storage.peek(path, *KINDS)
        assert file.exists()
        assert storage.read_record(path, *KINDS) is None
        told = f"{file} is damaged; set aside as pruned0.4.json.damaged{number}\n"
        assert capsys.readouterr().out == told
        assert not file.exists()
        assert (path.parent / f"pruned0.4.json.damaged{number}").read_bytes() == content


def test_what_was_not_measured_is_no_number(path):
    storage.save_record(path, {"accuracy": 1, "latency_ms": float("nan")})
    record = storage.read_record(path, *KINDS)
    assert record.pop("latency_ms") != 0
    assert record == {"accuracy": 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=ANY_JSON, accuracy=st.none() | st.floats(0, 1))
def test_any_json_is_read_or_named_as_damaged(path, value, accuracy):
    if isinstance(value, dict) and accuracy is not None:
        value |= {"accuracy": accuracy}
    (path.parent / "pruned0.4.json").write_text(json.dumps(value))
    try:
        assert storage.peek(path, *KINDS)["accuracy"] == accuracy
    except ValueError as error:
        assert "is damaged" in str(error)


def test_a_pipe_in_place_of_a_record_or_model_is_set_aside(path, capsys):
    os.mkfifo(path.parent / "pruned0.4.json")
    assert storage.read_record(path, *KINDS) is None
    assert "is damaged; set aside as pruned0.4.json.damaged1" in capsys.readouterr().out
    os.mkfifo(storage.model_path(path))
    assert storage.read_model(path) is None
    assert "is damaged; set aside as pruned0.4.keras.damaged1" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"foreign", None])
def test_a_damaged_model_is_named_and_set_aside_as_it_is(path, model, capsys, content):
    save(path, model, {"accuracy": 1.0})
    file = storage.model_path(path)
    content = file.read_bytes()[:1000] if content is None else content
    file.write_bytes(content)
    assert storage.read_model(path) is None
    assert capsys.readouterr().out.endswith("is damaged; set aside as pruned0.4.keras.damaged1\n")
    assert (path.parent / "pruned0.4.keras.damaged1").read_bytes() == content
    assert storage.read_model(path) is None  # nothing there


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_other(path):
    def full(file):
        file.write(b"new")
        raise OSError(28, "No space left on device")

    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        storage.replace(path, full)
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [
        ("pruned0.4", b"old")
    ]


def test_a_network_of_somebody_else_is_read_if_it_fits(path):
    images = np.zeros((1, 8, 8, 3), "float32")

    def stored(shape, *stack):
        model = keras.Sequential([keras.Input(shape), *stack])
        model.compile("adam", "mse")
        model.save(storage.model_path(path))
        return storage.model_path(path)

    def head():
        return layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")

    for shape in ((8, 8, 3), (None, None, 3)):
        assert not storage.read_network(stored(shape, *head()), images, 4).compiled
    for shape in ((9, 8, 3), (8, 7, 3)):
        with pytest.raises(ValueError, match=r"it takes images .*; the dataset's are \(8, 8, 3\)"):
            storage.read_network(stored(shape, *head()), images, 4)
    with pytest.raises(ValueError, match="it takes images"):
        storage.read_network(stored((8,), layers.Dense(4)), images, 4)
    with pytest.raises(ValueError, match=r"its output is \(None, 4\); the dataset has 5 classes"):
        storage.read_network(stored((8, 8, 3), *head()), images, 5)
    with pytest.raises(ValueError, match="no probabilities"):
        storage.read_network(stored((8, 8, 3), head()[0], layers.Dense(4)), images, 4)
    for_4x4 = [layers.Reshape((4, 4, 3)), *head()]
    with pytest.raises(ValueError, match=r"it fails on images \(8, 8, 3\)"):
        storage.read_network(stored((None, None, 3), *for_4x4), images, 4)
    built_by_fit = keras.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")])
    built_by_fit.compile("sgd", "mse")
    built_by_fit.fit(np.zeros((6, 8, 8, 3)), np.zeros((6, 4)), batch_size=6, verbose=0)
    built_by_fit.save(storage.model_path(path))
    assert storage.read_network(storage.model_path(path), images, 4).output_shape[1:] == (4,)
    storage.model_path(path).write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"pruned0\.4\.keras: Keras cannot load it"):
        storage.read_network(storage.model_path(path), images, 4)


def stack():
    return [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(4, activation="softmax")]


def called(inputs):
    x = inputs
    for layer in stack():
        x = layer(x)
    return x


def sequential():
    return keras.Sequential([keras.Input((8, 8, 3)), *stack()])


def nested():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.RandomFlip(), layers.Conv2D(3, 1)])
    return keras.Sequential([keras.Input((8, 8, 3)), inner, *stack()])


def functional(wrapped):
    """A model whose input and output are wrapped in a list or dict."""
    inputs = keras.Input((8, 8, 3), name="images")
    return keras.Model(wrapped(inputs), wrapped(called(inputs)))


@pytest.mark.parametrize(
    "build",
    [sequential, nested]
    + [lambda: functional(lambda x: [x]), lambda: functional(lambda x: {"images": x})],
)
def test_a_network_of_any_form_is_read_as_a_functional_model_of_plain_tensors(path, build):
    images, model = np.random.default_rng(0).random((2, 8, 8, 3), np.float32), build()
    model.save(storage.model_path(path))
    read = storage.read_network(storage.model_path(path), images, 4)
    plain = isinstance(model, keras.Sequential)
    given = images if plain else keras.tree.pack_sequence_as(model.input, [images])
    expected = keras.tree.flatten(model(given, training=False))
    np.testing.assert_array_equal(read(images, training=False), expected[0])
    assert type(read.input) is type(read.output) is keras.KerasTensor
    storage.save_model(path, read)
    np.testing.assert_array_equal(storage.read_model(path)(images, training=False), expected[0])


def test_a_network_of_two_outputs_is_refused(path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, [called(inputs), called(inputs)]).save(storage.model_path(path))
    with pytest.raises(ValueError, match=r"it has 1 inputs and 2 outputs; give a Functional"):
        storage.read_network(storage.model_path(path), np.zeros((1, 8, 8, 3)), 4)


def test_files_placed_elsewhere_are_the_same_and_a_record_comes_last(tmp_path, monkeypatch):
    made = tmp_path / "made"
    files = {"a.json": b"{}", "a.keras": b"model", "a_saved_model/variables/x": b"weights"}
    storage.place(made, files)
    assert storage.tree(made) == files
    assert storage.files(made / "a") == {"a.keras": b"model", "a.json": b"{}"}
    assert storage.files(made / "b") == storage.tree(tmp_path / "nowhere") == {}

    def full(path, write):
        raise OSError("no room")

    monkeypatch.setattr(storage, "replace", full)
    with pytest.raises(OSError, match="no room"):
        storage.place(made, files)
    assert sorted(storage.tree(made)) == ["a.keras", "a_saved_model/variables/x"]
    monkeypatch.undo()
    storage.place(made, files)
    monkeypatch.setattr(storage, "replace", full)
    with pytest.raises(OSError, match="no room"):
        storage.place(made, {"a.json": b"{}", "a.onnx": b""})
    assert "a.json" in storage.tree(made)  # its model is as it was
