"""pruning/recalibration.py: statistics worked out by hand, and by a second implementation."""

import keras
import numpy as np
import pytest
from keras import layers

from data.dataset import Images
from pruning import prune, recalibrate
from tests.silenced import images_for, predict, randomise
from tests.versions import from_keras, not_on

EPSILON = 1e-3  # of BatchNormalization, by default


def statistics(layer):
    """The moving mean and variance of a layer."""
    return [keras.ops.convert_to_numpy(w) for w in (layer.moving_mean, layer.moving_variance)]


def assert_statistics(layer, mean, variance, rtol=1e-5):
    for values, expected in zip(statistics(layer), (mean, variance), strict=True):
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=1e-6)


def assert_of(layer, values, axes):
    """The statistics of the layer are those of the values."""
    assert_statistics(layer, np.mean(values, axes), np.var(values, axes))


def two_norms():
    return randomise(
        keras.Sequential(
            [
                keras.Input((5, 4, 3)),
                layers.Conv2D(4, 3, padding="same", name="conv1"),
                layers.BatchNormalization(name="norm1"),
                layers.ReLU(),
                layers.Dropout(0.5),
                layers.Conv2D(6, 1, name="conv2"),
                layers.BatchNormalization(name="norm2"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(3, name="fc1"),
            ]
        )
    )


def test_statistics_of_three_numbers_in_two_batches_by_hand():
    norms = [layers.BatchNormalization(epsilon=1e-9, name=name) for name in ("norm1", "norm2")]
    model = keras.Sequential([keras.Input((1,)), *norms])
    new = recalibrate(model, np.array([[1.0], [2.0], [6.0]]), batch_size=2)
    # the batches are (1) and (2, 6): mean (1 + 2 * 4) / 3, variance (4 + 1 + 9) / 3
    assert_statistics(new.get_layer("norm1"), [3], [14 / 3])
    # of each batch, minus its mean and divided by its deviation: (0) and (-1, 1)
    assert_statistics(new.get_layer("norm2"), [0], [2 / 3])


def test_two_layers_have_the_statistics_of_a_second_implementation():
    model = two_norms()
    images = images_for(model, 7)
    new = recalibrate(model, images, batch_size=3)  # 2 + 2 + 3 images
    (maps,) = predict(keras.Model(model.inputs[0], model.get_layer("conv1").output), images)
    assert_of(new.get_layer("norm1"), maps.astype(float), (0, 1, 2))
    gamma, beta = model.get_layer("norm1").get_weights()[:2]
    kernel, bias = model.get_layer("conv2").get_weights()
    outputs = []
    for batch in (slice(0, 2), slice(2, 4), slice(4, 7)):
        mean, variance = (of(maps[batch], axis=(0, 1, 2)) for of in (np.mean, np.var))
        normalised = (maps[batch] - mean) / np.sqrt(variance + EPSILON) * gamma + beta
        outputs.append(np.maximum(normalised, 0) @ kernel[0, 0] + bias)
    means, variances = ([of(o, axis=(0, 1, 2)) for o in outputs] for of in (np.mean, np.var))
    mean = np.average(means, axis=0, weights=[2, 2, 3])
    square = np.average(variances + np.square(means), axis=0, weights=[2, 2, 3])
    assert_statistics(new.get_layer("norm2"), mean, square - mean**2, rtol=1e-4)


def test_nothing_but_the_statistics_changes_and_the_model_given_is_unchanged(tmp_path):
    model = two_norms()
    before = model.get_weights()
    new = recalibrate(model, images_for(model, 6))
    same = [
        [np.array_equal(*pair) for pair in zip(network.get_weights(), before, strict=True)]
        for network in (model, new)
    ]
    changed = [w.path for w, is_same in zip(new.weights, same[1], strict=True) if not is_same]
    assert all(same[0])
    assert changed == [f"norm{n}/moving_{what}" for n in (1, 2) for what in ("mean", "variance")]
    assert [layer.get_config() for layer in new.layers[1:]] == [
        layer.get_config() for layer in model.layers
    ]
    assert not new.compiled and new.trainable
    assert [layer.trainable for layer in new.layers] == [True] * len(new.layers)
    assert [len(layer.trainable_weights) for layer in new.layers[1:]] == [
        len(layer.trainable_weights) for layer in model.layers
    ]
    new.save(tmp_path / "new.keras")
    loaded = keras.models.load_model(tmp_path / "new.keras")
    images = images_for(model, 2)
    np.testing.assert_array_equal(predict(loaded, images), predict(new, images))


def test_the_order_of_the_images_is_irrelevant_for_the_first_layer_and_batches_for_the_second():
    model = two_norms()
    images = images_for(model, 7)
    new, turned = (recalibrate(model, x, batch_size=3) for x in (images, images[::-1]))
    assert_statistics(turned.get_layer("norm1"), *statistics(new.get_layer("norm1")))
    whole = recalibrate(model, images)
    assert_statistics(whole.get_layer("norm1"), *statistics(new.get_layer("norm1")))
    difference = statistics(whole.get_layer("norm2"))[1] / statistics(new.get_layer("norm2"))[1]
    assert np.abs(difference - 1).max() > 1e-3


def test_dropout_and_augmentation_do_not_change_the_images():
    inside = [layers.RandomFlip(), layers.GaussianNoise(1.0), layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((4, 4, 2)), *inside, layers.BatchNormalization()])
    images = images_for(model, 5)
    assert_of(recalibrate(model, images).layers[-1], images, (0, 1, 2))


