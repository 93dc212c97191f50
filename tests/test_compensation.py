"""pruning/compensation.py: biases worked out by hand, and networks that must stay equal."""

import logging

import keras
import numpy as np
import pytest
from keras import layers

from pruning import feature_maps, prune
from tests.silenced import error, images_for, predict, randomise


def array(weight):
    return keras.ops.convert_to_numpy(weight).astype("float64")


def ones(*shape):
    return np.ones(shape, "float32")


def said(caplog):
    """What the library has logged; TensorFlow logs, too."""
    return [record.message for record in caplog.records if record.name.startswith("pruning.")]


def halved(model, images, **options):
    """The network without the first half of the filters of conv1."""
    options = {"criterion": lambda kernel: np.arange(kernel.shape[-1]), "only": ["conv1"]} | options
    return prune(model, 0.5, images=images, **options)


def compensated(model, images):
    return halved(model, images, compensate=True)


def two_maps(*tail):
    """The maps x and 2 - 2 * x after ReLU, then other layers."""
    conv1 = layers.Conv1D(2, 1, activation="relu", name="conv1")
    model = keras.Sequential([keras.Input((3, 1)), conv1, *tail])
    conv1.set_weights([np.reshape([1.0, -2], (1, 1, 2)), np.array([0.0, 2])])
    return model


LINES = np.reshape(np.array([[3, 4, -5], [0, 2, 6]], "float32"), (2, 3, 1))
# the first map: (3, 4, 0), (0, 2, 6), whose mean is 2.5


def test_a_1x1_convolution_and_a_dense_layer_get_the_mean_of_the_removed_map_times_its_weight():
    for reader in (layers.Conv1D(1, 1, name="reader"), layers.Dense(1, name="reader")):
        model = two_maps(reader, layers.Flatten(), layers.Dense(2))
        reader.set_weights([np.reshape([4.0, 7], reader.kernel.shape), np.array([0.5])])
        smaller = compensated(model, LINES).get_layer("reader")
        assert array(smaller.bias) == pytest.approx([0.5 + 4 * 2.5])
        assert array(smaller.kernel).ravel().tolist() == [7]


def test_a_reader_that_loses_filters_itself_gets_the_means_of_those_that_stay():
    reader = layers.Conv1D(2, 1, name="reader")
    model = two_maps(reader, layers.Flatten(), layers.Dense(2))
    reader.set_weights([np.reshape([4.0, 5, 7, 8], (1, 2, 2)), np.array([0.5, 0.25])])
    smaller = halved(model, LINES, compensate=True, only=None).get_layer("reader")
    assert array(smaller.bias) == pytest.approx([0.25 + 5 * 2.5])
    assert array(smaller.kernel).ravel().tolist() == [8]


@pytest.mark.parametrize(
    ("options", "mean"),
    [
        ({"padding": "valid"}, 15 / 2),  # one position: 3 + 4 + 0 and 0 + 2 + 6
        ({"padding": "same"}, (7 + 7 + 4 + 2 + 8 + 8) / 6),  # border positions see two values
        ({"padding": "same", "strides": 2}, (7 + 4 + 2 + 8) / 4),
    ],
)
def test_the_mean_is_over_the_positions_of_the_output(options, mean):
    reader = layers.Conv1D(1, 3, name="reader", **options)
    model = two_maps(reader, layers.GlobalAveragePooling1D(), layers.Dense(2))
    reader.set_weights([ones(3, 2, 1), np.array([0.5])])
    smaller = compensated(model, LINES)
    assert array(smaller.get_layer("reader").bias) == pytest.approx([0.5 + mean])


def test_each_position_has_its_own_mean_after_flatten():
    reader = layers.Dense(1, name="reader")
    model = two_maps(layers.Flatten(), reader)
    # rows: position by position, in each the two channels
    reader.set_weights([np.reshape([1.0, 9, 10, 9, 100, 9], (6, 1)), np.zeros(1)])
    smaller = compensated(model, LINES)
    assert array(smaller.get_layer("reader").bias) == pytest.approx([1.5 + 10 * 3 + 100 * 3])


