"""pruning/sensitivity.py: accuracies equal those of networks that are really cut."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import feature_maps, judge, prune, rules, sensitivity
from scnnb.model import build_scnnb
from tests.silenced import predict, randomise
from tests.versions import not_on


def conv(filters, size=1, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def chain(x):
    x = layers.BatchNormalization()(conv(6, 3, activation="sigmoid")(x))  # 0 does not stay 0
    return layers.Conv2DTranspose(5, 2)(layers.MaxPooling2D(1)(layers.PReLU()(conv(7)(x))))


def depthwise(x):
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(conv(5)(x))
    return layers.SeparableConv2D(6, 3)(layers.Dense(4, "relu")(x))


def branches(x):
    left, right = conv(4)(x), conv(3)(x)
    x = layers.Concatenate()([left, x, conv(6, groups=3)(right)])
    return layers.Add()([conv(4)(x), conv(4, 3)(left)]) * 0.5


def nested(x):
    block = keras.Sequential([keras.Input((6, 6, 4)), conv(5), layers.ReLU(), conv(4)])
    twice = conv(4)
    x = block(twice(layers.ZeroPadding2D(0)(conv(4)(x))))
    return block(x) + twice(x)


@pytest.fixture(params=[chain, depthwise, branches, nested], ids=lambda build: build.__name__)
def model(request):
    images = keras.Input((6, 6, 3))
    x = layers.Flatten()(request.param(images))
    return randomise(keras.Model(images, layers.Dense(4, "softmax")(x)))


def measured(model, criterion="l1", coupled="joint", **options):
    """`(accuracy, rows, images, labels)`; the full network classifies half of the images right."""
    images = np.random.default_rng(0).uniform(-1, 1, (200, *model.input_shape[1:]))
    labels = np.argmax(predict(model, images)[0], axis=-1)
    labels[::2] += 1
    judged = judge(model, criterion, seed=3)
    options |= {"criterion": judged, "coupled": coupled}
    return *sensitivity.analyse(model, images, labels, **options), images, labels


def test_each_accuracy_is_that_of_a_network_pruned_in_these_layers_only(model, monkeypatch):
    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 70 * 36)  # 70 + 70 + 60 images
    full, rows, images, labels = measured(model)
    assert full == 0.5
    assert len({row["accuracy"] for row in rows}) > 3
    for row in rows[::2]:
        cut = prune(model, row["pruning_ratio"], only=row["layers"])
        expected = np.mean(np.argmax(predict(cut, images)[0], axis=-1) == labels)
        assert row["accuracy"] == expected, row


def test_the_weights_are_restored_before_the_next_batch(monkeypatch):
    images = keras.Input((4, 4, 3))
    branches = [conv(3, 3)(conv(5, 3, activation="relu")(images)) for _ in range(2)]
    x = layers.GlobalAveragePooling2D()(layers.Add()(branches))
    model = randomise(keras.Model(images, layers.Softmax()(x)))
    at_once = measured(model)[1]
    assert len({tuple(row["layers"]) for row in at_once}) == 2
    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 70 * 16)  # 70 + 70 + 60 images
    assert measured(model)[1] == at_once


def test_the_network_is_not_changed():
    model = randomise(build_scnnb((8, 8, 1), 3))
    before = model.get_weights()
    measured(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.get_layer("conv1").output is not None  # an error if the layer was called again


def test_there_is_a_row_for_each_layer_and_ratio_with_any_criterion_and_batch_size(monkeypatch):
    model = randomise(build_scnnb((8, 8, 1), 3))
    _, rows, _, _ = measured(model)
    assert [row["layers"] for row in rows] == [["conv1"]] * 9 + [["conv2"]] * 9
    assert [row["pruning_ratio"] for row in rows] == [n / 10 for n in range(1, 10)] * 2
    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 70 * 64)  # 70 + 70 + 60 images
    done = []
    assert measured(model, progress=done.append)[1] == rows
    assert done == [70, 140, 200]
    for criterion in ("random", "largest"):
        _, others, images, labels = measured(model, criterion)
        assert others != rows
        cut = prune(model, 0.5, only=["conv2"], criterion=criterion, seed=3)
        assert others[13]["accuracy"] == np.mean(
            np.argmax(predict(cut, images)[0], axis=-1) == labels
        )


@not_on("torch", "nothing is compiled")
def test_one_network_is_compiled_once_for_all_cuts(monkeypatch):
    class Counting(layers.Layer):
        calls = []

        def call(self, inputs):
            if not keras.backend.is_keras_tensor(inputs):
                self.calls.append(inputs.shape[0])  # once if the network is compiled
            return inputs

    images = keras.Input((4, 4, 3))
    x = conv(4, name="conv2")(Counting()(conv(4, name="conv1")(images)))
    model = keras.Model(images, layers.Dense(3, "softmax")(layers.Flatten()(x)))
    monkeypatch.setitem(rules.RULES, Counting, rules.same_channels)
    _, rows, _, _ = measured(randomise(model))
    assert len(rows) == 18
    # one call for the labels, one for all cuts; the calls of 2 images compare layers to copies
    assert Counting.calls.count(200) == 2


def test_a_batch_of_images_is_read_once_for_all_cuts(monkeypatch):
    class Images:
        shape = (200, 8, 8, 1)
        read = []

        def __len__(self):
            return 200

        def __getitem__(self, batch):
            self.read.append((batch.start, batch.stop))
            return np.ones((len(range(200)[batch]), 8, 8, 1), "float32")

    monkeypatch.setattr(feature_maps, "BATCH_PIXELS", 70 * 64)
    model = build_scnnb((8, 8, 1), 3)
    _, rows = sensitivity.analyse(model, Images(), np.ones(200), criterion=judge(model, "l1"))
    assert len(rows) == 18
    assert Images.read == [(0, 70), (70, 140), (140, 210)]


def test_coupled_decides_which_layers_lose_filters_together(model):
    alone = {tuple(row["layers"]) for row in measured(model, coupled="skip")[1]}
    assert all(len(layers) == 1 for layers in alone)


def test_a_network_of_one_nested_model_is_measured():
    inner = keras.Sequential([keras.Input((4, 4, 3)), conv(4), layers.Flatten(), layers.Dense(3)])
    images = keras.Input((4, 4, 3))
    model = randomise(keras.Model(images, inner(images)))
    _, rows, images, labels = measured(model)
    cut = prune(model, 0.5, only=rows[4]["layers"])
    assert rows[4]["accuracy"] == np.mean(np.argmax(predict(cut, images)[0], axis=-1) == labels)


def test_layers_that_cannot_be_pruned_are_left_out_with_the_reason():
    images = keras.Input((4, 4, 3))
    x = layers.Lambda(lambda x: 2 * x, name="opaque")(conv(4, name="unsupported")(images))
    x = layers.Dense(2)(layers.Flatten()(conv(4, name="free")(x)))
    stages, (reason,) = sensitivity.measurable(keras.Model(images, x))
    assert stages == [["free"]]
    assert reason.startswith("unsupported: opaque (Lambda): there is no rule for this type")


def test_a_custom_rule_of_a_layer_that_may_read_its_own_output_channels_is_an_error(monkeypatch):
    class Mixing(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

        def call(self, x):
            return x * keras.ops.sigmoid(
                keras.ops.mean(x, axis=(1, 2), keepdims=True) @ self.kernel
            )

    def rule(call, incoming, new):
        channels = incoming[0].channels
        return rules.Flow(channels, weights=({-2: channels, -1: channels},))

    monkeypatch.setitem(rules.RULES, Mixing, rule)
    images = keras.Input((4, 4, 3))
    x = Mixing(name="mixing")(conv(4)(images))
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match=r"mixing \(Mixing\): .* because its weights may read its"):
        sensitivity.measurable(model)


def test_several_inputs_or_outputs_are_an_error():
    images = keras.Input((4, 4, 3))
    x = conv(4)(images)
    with pytest.raises(ValueError, match="expected one input and one output, got .* of "):
        sensitivity.measurable(keras.Model(images, [x, layers.Dense(2)(layers.Flatten()(x))]))


@pytest.mark.parametrize("round_to", [1, 2])
def test_with_the_cheapest_ratios_prune_cuts_as_with_target_and_sensitivities(model, round_to):
    stages, _ = sensitivity.measurable(model)
    rows = [  # the later a layer, the less it costs
        {"layers": only, "pruning_ratio": ratio, "accuracy": 0.9 - ratio / (2 + index)}
        for index, only in enumerate(stages)
        for ratio in sensitivity.RATIOS
    ]
    target = {"macs": 0.7, "round_to": round_to}
    ratios = sensitivity.cheapest_ratios(model, 0.9, rows, **target)
    assert len(set(ratios.values())) > 1
    smaller = prune(model, 0, layer_ratios=ratios)
    expected = prune(model, **target, ranking=(0.9, rows))
    assert [weight.shape for weight in smaller.weights] == [w.shape for w in expected.weights]
    assert all(map(np.array_equal, smaller.get_weights(), expected.get_weights()))


def test_cheapest_ratios_of_a_target_that_cannot_be_reached_are_an_error(model):
    rows = [
        {"layers": only, "pruning_ratio": 0.9, "accuracy": 0.0}
        for only in sensitivity.measurable(model)[0]
    ]
    with pytest.raises(ValueError, match="parameters: expected an amount that can be reached, got"):
        sensitivity.cheapest_ratios(model, 0.9, rows, parameters=0.001)


def test_a_network_without_a_convolution_is_an_error():
    images = keras.Input((2, 2, 1))
    model = keras.Model(images, layers.Dense(2)(layers.Flatten()(images)), name="flat")
    with pytest.raises(ValueError, match="flat: it has no convolution that could lose a filter"):
        measured(model)


def test_the_largest_ratio_within_the_drop_counts_even_if_a_smaller_ratio_costs_more():
    rows = [
        {"layers": layers, "pruning_ratio": ratio, "accuracy": accuracy}
        for layers, accuracies in ((["a"], [0.9, 0.7, 0.8]), (["b", "c"], [0.7, 0.6, 0.5]))
        for ratio, accuracy in zip((0.1, 0.2, 0.3), accuracies, strict=True)
    ]
    assert sensitivity.largest_ratios(0.9, rows, 0.1) == {"a": 0.3, "b": 0.0, "c": 0.0}
    assert sensitivity.largest_ratios(0.9, rows, 0.0) == {"a": 0.1, "b": 0.0, "c": 0.0}
    assert sensitivity.largest_ratios(0.9, rows, 0.2) == {"a": 0.3, "b": 0.1, "c": 0.1}


def test_norms_are_computed_for_convolutions_and_if_asked_for_dense_layers():
    model = build_scnnb((8, 8, 1), 3)
    norms = sensitivity.norms(model)
    assert list(norms) == ["conv1", "conv2"]
    kernel = model.get_layer("conv2").kernel.numpy()
    expected = np.abs(kernel).sum(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(norms["conv2"], expected, rtol=1e-12)
    assert list(sensitivity.norms(model, dense=True)) == ["conv1", "conv2", "fc1", "fc2"]


def test_augmentation_layers_do_not_change_the_images():
    images = keras.Input((4, 4, 3))
    turned = layers.RandomTranslation(0.5, 0.5)  # first in the network, and inside its parts
    x = turned(conv(4, name="conv1")(turned(images)))
    x = layers.Flatten()(conv(4, name="conv2")(x))
    model = randomise(keras.Model(images, layers.Dense(9, "softmax")(x)))
    values = np.random.default_rng(0).uniform(-1, 1, (200, 4, 4, 3))
    answers = keras.ops.convert_to_numpy(model(values, training=False))
    labels = np.argmax(answers, axis=-1)
    accuracy, rows = sensitivity.analyse(model, values, labels, criterion=judge(model, "l1"))
    assert accuracy == 1
    assert rows == sensitivity.analyse(model, values, labels, criterion=judge(model, "l1"))[1]


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_network_with_one_output_needs_a_function_that_tells_its_classes(activation):
    images = keras.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D()(conv(5)(images))
    model = randomise(keras.Model(images, layers.Dense(1, activation)(x)))
    values = np.random.default_rng(0).uniform(-1, 1, (50, 6, 6, 3))
    border = float(np.median(predict(model, values)[0]))

    def classes(outputs):
        return outputs[:, 0] > border

    judged = judge(model, "l1")
    labels = classes(predict(model, values)[0])
    full, rows = sensitivity.analyse(model, values, labels, criterion=judged, classes=classes)
    assert full == 1
    for row in rows[::3]:
        cut = prune(model, row["pruning_ratio"], only=row["layers"])
        assert row["accuracy"] == np.mean(classes(predict(cut, values)[0]) == labels)
    with pytest.raises(ValueError, match="classes: expected an output for each class, got one"):
        sensitivity.analyse(model, values, labels, criterion=judged)
