"""pruning/feature_maps.py: scores worked out by hand, and by a second implementation."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import criteria, feature_maps, prune, rules
from scnnb.model import build_scnnb
from tests.silenced import images_for, predict, randomise


def identity(**options):
    """A 1x1 convolution of two filters: the map itself, and the map minus 1, times -2."""
    images = keras.Input((1, 2, 1), name="images")
    x = layers.Conv2D(2, 1, name="conv1", **options)(images)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(x)))
    model.get_layer("conv1").set_weights([np.reshape([1.0, -2], (1, 1, 1, 2)), np.array([0.0, 2])])
    return model


IMAGES = np.reshape(np.array([[3, 4], [0, 2]], "float32"), (2, 1, 2, 1))
# maps of the first filter: (3, 4), (0, 2); of the second: (-4, -6), (2, -2)
BY_HAND = {
    "mean-mean": [(3.5 + 1) / 2, (-5 + 0) / 2],
    "mean-std": [(0.5 + 1) / 2, (1 + 2) / 2],
    "mean-l1": [(7 + 2) / 2, (10 + 4) / 2],
    "mean-l2": [(5 + 2) / 2, (52**0.5 + 8**0.5) / 2],
    "var-l2": [1.5**2, ((52**0.5 - 8**0.5) / 2) ** 2],
}


@pytest.mark.parametrize("criterion", criteria.OF_FEATURE_MAPS)
@pytest.mark.parametrize("options", [{}, {"activation": "relu"}])
def test_scores_of_hand_made_maps_before_normalisation_and_activation(criterion, options):
    scores = feature_maps.scores(identity(**options), IMAGES, criterion)
    np.testing.assert_allclose(scores["conv1"], BY_HAND[criterion], rtol=1e-6)


@pytest.mark.parametrize("criterion", criteria.OF_FEATURE_MAPS)
def test_maps_at_each_step_are_seen_before_the_activation_of_the_layer_inside(criterion):
    videos = keras.Input((2, 1, 2, 1))
    conv = layers.Conv2D(2, 1, activation="relu")
    x = layers.Flatten()(layers.TimeDistributed(conv, name="each")(videos))
    model = keras.Model(videos, layers.Dense(2)(x))
    conv.set_weights(identity().get_layer("conv1").get_weights())
    scores = feature_maps.scores(model, IMAGES[None], criterion)  # one video of two images
    np.testing.assert_allclose(scores["each"], BY_HAND[criterion], rtol=1e-6)


@pytest.mark.parametrize("criterion", criteria.OF_FEATURE_MAPS)
def test_streamed_scores_equal_those_of_all_maps_at_once(criterion, monkeypatch):
    model = randomise(build_scnnb((8, 8, 3), 3))
    images = images_for(model, 7)
    over_images, of_a_map = criterion.split("-")
    (maps,) = predict(keras.Model(model.input, model.get_layer("conv2").output), images)
    maps = maps.reshape(7, -1, 64).astype(float)
    values = {
        "mean": maps.mean(axis=1),
        "std": maps.std(axis=1),
        "l1": np.abs(maps).sum(axis=1),
        "l2": np.sqrt((maps**2).sum(axis=1)),
    }[of_a_map]
    expected = values.mean(axis=0) if over_images == "mean" else values.var(axis=0)
    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 3 * 64)  # 3 + 3 + 1 images
    scores = feature_maps.scores(model, images, criterion)
    np.testing.assert_allclose(scores["conv2"], expected, rtol=1e-4, atol=1e-6)


def test_images_are_read_in_batches_only(monkeypatch):
    class Images:
        shape = (10, 1, 2, 1)
        asked = []

        def __len__(self):
            return 10

        def __getitem__(self, batch):
            self.asked.append((batch.start, batch.stop))
            return np.zeros((len(range(10)[batch]), 1, 2, 1), "float32")

    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 8)
    feature_maps.scores(identity(), Images(), "mean-l1")
    assert Images.asked == [(0, 4), (4, 8), (8, 12)]


def test_layers_in_nested_models_and_layers_called_twice_are_scored():
    inner = keras.Sequential([keras.Input((1, 2, 1)), layers.Conv2D(1, 1, name="twice")], name="in")
    images = keras.Input((1, 2, 1))
    x = layers.Add()([inner(images), inner(inner(images))])
    model = keras.Model(images, layers.Dense(2, name="last")(layers.Flatten()(x)))
    inner.set_weights([np.reshape([-1.0], (1, 1, 1, 1)), np.zeros(1)])
    scores = feature_maps.scores(model, IMAGES, "mean-mean")
    assert scores["in/twice"] == pytest.approx([-2.25 / 3])  # -2.25, once more, and 2.25
    assert set(scores) == {"in/twice", "last"}


def test_the_network_is_not_changed():
    model = identity(activation="relu")
    before = model.predict(IMAGES, verbose=0)
    feature_maps.scores(model, IMAGES, "mean-std")
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before)
    assert model.get_layer("conv1").output is not None  # an error if the layer was called again
    assert model.get_layer("conv1").activation is keras.activations.relu


@pytest.mark.parametrize("images", [IMAGES[:0], [], 5])
def test_no_images_are_an_error(images):
    with pytest.raises(ValueError, match="images: expected an array of training images, got none"):
        feature_maps.scores(identity(), images, "mean-l1")


def test_a_network_of_any_image_size_and_a_custom_layer_without_activation_are_scored(monkeypatch):
    class Doubled(layers.Layer):  # a custom convolution
        def build(self, shape):
            self.kernel = self.add_weight(shape=(1, 1, shape[-1], 2), initializer="ones")

        def call(self, x):
            return keras.ops.conv(x, self.kernel)

        filters = 2

    def rule(call, incoming, new):
        filters = new(2)
        weights = ({-2: incoming[0].channels, -1: filters},)
        judged = rules.Filters(call.layer.kernel.numpy)
        return rules.Flow(filters, weights=weights, filters=judged)

    monkeypatch.setitem(rules.RULES, Doubled, rule)
    images = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(Doubled(name="doubled")(images))
    scores = feature_maps.scores(keras.Model(images, layers.Dense(1)(x)), IMAGES, "mean-l1")
    assert scores["doubled"].tolist() == [(7 + 2) / 2] * 2


def test_prune_removes_the_filter_whose_maps_score_lowest():
    model = identity()
    kept = [
        prune(model, 0.5, criterion=criterion, images=IMAGES).get_layer("conv1").get_weights()[1]
        for criterion in ("mean-mean", "mean-std")
    ]
    assert kept == [0, 2]


def nested_with_numbers(x):
    inputs = keras.Input((1, 2, 1))
    return keras.Model(inputs, layers.Conv2D(1, 1, name="inner")(2 * inputs) + 1.0)(x)


@pytest.mark.parametrize(
    "before",
    [
        lambda x: (2 * x + 1) / 1.0 - 1.0,
        lambda x: x * np.float32([[[2.0]]]),
        lambda x: layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(x) * 2.0,
        lambda x: nested_with_numbers(x) * 0.0 + 2 * x,
    ],
)
def test_layers_after_operators_with_numbers_are_scored(before):
    images = keras.Input((1, 2, 1))
    x = layers.Conv2D(1, 1, name="conv", use_bias=False, kernel_initializer="ones")(before(images))
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(1.0 - x)))
    scores = feature_maps.scores(model, IMAGES, "mean-mean")
    assert scores["conv"] == pytest.approx([2 * 2.25])


def test_a_mask_passes_through_a_scored_layer():
    words = keras.Input((3,), dtype="int32")
    x = layers.Embedding(4, 1, mask_zero=True, name="words")(words)
    x = layers.Dense(1, kernel_initializer="ones")(x)
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(words, layers.Dense(1, kernel_initializer="ones", name="last")(x))
    model.get_layer("words").set_weights([np.array([[100.0], [1], [2], [3]])])
    scores = feature_maps.scores(model, np.array([[1, 2, 0], [3, 0, 0]]), "mean-mean")
    assert scores["last"] == pytest.approx([(1.5 + 3) / 2])


def test_augmentation_layers_do_not_change_the_images():
    images = keras.Input((1, 2, 1))
    x = layers.RandomBrightness(0.9, value_range=(0, 9))(images)
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="conv1")(x)
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(x)))
    scores = feature_maps.scores(model, IMAGES, "mean-mean")
    assert scores["conv1"] == pytest.approx([2.25])