def test_all_calls_of_a_shared_reader_count():
    lines = keras.Input((3, 1))
    conv1 = layers.Conv1D(2, 1, activation="relu", name="conv1")
    reader = layers.Conv1D(1, 1, name="reader")
    x = conv1(lines)
    x = layers.Concatenate(axis=1)([reader(x), reader(layers.Cropping1D((0, 2))(x))])
    model = keras.Model(lines, layers.Dense(2)(layers.Flatten()(x)))
    conv1.set_weights([np.reshape([1.0, -2], (1, 1, 2)), np.array([0.0, 2])])
    reader.set_weights([ones(1, 2, 1), np.zeros(1)])
    smaller = compensated(model, LINES)  # the first position counts twice
    assert array(smaller.get_layer("reader").bias) == pytest.approx([(3 + 4 + 0 + 2 + 6 + 3) / 8])


READERS = {
    "same": layers.Conv2D(4, 3, padding="same", name="reader"),
    "valid": layers.Conv2D(4, 3, name="reader"),
    "strides": layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="reader"),
    "dilation": layers.Conv2D(4, 3, dilation_rate=2, padding="same", name="reader"),
    "groups": layers.Conv2D(4, 3, groups=2, padding="same", name="reader"),
    "transposed": layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="reader"),
    "separable": layers.SeparableConv2D(
        4, 3, padding="same", depth_multiplier=2, activation="elu", name="reader"
    ),
    "dense": layers.Dense(4, name="reader"),
    "flat": layers.Dense(4, name="reader"),
}


def before_activation(network, images):
    """Mean of what the reader computes before its activation, over images and positions."""
    (maps,) = predict(keras.Model(network.inputs[0], network.get_layer("into").output), images)
    reader = network.get_layer("reader")
    reader.activation = keras.activations.linear
    maps = array(reader(maps))
    return maps.reshape(-1, maps.shape[-1]).mean(axis=0)


@pytest.mark.parametrize("kind", READERS)
def test_the_mean_before_the_activation_of_the_reader_is_that_of_the_full_network(kind):
    images = keras.Input((6, 5, 2))
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(images)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    into = layers.Flatten(name="into") if kind == "flat" else layers.MaxPooling2D(2, 1, name="into")
    reader = type(READERS[kind]).from_config(READERS[kind].get_config())
    x = layers.Flatten()(reader(into(x)))
    model = randomise(keras.Model(images, layers.Dense(2)(x)))
    values = images_for(model, 9)
    half = {"criterion": lambda kernel: np.arange(kernel.shape[-1]) % 4}  # of each of two groups
    networks = [halved(model, values, compensate=each, **half) for each in (True, False)]
    full, mean, plain = (before_activation(each, values) for each in (model, *networks))
    np.testing.assert_allclose(mean, full, rtol=1e-4, atol=1e-5)
    assert np.abs(plain - full).max() > 0.05


def nested(x):
    inputs = keras.Input(x.shape[1:])
    inner = layers.Conv2D(4, 3, name="inner")(layers.Identity()(inputs))
    return keras.Model(inputs, inner, name="block")(x)


TAILS = {
    "valid": lambda x: layers.Conv2D(4, 3, activation="relu")(x),
    "strides and dilation": lambda x: layers.Conv2D(4, 2, dilation_rate=2)(
        layers.Conv2D(5, 2, strides=2)(x)
    ),
    "flatten": lambda x: layers.Dense(4, activation="elu")(layers.Flatten()(x)),
    "pooling": lambda x: layers.Conv2D(4, 2)(layers.AveragePooling2D(2, 1)(x)),
    "depthwise": lambda x: layers.Conv2D(4, 1)(layers.DepthwiseConv2D(3, depth_multiplier=2)(x)),
    "separable": lambda x: layers.SeparableConv2D(4, 3)(x),
    "normalised": lambda x: layers.ReLU()(
        layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(x))
    ),
    "dense without bias": lambda x: layers.BatchNormalization()(layers.Dense(4, use_bias=False)(x)),
    "concatenated": lambda x: layers.Conv2D(4, 2)(layers.Concatenate()([x, layers.ReLU()(x)])),
    "added": lambda x: layers.Conv2D(4, 2)(x + layers.ReLU()(x - 1.0)),
    "several readers": lambda x: layers.Conv2D(4, 3)(x) + layers.Conv2D(4, 3)(x),
    "nested": nested,
}


@pytest.mark.parametrize("tail", TAILS)
def test_a_network_without_maps_that_are_constant_equals_the_full_one(tail):
    images = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(images)
    x = TAILS[tail](layers.ReLU()(layers.BatchNormalization(name="norm1")(x)))
    x = layers.Dense(3)(layers.Flatten()(x))
    model = randomise(keras.Model(images, x))
    conv1 = model.get_layer("conv1")
    kernel, bias = array(conv1.kernel), array(conv1.bias)
    kernel[..., :4], bias[:4] = 0, 3  # dead filters, whose maps are above 0 after ReLU
    conv1.set_weights([kernel, bias])
    values = images_for(model, 6)
    full = predict(model, values)
    smaller = compensated(model, values)
    assert smaller.get_layer("conv1").filters == 4
    assert error(predict(smaller, values), full) < 1e-5
    assert error(predict(halved(model, values), values), full) > 1e-2


