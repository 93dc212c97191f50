"""scnnb/reading.py: which networks in files are accepted."""

import keras
import numpy as np
import pytest
from keras import layers

from scnnb.reading import read_network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "given.keras"


def test_a_network_is_read_if_it_fits_the_dataset(path):
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
        with pytest.raises(ValueError, match=r"expected a network for images \(8, 8, 3\), got one"):
            read_network(stored(shape, *head()), images, 4)
    with pytest.raises(ValueError, match=r"expected a network for images .* got one for \(8,\)"):
        read_network(stored((8,), layers.Dense(4)), images, 4)
    with pytest.raises(ValueError, match=r"a network of 5 classes, .* got the output \(4,\)"):
        read_network(stored((8, 8, 3), *head()), images, 5)
    relu = layers.Dense(4, "relu", name="end")
    with pytest.raises(
        ValueError,
        match=r"given\.keras: expected class probabilities by softmax, logits by a layer .*, got 4 "
        r"outputs of end \(Dense, activation relu\), from 0 to 0$",
    ):
        read_network(stored((8, 8, 3), head()[0], relu), images, 4)
    for count, activation, classes in ((4, None, 4), (1, "sigmoid", 2), (1, None, 2)):
        read = read_network(
            stored((8, 8, 3), head()[0], layers.Dense(count, activation)), images, classes
        )
        assert read.output_shape[1:] == (count,)
    with pytest.raises(ValueError, match=r"a network of 3 classes, .* got the output \(1,\)"):
        read_network(path, images, 3)
    not_finite = layers.Dense(4, bias_initializer=keras.initializers.Constant(np.nan), name="end")
    with pytest.raises(ValueError, match=r"got 4 outputs of end \(Dense, .* from nan to nan"):
        read_network(stored((8, 8, 3), head()[0], not_finite), images, 4)
    for_4x4 = [layers.Reshape((4, 4, 3)), *head()]
    with pytest.raises(ValueError, match=r"the network fails on images \(8, 8, 3\)"):
        read_network(stored((None, None, 3), *for_4x4), images, 4)
    built_by_fit = keras.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")])
    built_by_fit.compile("sgd", "mse")
    built_by_fit.fit(np.zeros((6, 8, 8, 3)), np.zeros((6, 4)), batch_size=6, verbose=0)
    built_by_fit.save(path)
    assert read_network(path, images, 4).output_shape[1:] == (4,)
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"given\.keras: Keras cannot load it.* --custom$"):
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
    """A model whose input and output are in a list or dict."""
    inputs = keras.Input((8, 8, 3), name="images")
    return keras.Model(wrapped(inputs), wrapped(called(inputs)))


@pytest.mark.parametrize(
    "build",
    [sequential, nested]
    + [lambda: functional(lambda x: [x]), lambda: functional(lambda x: {"images": x})],
)
def test_every_kind_of_network_is_read_as_a_functional_model_of_tensors(path, build):
    images, model = np.random.default_rng(0).random((2, 8, 8, 3), np.float32), build()
    model.save(path)
    read = read_network(path, images, 4)
    plain = isinstance(model, keras.Sequential)
    inputs = images if plain else keras.tree.pack_sequence_as(model.input, [images])
    expected = keras.tree.flatten(model(inputs, training=False))
    np.testing.assert_array_equal(read(images, training=False), expected[0])
    assert type(read.input) is type(read.output) is keras.KerasTensor
    read.save(path)  # it can be stored and read again
    np.testing.assert_array_equal(
        read_network(path, images, 4)(images, training=False), expected[0]
    )


def test_a_network_with_two_outputs_is_rejected(path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, [called(inputs), called(inputs)]).save(path)
    with pytest.raises(ValueError, match=r"with 1 input and 1 output, got 1 and 2$"):
        read_network(path, np.zeros((1, 8, 8, 3)), 4)


def test_the_error_for_an_h5_file_says_what_to_do(tmp_path):
    (tmp_path / "given.h5").write_bytes(b"no model")
    with pytest.raises(
        ValueError, match=r"given\.h5: Keras cannot load it: .*; load it in the prog"
    ):
        read_network(tmp_path / "given.h5", np.zeros((1, 8, 8, 3)), 4)


def test_a_network_that_is_not_built_is_rejected(path):
    with pytest.warns(UserWarning, match="has not yet been built"):
        keras.Sequential([layers.Flatten(), layers.Dense(4)]).save(path)
    with pytest.raises(ValueError, match=r"given\.keras: expected a built model; call it on"):
        read_network(path, np.zeros((1, 8, 8, 3)), 4)
