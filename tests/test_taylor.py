"""pruning/taylor.py: scores worked out by hand, and by real changes of the loss."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import gradients, judge, prune, rules, sensitivity, taylor
from tests.silenced import images_for, randomise

LABELS = np.array([0, 1])


def by_hand(**options):
    """Two 1x1 filters on images of one pixel, and a Dense layer; returns the model."""
    images = keras.Input((1, 1, 1))
    x = layers.Flatten()(layers.Conv2D(2, 1, name="conv1")(images))
    model = keras.Model(images, layers.Dense(2, name="last", **options)(x))
    kernel, bias = np.reshape([2.0, -1], (1, 1, 1, 2)), np.array([0.0, 1])
    model.set_weights([kernel, bias, np.array([[1.0, 0], [0, 1]]), np.zeros(2)])
    return model


PIXELS = np.reshape(np.array([1, 3], "float32"), (2, 1, 1, 1))


def scores_by_hand():
    """Maps h: (2, 0) and (6, -2), which are the logits; derivative h * (p - y) of each image."""
    first = 1 / (1 + np.exp(2.0))  # probability of class 1, label 0
    second = 1 / (1 + np.exp(-8.0))  # probability of class 0, label 1
    changes = np.array([[2 * -first, 0 * first], [6 * second, -2 * -second]])
    return np.square(changes).mean(axis=0)


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({}, None),
        ({"activation": "softmax"}, None),
        ({}, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        ({"activation": "softmax"}, keras.losses.sparse_categorical_crossentropy),
    ],
)
def test_scores_of_two_filters_of_logits_and_probabilities_with_each_kind_of_loss(options, loss):
    scores = taylor.scores(by_hand(**options), PIXELS, LABELS, loss)
    np.testing.assert_allclose(scores["conv1"], scores_by_hand(), rtol=1e-4)


def parts():
    """BatchNormalization, depthwise, shared, nested, added and joined layers in one network."""
    images = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(images)
    x = layers.Activation("silu")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="deep", activation="tanh")(x)
    shared = layers.Conv2D(4, 3, padding="same", name="shared", activation="sigmoid")
    x = x + shared(shared(x))
    inner = [layers.SeparableConv2D(3, 3, name="inner"), layers.BatchNormalization()]
    x = layers.Dropout(0.5)(keras.Sequential([keras.Input((6, 6, 4)), *inner], name="nested")(x))
    y = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 3, name="before")(x))
    x = layers.Concatenate()([y, layers.Cropping2D(1)(x)])  # (2, 2, 4 + 3)
    x = layers.Flatten()(layers.Permute((3, 1, 2))(layers.BatchNormalization()(x)))
    return randomise(keras.Model(images, layers.Dense(5, "softmax", name="last")(x)))


def read_from(model, path, index):
    """`[(weight, part of it)]`: what reads a filter of `parts`, and those removed with it."""
    first = {name: model.get_layer(name).weights[0] for name in ("shared", "before", "grouped")}
    inner, last = (
        model.get_layer(name).weights[0] for name in ("nested", "last")
    )  # depthwise (3, 3, 4, 1); (28, 5), whose rows 4 * c to 4 * c + 3 read channel c
    channel = (slice(None), slice(None), index)
    rows = [slice(4 * each, 4 * each + 4) for each in range(7)]
    return {
        "conv1": [(first["shared"], channel), (inner, channel)],
        "deep": [(first["shared"], channel), (inner, channel)],
        "shared": [(first["shared"], channel), (inner, channel)],
        "nested/inner": [(first["before"], channel), (last, rows[(4 + index) % 7])],
        "before": [(first["grouped"], (slice(None), slice(None), index % 2))],
        "grouped": [(last, rows[index]), (last, rows[(index + 2) % 4])],
        "last": [],  # these filters are not pruned
    }[path]


def losses(model, images, labels):
    """Cross-entropy of each image, float64 array (n,)."""
    outputs = keras.ops.convert_to_numpy(model(images)).astype(float)
    return -np.log(outputs[np.arange(len(labels)), labels])


def test_a_score_is_the_mean_squared_change_of_the_loss_if_what_reads_the_filter_shrinks():
    model, labels = parts(), np.array([0, 4, 2])
    images, step = images_for(model, 3), 1e-2
    for path, scores in taylor.scores(model, images, labels).items():
        for index, score in enumerate(scores):
            after = []
            for factor in (1 - step, 1 + step):
                before = [(w, w.numpy()) for w, _ in read_from(model, path, index)]
                for weight, part in read_from(model, path, index):
                    values = weight.numpy()
                    values[part] *= factor
                    weight.assign(values)
                after.append(losses(model, images, labels))
                for weight, values in before[::-1]:
                    weight.assign(values)
            expected = np.square((after[1] - after[0]) / (2 * step)).mean()
            assert score == pytest.approx(expected, rel=5e-3), (path, index)
        assert np.ptp(scores) > 0 or path == "last"


def test_the_score_does_not_depend_on_the_batches_and_images_are_read_in_batches(monkeypatch):
    class Images:
        shape = (5, 6, 6, 3)
        asked = []

        def __len__(self):
            return 5

        def __getitem__(self, batch):
            self.asked.append(batch.stop)
            return images[batch]

    model, labels = parts(), np.array([[0], [4], [2], [2], [1]])
    images = images_for(model, 5)
    expected = taylor.scores(model, images, labels)
    monkeypatch.setattr(taylor, "BATCH_PIXELS", 2 * 36)
    scores = taylor.scores(model, Images(), labels)
    assert set(Images.asked) == {2, 4, 6}
    for path, values in expected.items():
        np.testing.assert_allclose(scores[path], values, rtol=1e-4, atol=1e-9)


def test_prune_removes_the_filter_that_changes_the_loss_least_and_does_not_change_the_network():
    model = by_hand()
    before = model.get_weights()
    outputs = keras.ops.convert_to_numpy(model(PIXELS))
    smaller = prune(model, 0.5, criterion="taylor", images=PIXELS, labels=LABELS)
    assert smaller.get_layer("conv1").get_weights()[0].item() == [2, -1][scores_by_hand().argmax()]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(PIXELS)), outputs)
    assert model.trainable and model.get_layer("conv1").trainable


def test_a_loss_of_your_own_takes_any_labels():
    images = keras.Input((1, 1, 1))
    x = layers.Flatten()(layers.Conv2D(2, 1, name="conv1")(images))
    model = keras.Model(images, layers.Dense(1, name="last")(x))
    kernel, bias = np.reshape([2.0, -1], (1, 1, 1, 2)), np.array([0.0, 1])
    model.set_weights([kernel, bias, np.ones((2, 1)), np.zeros(1)])

    def squared(labels, outputs):
        return keras.ops.square(keras.ops.reshape(outputs, (-1,)) - labels)

    # maps (2, 0) and (6, -2), outputs 2 and 4; derivatives h * 2 * (output - label)
    labels = np.array([1.5, 3.5], "float32")
    scores = judge(model, "taylor", images=PIXELS, labels=labels, loss=squared)["conv1"]
    np.testing.assert_allclose(scores, [(2**2 + 6**2) / 2, (0 + 2**2) / 2], rtol=1e-5)
    with pytest.raises(ValueError, match=r"^loss: expected a function .* outputs \(2, 1\)"):
        judge(model, "taylor", images=PIXELS, labels=LABELS)


WRONG = {
    "images: expected an array of training images, got none": {"images": PIXELS[:0]},
    "images: expected training images for criterion 'taylor', got None": {"images": None},
    "labels: expected training labels for criterion 'taylor', got None": {"labels": None},
    r"labels: expected an array of 2 labels, got \(3,\)": {"labels": np.zeros(3, int)},
    r"labels: expected an array of 2 labels, got \[0, 1\]": {"labels": [0, 1]},
    "labels: expected whole numbers from 0 to 1 .*, got int64 .* from 0 to 2": {
        "labels": np.array([0, 2])
    },
    r"labels: .* got float64 \(2,\)": {"labels": np.zeros(2)},
    r"labels: .* got int64 \(2, 2\)": {"labels": np.eye(2, dtype=int)},
    "strategy: expected independent for a criterion .*, got 'greedy'": {"strategy": "greedy"},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_images_labels_and_strategies_are_errors(message):
    given = {"criterion": "taylor", "images": PIXELS, "labels": LABELS} | WRONG[message]
    with pytest.raises(ValueError, match=f"^{message}"):
        prune(by_hand(), 0.5, **given)


def test_a_layer_that_reads_several_inputs_is_an_error_that_names_it(monkeypatch):
    class Both(layers.Layer):
        def build(self, shapes):
            self.kernel = self.add_weight(shape=(shapes[0][-1], 2))

        def call(self, inputs):
            return (inputs[0] + inputs[1]) @ self.kernel

    def rule(call, incoming, new):
        filters = new(2)
        first, second = (each.channels for each in incoming)
        weights = ({0: first, 1: filters},)
        return rules.Flow(filters, weights=weights, coupled=((first, second),))

    monkeypatch.setitem(rules.RULES, Both, rule)
    images = keras.Input((1, 1, 1))
    both = [layers.Flatten()(layers.Conv2D(2, 1)(images)) for _ in range(2)]
    model = keras.Model(images, layers.Dense(2)(Both(name="both")(both)))
    with pytest.raises(ValueError, match=r"both \(Both\): criterion 'taylor' .* one input, got 2"):
        taylor.scores(model, PIXELS, LABELS)


def test_a_backend_without_gradients_is_an_error(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    message = "KERAS_BACKEND: expected tensorflow, jax, torch for gradients, got numpy"
    with pytest.raises(ValueError, match=message):
        gradients.gradients(lambda tensors: tensors[0], [np.zeros(1)])


def test_the_sensitivity_takes_the_scores():
    model, labels = parts(), np.array([0, 4, 2])
    judged = judge(model, "taylor", images=images_for(model, 3), labels=labels)
    _, rows = sensitivity.analyse(model, images_for(model, 3), labels, criterion=judged)
    assert {name for row in rows for name in row["layers"]} == {*judged} - {"last", "deep"}