def with_everything():
    images = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv1")(images)
    start = x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(8, 3, padding="same", name="conv2", activation="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv3")(x)
    x = layers.ReLU()(layers.Add()([layers.BatchNormalization(name="norm3")(x), start]))
    x = layers.Dense(6, activation="relu", name="fc1")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Dense(3, name="fc2")(x))


def test_only_biases_and_moving_means_after_readers_without_bias_change():
    model = randomise(with_everything())
    values = images_for(model, 5)
    plain, other = (prune(model, 0.5, compensate=c, images=values) for c in (False, True))
    assert [layer.name for layer in plain.layers] == [layer.name for layer in other.layers]
    changed = []
    for one, two in zip(plain.weights, other.weights, strict=True):
        assert (one.path, one.shape) == (two.path, two.shape)
        if not np.array_equal(array(one), array(two)):
            changed.append(one.path)
    assert changed == ["conv2/bias", "norm3/moving_mean", "fc1/bias"]


def test_ratio_0_changes_no_weight():
    model = randomise(with_everything())
    for ratio in (0, 0.0):
        new = prune(model, ratio, compensate=True, images=images_for(model))
        for one, two in zip(model.get_weights(), new.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_full_network_is_not_changed():
    model = randomise(with_everything())
    values, before = images_for(model, 3), model.get_weights()
    answers = predict(model, values)
    prune(model, 0.5, compensate=True, images=values)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(predict(model, values), answers)


def test_the_mean_is_over_all_batches(monkeypatch):
    model = randomise(with_everything())
    values = images_for(model, 7)
    expected = prune(model, 0.5, compensate=True, images=values)
    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 3 * 36)  # 3 + 3 + 1 images
    new = prune(model, 0.5, compensate=True, images=values)
    for one, two in zip(new.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_less_is_lost_on_average_over_random_networks():
    errors = []
    for seed in range(3):
        model = randomise(with_everything(), seed=seed)
        values, other = np.split(images_for(model, 80), 2)
        (full,) = predict(model, other)
        for ratio in (0.25, 0.5):
            networks = [prune(model, ratio, compensate=c, images=values) for c in (False, True)]
            answers = [predict(each, other)[0] for each in networks]
            errors.append([np.square(each - full).mean() / full.var() for each in answers])
    plain, less = np.mean(errors, axis=0)
    assert less < 0.5 * plain


@pytest.mark.parametrize(
    "after",
    [
        lambda x: layers.ReLU()(x),
        lambda x: layers.Add()([x, layers.BatchNormalization()(x)]),
        lambda x: layers.BatchNormalization()(layers.Concatenate()([x, x])),
    ],
)
def test_a_reader_without_bias_and_norm_of_its_own_stays_and_a_warning_names_it(after, caplog):
    images = keras.Input((4, 4, 2))
    x = layers.Conv2D(8, 1, activation="relu", name="conv1")(images)
    x = after(layers.Conv2D(4, 1, use_bias=False, name="reader")(x))
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(x)), name="mine")
    values = images_for(randomise(model), 3)
    with caplog.at_level(logging.WARNING):
        other = compensated(model, values)
    assert said(caplog) == [
        "mine: these layers are not compensated, because they have no bias and no "
        "BatchNormalization that alone reads their output: reader"
    ]
    for one, two in zip(halved(model, values).weights, other.weights, strict=True):
        np.testing.assert_array_equal(array(one), array(two))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(8, 3, groups=8, use_bias=False),
        layers.DepthwiseConv2D(3, use_bias=False, depth_multiplier=2),
    ],
)
def test_a_layer_that_loses_its_outputs_with_its_inputs_needs_no_compensation(layer, caplog):
    images = keras.Input((4, 4, 2))
    x = type(layer).from_config(layer.get_config())(layers.Conv2D(8, 1, name="conv1")(images))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = randomise(keras.Model(images, layers.Dense(2, name="fc1")(x)))
    values = images_for(model, 3)
    plain, other = (halved(model, values, compensate=each) for each in (False, True))
    pairs = zip(plain.weights, other.weights, strict=True)
    changed = [a.path for a, b in pairs if not np.array_equal(array(a), array(b))]
    assert (changed, said(caplog)) == (["fc1/bias"], [])


