"""pruning/surgery.py and the door to it: the pruned network computes what it should."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from pruning import criteria, prune, selection, surgery
from scnnb.model import build_scnnb


def randomise(model):
    """Give every weight a new random value: a fresh network's zeros hide wrong slices."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.2, 1.0, w.shape) for w in layer.get_weights()])
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            layer.set_weights([rng.normal(0, 0.4, w.shape) for w in layer.get_weights()])
    return model


def silence(model, kept):
    """The full network of a chain of layers, the weights that read removed channels set to 0.

    The second implementation of the surgery: it changes no shape and follows only which channels
    of the running tensor are dead.
    """
    silenced = keras.models.clone_model(model)
    silenced.set_weights(model.get_weights())
    dead = np.zeros(model.inputs[0].shape[-1], bool)
    for layer in silenced.layers:
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            kernel, *bias = layer.get_weights()
            kernel[..., dead, :] = 0
            layer.set_weights([kernel, *bias])
            dead = np.ones(kernel.shape[-1], bool)
            dead[kept.get(layer.name, slice(None))] = False
        elif isinstance(layer, layers.Flatten):
            dead = np.array([dead[row % len(dead)] for row in range(layer.output.shape[-1])])
    return silenced


def predict(model, images):
    return keras.ops.convert_to_numpy(model(images))


def images_for(model, n=4):
    return np.random.default_rng(1).uniform(size=(n, *model.inputs[0].shape[1:])).astype("float32")


def chain(*stack, shape=(9, 7, 3)):
    return randomise(keras.Sequential([keras.Input(shape), *stack]))


