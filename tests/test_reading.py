"""scnnb/reading.py: networks that somebody else stored."""

import keras
import numpy as np
import pytest
from keras import layers

from scnnb.reading import read_network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "given.keras"


def test_a_network_of_somebody_else_is_read_if_it_fits(path):
    images = np.zeros((1, 8, 8, 3), "float32")

    def stored(shape, *stack):
        model = keras.Sequential([keras.Input(shape), *stack])
        model.compile("adam", "mse")
        model.save(path)
        return path

    def head():
        return layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")

    for shape in ((8, 8, 3), (None, None, 3)):
        assert not read_network(stored(shape, *head()), images, 4).compiled
    for shape in ((9, 8, 3), (8, 7, 3)):
        with pytest.raises(ValueError, match=r"it takes images .*; the dataset's are \(8, 8, 3\)"):
            read_network(stored(shape, *head()), images, 4)
    with pytest.raises(ValueError, match="it takes images"):
        read_network(stored((8,), layers.Dense(4)), images, 4)
    with pytest.raises(ValueError, match=r"its output is \(None, 4\); the dataset has 5 classes"):
        read_network(stored((8, 8, 3), *head()), images, 5)
    with pytest.raises(ValueError, match="no probabilities"):
        read_network(stored((8, 8, 3), head()[0], layers.Dense(4)), images, 4)
    for_4x4 = [layers.Reshape((4, 4, 3)), *head()]
    with pytest.raises(ValueError, match=r"it fails on images \(8, 8, 3\)"):
        read_network(stored((None, None, 3), *for_4x4), images, 4)
    built_by_fit = keras.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")])
    built_by_fit.compile("sgd", "mse")
    built_by_fit.fit(np.zeros((6, 8, 8, 3)), np.zeros((6, 4)), batch_size=6, verbose=0)
    built_by_fit.save(path)
    assert read_network(path, images, 4).output_shape[1:] == (4,)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"given\.keras: Keras cannot load it"):
        read_network(path, images, 4)


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
    model.save(path)
    read = read_network(path, images, 4)
    plain = isinstance(model, keras.Sequential)
    given = images if plain else keras.tree.pack_sequence_as(model.input, [images])
    expected = keras.tree.flatten(model(given, training=False))
    np.testing.assert_array_equal(read(images, training=False), expected[0])
    assert type(read.input) is type(read.output) is keras.KerasTensor
    read.save(path)  # as such it is stored
    np.testing.assert_array_equal(
        read_network(path, images, 4)(images, training=False), expected[0]
    )


def test_a_network_of_two_outputs_is_refused(path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, [called(inputs), called(inputs)]).save(path)
    with pytest.raises(ValueError, match=r"it has 1 inputs and 2 outputs; give a Functional"):
        read_network(path, np.zeros((1, 8, 8, 3)), 4)


def test_a_file_of_an_older_keras_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "given.h5").write_bytes(b"no model")
    with pytest.raises(
        ValueError, match=r"given\.h5: Keras cannot load it: .*; load it in the prog"
    ):
        read_network(tmp_path / "given.h5", np.zeros((1, 8, 8, 3)), 4)


def test_a_network_that_is_not_built_is_refused(path):
    with pytest.warns(UserWarning, match="has not yet been built"):
        keras.Sequential([layers.Flatten(), layers.Dense(4)]).save(path)
    with pytest.raises(ValueError, match=r"given\.keras: it is not built; store it after a call"):
        read_network(path, np.zeros((1, 8, 8, 3)), 4)