def test_after_one_batch_inference_gives_what_training_gives():
    model = two_norms()
    images = images_for(model, 6)
    new = recalibrate(model, images)
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    outputs = keras.ops.convert_to_numpy(model(images, training=True))
    np.testing.assert_allclose(predict(new, images)[0], outputs, rtol=1e-4, atol=1e-5)


def test_a_shared_layer_has_the_statistics_of_all_its_calls():
    images = keras.Input((4, 4, 2))
    shared = layers.BatchNormalization(name="shared")
    outputs = shared(images), shared(layers.MaxPooling2D(2)(images) * 3.0)
    model = keras.Model(images, outputs)
    x = images_for(model, 5)
    pooled = 3 * x.reshape(5, 2, 2, 2, 2, 2).max(axis=(2, 4))
    values = np.concatenate([each.reshape(-1, 2) for each in (x, pooled)])
    assert_of(recalibrate(model, x, batch_size=2).get_layer("shared"), values, 0)


def test_layers_inside_nested_models_wrappers_and_layers_of_the_user_get_new_statistics():
    inner = keras.Sequential(
        [keras.Input((4, 3)), layers.BatchNormalization(name="norm1")], name="inner"
    )
    images = keras.Input((4, 3))
    wrapped = layers.TimeDistributed(layers.BatchNormalization(name="norm2"), name="wrapper")
    outputs = [inner(images), wrapped(images), _Block(name="block")(images)]
    new = recalibrate(keras.Model(images, outputs), x := images_for(inner, 5))
    nested = new.get_layer("inner").get_layer("norm1")
    for layer in (nested, new.get_layer("wrapper").layer, new.get_layer("block").norm):
        assert_of(layer, x, (0, 1))


@keras.saving.register_keras_serializable("tests")
class _Block(layers.Layer):  # inference calls the first of its normalisations only
    def __init__(self, **options):
        super().__init__(**options)
        self.norm, self.unused = layers.BatchNormalization(), layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)
        self.unused.build(shape)

    def call(self, inputs, training=False):
        if training:
            return self.unused(inputs)
        return self.norm(inputs, training=False)


def test_a_layer_that_inference_does_not_call_keeps_its_statistics():
    model = keras.Sequential([keras.Input((4, 3)), _Block(name="block")])
    new = recalibrate(model, images_for(model, 5))
    assert_statistics(new.get_layer("block").unused, np.zeros(3), np.ones(3))


def test_frozen_layers_get_new_statistics_and_stay_frozen():
    model = two_norms()
    images = images_for(model, 5)
    expected = recalibrate(model, images)
    model.trainable = False
    new = recalibrate(model, images)
    assert not any(layer.trainable for layer in new.layers[1:])
    for name in ("norm1", "norm2"):
        assert_statistics(new.get_layer(name), *statistics(expected.get_layer(name)))


@keras.saving.register_keras_serializable("tests")
class _Spy(layers.Layer):
    seen = []

    def call(self, inputs):
        self.seen.append(getattr(inputs, "requires_grad", False))  # an attribute of PyTorch's
        return inputs


def test_no_gradients_are_kept():
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3), norm, _Spy()])
    del _Spy.seen[:]
    recalibrate(model, images_for(model, 5))
    assert _Spy.seen[-1] is False


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_channels_may_be_on_any_axis(axis):
    model = keras.Sequential([keras.Input((4, 3, 2)), layers.BatchNormalization(axis=axis)])
    images = images_for(model, 5)
    others = tuple(np.delete(range(4), axis))
    assert_of(recalibrate(model, images, batch_size=2).layers[-1], images, others)


def test_masked_positions_do_not_count():
    lines = keras.Input((4, 2))
    model = keras.Model(lines, layers.BatchNormalization(name="norm")(layers.Masking()(lines)))
    images = images_for(model, 5)
    images[0, 1:] = images[3, 0] = 0
    images[4] = 0  # the last batch has no value
    new = recalibrate(model, images, batch_size=1)
    assert_of(new.get_layer("norm"), images[images.any(axis=-1)], 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_statistics_are_computed_in_float32_or_better(policy):
    options = {"dtype": policy}
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(**options)])
    images = np.array([[1000, 4], [1001, 5], [1002, 9]], "float32") * [1, 1]
    rounded = keras.ops.cast(images, policy.removeprefix("mixed_"))
    rounded = keras.ops.convert_to_numpy(rounded).astype(float)
    rtol = 1e-5 if "mixed" in policy else 5e-3  # a weight in bfloat16 has 8 bits
    mean, variance = rounded.mean(0), rounded.var(0)
    assert_statistics(recalibrate(model, images).layers[-1], mean, variance, rtol)