CHAINS = {
    "scnnb": lambda: randomise(build_scnnb((28, 28, 1), 10)),
    "conv, conv": lambda: chain(layers.Conv2D(6, 3), layers.Conv2D(5, 3), layers.Dense(2)),
    "no bias": lambda: chain(layers.Conv2D(6, 3, use_bias=False), layers.Dense(2, use_bias=False)),
    "strides, dilation, padding": lambda: chain(
        layers.Conv2D(6, 3, strides=2, padding="same"),
        layers.Conv2D(8, 2, dilation_rate=2, padding="same"),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "norm": lambda: chain(layers.Conv2D(6, 3), layers.BatchNormalization(), layers.Dense(2)),
    "norm, last axis by number": lambda: chain(
        layers.Conv2D(6, 3), layers.BatchNormalization(axis=3), layers.Dense(2)
    ),
    "norm without scale and center": lambda: chain(
        layers.Conv2D(6, 3),
        layers.BatchNormalization(scale=False, center=False),
        layers.Conv2D(4, 1),
        layers.BatchNormalization(center=False),
        layers.Dense(2),
    ),
    "relu": lambda: chain(layers.Conv2D(6, 3), layers.ReLU(), layers.Dense(2)),
    "pool": lambda: chain(layers.Conv2D(6, 3), layers.MaxPooling2D(2), layers.Dense(2)),
    "flatten": lambda: chain(layers.Conv2D(6, 3), layers.Flatten(), layers.Dense(2)),
    "flatten twice": lambda: chain(
        layers.Conv2D(6, 3), layers.Flatten(), layers.Flatten(), layers.Dense(2)
    ),
    "activation": lambda: chain(layers.Conv2D(6, 3, activation="sigmoid"), layers.Dense(2)),
    "dropout": lambda: chain(layers.Conv2D(6, 3), layers.Dropout(0.5), layers.Dense(2)),
    "dense on maps": lambda: chain(
        layers.Conv2D(6, 3), layers.Dense(5), layers.Flatten(), layers.Dense(2)
    ),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("ratio", [0.4, 0.9])
def test_pruned_network_equals_the_full_one_with_those_filters_silenced(name, ratio):
    model = CHAINS[name]()
    scores = {
        layer.name: criteria.l1_norm(layer.get_weights()[0])
        for layer in model.layers
        if isinstance(layer, layers.Conv2D)
    }
    kept = selection.independent(scores, ratio)
    images = images_for(model)
    expected = predict(silence(model, kept), images)
    pruned = prune(model, ratio)
    found = predict(pruned, images)
    assert found.shape == expected.shape
    assert [w.shape for w in pruned.weights] != [w.shape for w in model.weights]
    assert np.abs(expected - predict(model, images)).max() > 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_filters_of_lowest_l1_norm_leave_with_all_that_belongs_to_them():
    model = chain(
        layers.Conv2D(3, 1, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.Flatten(name="flatten"),
        layers.Dense(1, name="fc1"),
        shape=(1, 2, 1),
    )
    model.get_layer("conv1").set_weights([np.array([[[[3.0, -1.0, 2.0]]]]), np.array([10, 11, 12])])
    model.get_layer("norm1").set_weights([np.arange(3) + start for start in (20, 30, 40, 50)])
    model.get_layer("fc1").set_weights([np.arange(6).reshape(6, 1), np.array([7.0])])
    pruned = prune(model, 0.1)  # ceil(0.3) = 1: filter 1
    found = {layer.name: [w.tolist() for w in layer.get_weights()] for layer in pruned.layers}
    assert found["conv1"] == [[[[[3.0, 2.0]]]], [10, 12]]
    assert found["norm1"] == [[20, 22], [30, 32], [40, 42], [50, 52]]
    assert found["fc1"] == [[[0], [2], [3], [5]], [7]]  # two positions of three channels


def test_ratio_0_gives_bit_identical_weights_and_predictions():
    model = randomise(build_scnnb((28, 28, 1), 10))
    copy = prune(model, 0)
    for before, after in zip(model.get_weights(), copy.get_weights(), strict=True):
        assert before.tobytes() == after.tobytes()
    images = images_for(model)
    np.testing.assert_array_equal(predict(model, images), predict(copy, images))
    assert copy is not model


def test_the_input_model_is_left_untouched():
    model = randomise(build_scnnb((8, 8, 1), 3))
    model.compile("sgd", "mse")
    optimizer, before = model.optimizer, model.get_weights()
    images = images_for(model)
    predictions = predict(model, images)
    pruned = prune(model, 0.5)
    pruned.compile("sgd", "sparse_categorical_crossentropy")
    pruned.fit(images, np.zeros(len(images)), verbose=0)
    assert model.optimizer is optimizer
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(predict(model, images), predictions)


def test_layer_names_order_and_settings_are_kept():
    model = randomise(build_scnnb((8, 8, 1), 3))
    model.get_layer("conv1").trainable = False
    pruned = prune(model, 0.5)
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in model.layers]
    assert [type(layer) for layer in pruned.layers] == [type(layer) for layer in model.layers]
    assert not pruned.get_layer("conv1").trainable
    assert pruned.name == model.name


def test_a_pruned_model_is_saved_and_predicts_the_same_in_a_process_that_knows_only_keras(tmp_path):
    pruned = prune(randomise(build_scnnb((28, 28, 1), 10)), 0.4)
    images = images_for(pruned)
    pruned.save(tmp_path / "pruned.keras")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy; model = keras.models.load_model('pruned.keras');"
        "numpy.save('out.npy', model(numpy.load('images.npy')).numpy())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), predict(pruned, images))


def functional(build, shape=(8, 8, 4)):
    inputs = keras.Input(shape)
    return randomise(keras.Model(inputs, build(inputs)))


def shared(inputs):
    reader = layers.Conv2D(4, 1, name="reader")
    left = layers.Conv2D(16, 1, name="left")(inputs)
    right = layers.Conv2D(16, 1, name="right")(inputs)
    return [layers.Dense(2)(reader(left)), layers.Dense(2)(reader(right))]


REFUSED = {
    r"cut.* \(Conv2D\): its activation may mix channels": lambda x: layers.Dense(2)(
        layers.Conv2D(4, 1, activation="softmax", name="cut")(x)
    ),
    r"cut.* \(Conv2D\): its activation may": lambda x: layers.Dense(2)(
        layers.Conv2D(4, 1, activation=layers.PReLU(), name="cut")(x)
    ),
    r"no Conv2D has a filter to spare; nothing would be pruned": lambda x: layers.Dense(2)(
        layers.Conv2D(1, 1)(x)
    ),
    r"up_sampling.* \(UpSampling2D\): there is no rule": lambda x: layers.UpSampling2D()(x),
    r"add.* \(Add\): there is no rule": lambda x: x + layers.Conv2D(4, 1)(x),
    r"cut.* \(Conv2D\): its convolution is grouped": lambda x: layers.Dense(2)(
        layers.Conv2D(4, 1, groups=2, name="cut")(x)
    ),
    r"\(MaxPooling2D\): its channels come first": lambda x: layers.MaxPooling2D(
        data_format="channels_first"
    )(x),
    r"\(BatchNormalization\): it normalises axis 1": lambda x: layers.BatchNormalization(axis=1)(x),
    r"a convolution whose channels reach the output": lambda x: layers.Conv2D(4, 1)(x),
    r"reader: it is used twice, on channels pruned differently": shared,
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_cut_exactly_is_refused_by_name(message):
    with pytest.raises(ValueError, match=message):
        prune(functional(REFUSED[message]), 0.5)


def test_flatten_of_unknown_size_is_refused():
    inputs = keras.Input((None, None, 3))
    flat = layers.Flatten(name="flat")(layers.Conv2D(4, 1)(inputs))
    with pytest.raises(ValueError, match=r"flat \(Flatten\): the size of its input is not fixed"):
        prune(keras.Model(inputs, flat), 0.5)


def test_a_convolution_used_twice_with_two_inputs_and_outputs_is_pruned_once():
    left, right = keras.Input((5, 5, 3), name="left"), keras.Input((6, 4, 3), name="right")
    conv, flatten = layers.Conv2D(6, 3, name="conv"), layers.Flatten(name="flatten")
    outputs = {
        "a": layers.Dense(2, name="a")(flatten(conv(left))),  # 3 * 3 positions
        "b": layers.Dense(2, name="b")(flatten(conv(right))),  # 4 * 2 positions
    }
    model = randomise(keras.Model([left, right], outputs))
    kept = np.argsort(criteria.l1_norm(conv.get_weights()[0]))[3:]
    images = [images_for(keras.Model(side, conv(side))) for side in (left, right)]
    pruned = prune(model, 0.5)(images)
    for name, positions in (("a", 9), ("b", 8)):
        kernel, bias = model.get_layer(name).get_weights()
        dead = [row for row in range(6 * positions) if row % 6 not in kept]
        kernel[dead] = 0
        model.get_layer(name).set_weights([kernel, bias])
    silenced = model(images)
    assert set(pruned) == {"a", "b"}
    for name in ("a", "b"):
        np.testing.assert_allclose(pruned[name], silenced[name], rtol=1e-4)


def test_a_model_compiled_with_functions_of_its_owner_is_pruned_and_not_compiled():
    model = chain(layers.Conv2D(6, 3), layers.Dense(2))
    model.compile("adam", loss=lambda truth, answer: answer)
    assert not prune(model, 0.5).compiled
    assert not prune(keras.Model(model.inputs[0], model.outputs[0]), 0.5).compiled


def test_models_without_a_graph_are_refused():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(TypeError, match="subclassed model"):
        prune(model, 0.5)

    class WithItsOwnCall(keras.Model):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    inputs = keras.Input((4,))
    with pytest.raises(TypeError, match="subclassed model"):
        prune(WithItsOwnCall(inputs, layers.Dense(2)(inputs)), 0.5)
    with pytest.raises(ValueError, match="not built"):
        prune(keras.Sequential([layers.Dense(2)]), 0.5)
    with pytest.raises(TypeError, match="model is a str; give a Keras model"):
        prune("model.keras", 0.5)


def test_every_rule_is_exercised_by_the_silenced_comparison():
    exercised = {type(layer) for build in CHAINS.values() for layer in build().layers}
    assert exercised | {layers.InputLayer} == set(surgery.RULES)