def shared_norm(x, images):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(x), norm(layers.Conv2D(4, 1, name="other")(images))])


def activated(x, images):
    return layers.BatchNormalization()(x)


def test_a_norm_that_reads_other_maps_too_or_reads_after_an_activation_is_left_alone(caplog):
    for after, activation in ((shared_norm, None), (activated, "relu")):
        images = keras.Input((4, 4, 2))
        x = layers.Conv2D(8, 1, activation="relu", name="conv1")(images)
        x = layers.Conv2D(4, 1, use_bias=False, activation=activation, name="reader")(x)
        x = after(x, images)
        model = randomise(keras.Model(images, layers.Dense(2)(layers.Flatten()(x)), name="mine"))
        values = images_for(model, 3)
        for one, two in zip(
            halved(model, values).weights, compensated(model, values).weights, strict=True
        ):
            np.testing.assert_array_equal(array(one), array(two))
    assert len(said(caplog)) == 2


def test_a_norm_is_left_alone_if_the_map_before_it_is_an_output(caplog):
    images = keras.Input((4, 4, 2))
    x = layers.Conv2D(8, 1, activation="relu", name="conv1")(images)
    x = layers.Conv2D(4, 1, use_bias=False, name="reader")(x)
    model = randomise(keras.Model(images, [x, layers.BatchNormalization()(x)]))
    other = compensated(model, images_for(model, 3))
    assert len(said(caplog)) == 1
    np.testing.assert_array_equal(other.get_weights()[-2], model.get_weights()[-2])


@pytest.mark.parametrize(("policy", "step"), [("mixed_bfloat16", 2**-7), ("mixed_float16", 2**-10)])
def test_the_mean_is_computed_in_float32_or_better(policy, step):
    options = {"kernel_initializer": "ones", "dtype": policy}
    images = keras.Input((1, 300, 1))
    x = layers.Conv2D(2, 1, **options, name="conv1")(images)
    x = layers.Conv2D(1, 1, **options, name="reader")(x)
    model = keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    values = np.tile(np.float32([1, 1 + step]), (900, 1, 150))[..., np.newaxis]
    bias = array(compensated(model, values).get_layer("reader").bias)
    assert bias.tolist() == [1 + step / 2]  # between two neighbours of 16 bits


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_a_bias_of_16_bits_is_compensated(policy):
    images = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, kernel_initializer="ones", dtype=policy, name="conv1")(images)
    x = layers.Conv2D(1, 1, kernel_initializer="ones", dtype=policy, name="reader")(x)
    model = keras.Model(images, layers.Dense(2, dtype=policy)(layers.Flatten(dtype=policy)(x)))
    bias = array(compensated(model, 3 * ones(2, 4, 4, 1)).get_layer("reader").bias)
    assert bias.tolist() == [3]


def test_a_network_of_several_inputs_is_compensated():
    inputs = {name: keras.Input((4, 4, 2), name=name) for name in ("one", "two")}
    x = layers.Conv2D(4, 1, kernel_initializer="ones", name="conv1")(inputs["one"])
    x = layers.Concatenate()([x, inputs["two"]])
    x = layers.Conv2D(2, 1, kernel_initializer="ones", name="reader")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    values = {"one": 3 * ones(2, 4, 4, 2), "two": ones(2, 4, 4, 2)}
    smaller = compensated(model, values)
    assert array(smaller.get_layer("reader").bias) == pytest.approx([2 * 2 * 3] * 2)


def test_images_are_required():
    with pytest.raises(ValueError, match="images: expected training images for compensate=True, "):
        prune(with_everything(), 0.5, compensate=True)
    with pytest.raises(ValueError, match="images: expected an array of training images, got none"):
        prune(with_everything(), 0.5, compensate=True, images=np.zeros((0, 6, 6, 2)))


def test_a_custom_activation_comes_after_the_bias():
    def clipped(x):
        return keras.ops.clip(x, 0, 1)

    reader = layers.Conv1D(1, 1, activation=clipped, name="reader")
    model = two_maps(reader, layers.Conv1D(1, 1), layers.Flatten(), layers.Dense(2))
    reader.set_weights([ones(1, 2, 1), np.zeros(1)])
    smaller = halved(model, LINES, compensate=True, layer_ratios={"reader": 0})
    assert array(smaller.get_layer("reader").bias) == pytest.approx([2.5])