def test_a_large_mean_does_not_hide_a_small_variance():
    model = keras.Sequential([keras.Input((1,)), layers.BatchNormalization()])
    images = np.array([[4096.0], [4096.5], [4097], [4097.5]])
    assert_of(recalibrate(model, images, batch_size=2).layers[-1], images, 0)


@from_keras((3, 14), "it has no batch renormalization")
def test_batch_renormalization_uses_the_new_statistics():
    norms = [layers.BatchNormalization(renorm=True, name=name) for name in ("norm1", "norm2")]
    model = keras.Sequential([keras.Input((2,)), *norms])
    images = 5 * images_for(model, 6) + 2
    new = recalibrate(model, images)
    norm = new.get_layer("norm1")
    assert_of(norm, images, 0)
    deviation = np.sqrt(images.var(axis=0) + EPSILON)
    for weight, expected in (
        (norm.moving_stddev, deviation),
        (norm.renorm_mean, images.mean(axis=0)),
        (norm.renorm_stddev, deviation),
    ):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(weight), expected, rtol=1e-5)
    normalised = (images - images.mean(axis=0)) / deviation
    assert_of(new.get_layer("norm2"), normalised, 0)


@not_on("jax", "it has no synchronized batch normalization")
@not_on("torch", "it has no synchronized batch normalization")
def test_a_synchronized_layer_gets_new_statistics():
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(synchronized=True)])
    images = images_for(model, 5)
    assert_of(recalibrate(model, images).layers[-1], images, 0)


@pytest.mark.parametrize("kind", [list, dict])
def test_a_network_may_have_several_inputs(kind):
    inputs = {"one": keras.Input((3,), name="one"), "two": keras.Input((2,), name="two")}
    norms = [layers.BatchNormalization(name=f"norm_{name}")(x) for name, x in inputs.items()]
    model = keras.Model(inputs if kind is dict else [*inputs.values()], norms)
    arrays = dict(zip(inputs, images_for(model, 5), strict=True))
    new = recalibrate(model, arrays if kind is dict else [*arrays.values()], batch_size=2)
    for name, array in arrays.items():
        assert_of(new.get_layer(f"norm_{name}"), array, 0)


def test_images_may_be_any_object_whose_slices_are_arrays():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.BatchNormalization()])
    new = recalibrate(model, Images(pixels), batch_size=2)
    assert_of(new.layers[-1], pixels / 255, (0, 1, 2))


def test_a_pruned_network_can_be_recalibrated():
    smaller = prune(model := two_norms(), 0.5)
    images = images_for(model, 6)
    (maps,) = predict(keras.Model(smaller.inputs[0], smaller.get_layer("conv1").output), images)
    assert_of(recalibrate(smaller, images).get_layer("norm1"), maps, (0, 1, 2))


def test_a_network_without_batch_normalization_is_copied():
    model = randomise(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    new = recalibrate(model, images_for(model, 1))
    assert new is not model
    for weight, expected in zip(new.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((0, 3)),
        [],
        None,
        [np.zeros((2, 3)), np.zeros((2, 3))],
    ],
)
def test_no_images_or_too_many_arrays_are_an_error(images):
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization()])
    with pytest.raises(ValueError, match="images: expected an array for each of 1 inputs, .* got"):
        recalibrate(model, images)


def test_arrays_of_different_lengths_are_an_error():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(inputs, layers.BatchNormalization()(layers.Add()(inputs)))
    with pytest.raises(ValueError, match=r"same number of images, .* got \(2, 3\), \(3, 3\)"):
        recalibrate(model, [np.zeros((2, 3)), np.zeros((3, 3))])


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, None])
def test_a_batch_size_that_is_no_number_from_1_is_an_error(batch_size):
    with pytest.raises(ValueError, match="batch_size: expected a whole number from 1, got"):
        recalibrate(two_norms(), np.zeros((2, 5, 4, 3)), batch_size=batch_size)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_statistics_that_are_not_finite_are_an_error_that_names_the_layer(value):
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(name="norm")])
    with pytest.raises(ValueError, match=r"norm \(BatchNormalization\): expected finite values"):
        recalibrate(model, np.array([[1.0, value], [1.0, -value]], "float32"))


def test_a_subclassed_model_is_an_error():
    class Mine(keras.Model):
        def call(self, x):
            return x

    model = Mine()
    model(np.zeros((1, 2)))
    with pytest.raises(TypeError, match="expected a Functional or Sequential model"):
        recalibrate(model, np.zeros((1, 2)))
