"""pruning/pruner.py: prune, from arguments to the stored network."""

import logging
import re

import keras
import numpy as np
import pytest
from keras import layers

from pruning import planned_sizes, prune, sensitivity, stages
from scnnb.model import build_scnnb
from tests import fresh_process
from tests.silenced import images_for, kept_filters, predict, randomise, silenced
from tests.versions import not_on


def test_the_input_model_is_not_changed():
    model = randomise(build_scnnb((8, 8, 1), 3))
    model.compile("sgd", "mse")
    optimizer, before = model.optimizer, model.get_weights()
    images = images_for(model)
    predictions = predict(model, images)
    pruned = prune(model, 0.5)
    pruned.compile("sgd", "sparse_categorical_crossentropy")
    pruned.fit(images, np.zeros(len(images)), verbose=0)
    assert model.optimizer is optimizer
    assert model.get_layer("conv1").output is not None  # an error if the layer was called again
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(predict(model, images), predictions)


def test_a_pruned_model_is_saved_and_predicts_the_same_in_a_process_that_knows_only_keras(tmp_path):
    pruned = prune(randomise(build_scnnb((28, 28, 1), 10)), 0.4)
    images = images_for(pruned)
    found = fresh_process.answers(pruned, images, tmp_path)
    np.testing.assert_array_equal([found], predict(pruned, images))


def test_a_model_compiled_with_custom_functions_is_pruned_and_not_compiled():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(6, 3), layers.Dense(2)])
    model.compile("adam", loss=lambda truth, answer: answer)
    assert not prune(model, 0.5).compiled
    assert not prune(keras.Model(model.inputs[0], model.outputs[0]), 0.5).compiled


def test_a_function_can_be_the_criterion():
    model = randomise(build_scnnb((8, 8, 1), 3))
    kernel = model.get_layer("conv1").get_weights()[0]
    weakest_last = prune(model, 0.5, criterion=lambda kernel: np.arange(kernel.shape[-1])[::-1])
    np.testing.assert_array_equal(
        weakest_last.get_layer("conv1").get_weights()[0], kernel[..., :16]
    )


def test_layer_ratios_are_used_instead_of_the_ratio():
    model = build_scnnb((8, 8, 1), 3)
    filters = [
        [prune(model, ratio, layer_ratios=ratios).get_layer(f"conv{n}").filters for n in (1, 2)]
        for ratio, ratios in [(0.5, {"conv1": 0.25}), (0, {"*2": 0.5}), (0.5, {"conv*": 0.25})]
    ]
    assert filters == [[24, 32], [32, 32], [24, 48]]


WRONG = {
    "criterion: expected l1, l2, largest, random, fpgm, .*, got 'l3'": {"criterion": "l3"},
    "strategy: expected independent or greedy, got 'best'": {"strategy": "best"},
    "ratio: expected a number from 0 .*, got 'half'": {"layer_ratios": {"conv1": "half"}},
    r"layer_ratios: expected {layer name or glob: ratio}, got \['conv1'\]": {
        "layer_ratios": ["conv1"]
    },
    r"criterion: expected l1, l2, .* or a function, got \['l1'\]": {"criterion": ["l1"]},
    "images: expected training images for criterion 'mean-std', got None": {
        "criterion": "mean-std"
    },
    "seed: expected a whole number from 0, got None": {"criterion": "random", "seed": None},
    "only: expected a list of layer paths, got 'conv1'": {"only": "conv1"},
    r"^only: expected layers .* can be removed \(conv1, conv2\), got fc1$": {
        "only": ["conv1", "fc1"]
    },
    "strategy: expected independent .*, got 'greedy'; .* kernels: l1, l2, largest, random": {
        "criterion": {"conv1": range(32)},
        "strategy": "greedy",
    },
    r"criterion: expected scores for conv2 \(Conv2D\), got none": {
        "criterion": {"conv1": range(32)}
    },
    "coupled: expected joint, shortcut, skip, got 'all'": {"coupled": "all"},
    "unsupported: expected keep or error, got 'skip'": {"unsupported": "skip"},
    "combine: expected sum, mean, max, got 'vote'": {"combine": "vote"},
    "layer_ratios: .* of a layer, got 'conv3'; similar names: conv2, conv1": {
        "layer_ratios": {"conv3": 0.5}
    },
    "ratio: expected a number from 0 .*, got 1.5": {"layer_ratios": {"conv1": 1.5}},
    "layer_ratios: expected ratio 0 for 'pool1', got 0.5: .* because it has no filters": {
        "layer_ratios": {"pool1": 0.5}
    },
    "for 'fc2', got 0.5: no filter of fc2 can be removed, because .* network's output": {
        "layer_ratios": {"fc2": 0.5}
    },
    "for 'fc1', got 0.5: .* it is not a convolution; dense=True prunes hidden Dense layers": {
        "layer_ratios": {"fc1": 0.5}
    },
    r"criterion: expected scores of shape \(32,\) for conv1 \(Conv2D\), got \(2,\)": {
        "criterion": lambda kernel: [1, 2]
    },
    r"criterion: expected finite scores for conv1 \(Conv2D\), got NaN": {
        "criterion": lambda kernel: np.full(kernel.shape[-1], np.nan)
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_argument_is_an_error_that_says_what_was_expected(message):
    with pytest.raises(ValueError, match=message):
        prune(build_scnnb((8, 8, 1), 3), 0.5, **WRONG[message])


@pytest.mark.parametrize("ratio", [1, -0.1, float("nan"), "0.5"])
def test_a_ratio_out_of_range_is_an_error(ratio):
    with pytest.raises(
        ValueError, match="ratio: expected a number from 0 up to, but not including, 1, got "
    ):
        prune(build_scnnb((8, 8, 1), 3), ratio)


def test_a_ratio_above_0_that_removes_no_filter_is_an_error_with_the_reason():
    images = keras.Input((4, 4, 3))
    single = keras.Model(images, layers.Dense(2)(layers.Conv2D(1, 1)(images)))
    with pytest.raises(
        ValueError, match="nothing would be pruned: no convolution has a filter that can be removed"
    ):
        prune(single, 0.5)
    with pytest.raises(
        ValueError, match="nothing would be pruned: .*channels that reach the network's output"
    ):
        prune(keras.Model(images, layers.Conv2D(4, 1)(images)), 0.5)
    with pytest.raises(ValueError, match="nothing would be pruned: it has no convolution"):
        prune(keras.Model(images, layers.ReLU()(images)), 0.5)
    prune(single, 0)


def test_a_warning_names_layers_not_pruned_because_of_a_normalisation_over_channels(caplog):
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="cut")(images)
    x = layers.LayerNormalization()(layers.Conv2D(8, 1, name="full")(x))
    with caplog.at_level(logging.WARNING):
        pruned = prune(keras.Model(images, layers.Dense(2)(x), name="mine"), 0.5)
    assert [pruned.get_layer(name).filters for name in ("cut", "full")] == [4, 8]
    prune(keras.Model(images, layers.Dense(2)(x), name="mine"), 0)  # no warning
    assert caplog.messages == [
        "mine: these layers are not pruned, because their channels enter a normalisation over "
        "channels: full"
    ]


def with_unsupported_layers():
    """Of five convolutions two reach a Lambda, one a softmax; `last` leads to the output only."""
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 1, name="cut")(images)
    left, right = (layers.Conv2D(8, 1, name=name)(x) for name in ("left", "right"))
    x = layers.Conv2D(8, 1, name="next")(layers.Lambda(lambda x: 2 * x, name="own")(left + right))
    x = layers.Conv2D(12, 1, name="last")(layers.Softmax(name="mix")(x))
    return randomise(keras.Model(images, layers.Reshape((-1, 3))(x), name="mine"))


REACHED = {
    "left, right": r"own \(Lambda\): there is no rule",
    "next": r"mix \(Softmax\): it computes",
}


def test_filters_that_reach_a_layer_without_a_rule_stay_and_one_warning_names_all(caplog):
    model = with_unsupported_layers()
    with caplog.at_level(logging.WARNING):
        pruned = prune(model, 0.5)
    kept = [pruned.get_layer(name).filters for name in ("cut", "left", "right", "next", "last")]
    assert kept == [4, 8, 8, 8, 12]
    (message,) = caplog.messages
    assert message.startswith("mine: these layers are not pruned, because no rule fits what their ")
    assert all(re.search(rf"{names} \[{why}", message) for names, why in REACHED.items())
    assert "last" not in message and "cut" not in message
    cut = {"cut": [1, 2, 4, 7]}
    pruned = prune(model, 0.5, criterion={"cut": [i in cut["cut"] for i in range(8)]})
    expected = predict(silenced(model, cut), images_for(model))
    np.testing.assert_allclose(predict(pruned, images_for(model)), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_that_the_user_leaves_unchanged_is_not_in_the_warning(caplog):
    model, ratios = with_unsupported_layers(), {"left": 0, "next": 0}
    prune(model, 0.5, layer_ratios=ratios)
    prune(model, 0.5, only=["cut"])
    prune(model, 0, layer_ratios={"cut": 0.5})
    prune(model, parameters=0.95, ranking="global", layer_ratios=ratios)
    assert caplog.messages == []
    prune(model, parameters=0.95, layer_ratios={"left": 0})
    (message,) = caplog.messages
    assert "next [mix" in message and "own" not in message


@pytest.mark.parametrize("ask", [prune, stages, lambda m, r, **o: planned_sizes(m, [r], **o)])
def test_filters_that_reach_layers_without_a_rule_are_an_error_that_names_all(ask):
    model = with_unsupported_layers()
    with pytest.raises(ValueError, match="^unsupported: expected a rule for each layer") as error:
        ask(model, 0.5, unsupported="error")
    assert all(re.search(rf"{names} \[{why}", str(error.value)) for names, why in REACHED.items())
    assert "last" not in str(error.value).replace("that are named first", "")
    ask(model, 0.5, unsupported="error", layer_ratios={"left": 0, "next": 0})


def test_a_ratio_for_a_layer_that_reaches_one_without_a_rule_is_an_error():
    message = r"layer_ratios: expected ratio 0 for 'next', got 0.5: .* because mix \(Softmax\)"
    with pytest.raises(ValueError, match=message):
        prune(with_unsupported_layers(), 0.5, layer_ratios={"next": 0.5})
    with pytest.raises(ValueError, match="for 'last', got 0.5: .* reach the network's output"):
        prune(with_unsupported_layers(), 0.5, layer_ratios={"last": 0.5})


def test_if_nothing_is_left_to_prune_the_error_lists_why():
    with pytest.raises(ValueError, match="mine: nothing would be pruned: no convolution") as error:
        prune(with_unsupported_layers(), 0.5, layer_ratios={"cut": 0})
    assert all(re.search(rf"{names} \[{why}", str(error.value)) for names, why in REACHED.items())
    assert "last [channels that reach the network's output" in str(error.value)
    assert "reshape" not in str(error.value)  # it only leads to the output


def test_a_target_out_of_reach_because_layers_stay_is_an_error_that_lists_them():
    with pytest.raises(ValueError, match="^parameters: .* can be reached, got 0.1: .*") as error:
        prune(with_unsupported_layers(), parameters=0.1)
    assert all(re.search(rf"{names} \[{why}", str(error.value)) for names, why in REACHED.items())


def test_a_subclassed_model_a_model_not_built_and_no_model_are_errors():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(TypeError, match="subclassed model"):
        prune(model, 0.5)
    with pytest.raises(ValueError, match="expected a built model, got "):
        prune(keras.Sequential([layers.Dense(2)]), 0.5)
    with pytest.raises(TypeError, match="model: expected a Keras model, got a str"):
        prune("model.keras", 0.5)


class OwnStep(keras.Model):
    """A Functional model that is trained in another way."""

    steps = []

    def train_step(self, *args):  # noqa: D102
        self.steps.append("mine")
        return super().train_step(*args)


class Counting(OwnStep):
    """As `OwnStep`, with something of its own."""

    def __init__(self, *args, **kwargs):  # noqa: D107
        super().__init__(*args, **kwargs)
        self.seen = keras.metrics.Mean()


class Demanding(OwnStep):
    """As `OwnStep`, but it cannot be made of inputs and outputs only."""

    def __init__(self, *args, **kwargs):  # noqa: D107
        self.rate = kwargs.pop("rate")
        super().__init__(*args, **kwargs)


class Backbone(OwnStep):
    """A model that makes its layers from a number of filters, as those of KerasHub do."""

    def __init__(self, filters, **kwargs):  # noqa: D107
        images = keras.Input((4, 4, 3))
        x = layers.Conv2D(filters, 1, name="conv1")(images)
        super().__init__(images, layers.Conv2D(filters, 1, name="conv2")(x), **kwargs)
        self.filters = filters

    def __call__(self, inputs, **options):
        """Refuse texts first, as the tasks of KerasHub do."""
        assert not isinstance(inputs, str)
        return super().__call__(inputs, **options)

    def get_config(self):  # noqa: D102
        return {"filters": self.filters, "name": self.name}


def of_class(make):
    inside = Backbone(4)
    return make(inside.input, layers.Dense(2)(layers.Flatten()(inside.output)))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: of_class(OwnStep), OwnStep),
        (lambda: of_class(Counting), Counting),
        (lambda: of_class(lambda *ends: Demanding(*ends, rate=3)), type(of_class(keras.Model))),
        (lambda: Backbone(4), type(of_class(keras.Model))),
    ],
)
def test_a_class_without_its_own_call_is_pruned_and_kept_if_it_takes_any_layers(model, expected):
    model = randomise(model())
    pruned = prune(model, 0.5)
    assert type(pruned) is expected and pruned.get_layer("conv1").filters == 2
    answers = predict(silenced(model, kept_filters(model, 0.5)), images_for(model))
    np.testing.assert_allclose(predict(pruned, images_for(model)), answers, rtol=1e-4, atol=1e-5)
    pruned.compile("sgd", "mse")
    OwnStep.steps.clear()
    pruned.fit(images_for(model), answers[0], verbose=0)
    assert bool(OwnStep.steps) is issubclass(expected, OwnStep)


@pytest.mark.parametrize("nested", [lambda: Backbone(4), lambda: of_class(Counting)])
def test_a_nested_model_of_a_class_without_its_own_call_is_pruned(nested):
    images = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(nested()(layers.Conv2D(3, 1)(images)))
    model = randomise(keras.Model(images, layers.Dense(2)(x)))
    pruned = prune(model, 0.5)
    assert pruned.layers[2].get_layer("conv1").filters == 2
    answers = predict(silenced(model, kept_filters(model, 0.5)), images_for(model))
    np.testing.assert_allclose(predict(pruned, images_for(model)), answers, rtol=1e-4, atol=1e-5)


def test_the_error_about_an_own_call_says_how_to_get_a_functional_model():
    class OwnCall(keras.Model):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Conv2D(4, 1), layers.Conv2D(2, 1)

        def call(self, inputs):
            return self.last(keras.ops.relu(self.first(inputs)))

    m, x = of_class(OwnCall), keras.Input((4, 4, 3))
    with pytest.raises(TypeError, match=re.escape("keras.Model(m.input, m.output)")):
        prune(m, 0.5)
    assert prune(keras.Model(m.input, m.output), 0.5).count_params() < m.count_params()
    m = Subclassed()
    m(np.zeros((1, 4, 4, 3)))
    with pytest.raises(TypeError, match=re.escape("keras.Model(x, m.call(x)) with x = keras.Inpu")):
        prune(m, 0.5)
    assert prune(keras.Model(x, m.call(x)), 0.5).count_params() < m.count_params()


def test_a_nested_subclassed_model_is_an_error_if_pruned_channels_reach_it():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    images = keras.Input((4, 4, 3))
    x = Subclassed(name="opaque")(layers.Conv2D(4, 1)(images))
    with pytest.raises(ValueError, match=r"opaque \(Subclassed\): there is no rule"):
        prune(keras.Model(images, layers.Dense(2)(x)), 0.5)


@pytest.mark.parametrize(
    "policy",
    [
        "float16",
        "bfloat16",
        pytest.param("float64", marks=not_on("jax", "it has no float64 by default")),
    ],
)
def test_a_network_in_any_precision_that_returns_a_dict_is_pruned(policy):
    images = keras.Input((4, 4, 3), dtype=policy)
    x = layers.Conv2D(4, 1, dtype=policy, name="conv1")(images)
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    model = keras.Model(images, {"classes": layers.Dense(2, "softmax", dtype=policy)(x)})
    values = np.random.default_rng(0).uniform(size=(6, 4, 4, 3))
    pruned = prune(model, 0.5, criterion="mean-std", images=values)
    assert pruned.get_layer("conv1").filters == 2
    for each in (pruned, model):
        assert keras.backend.standardize_dtype(each(values)["classes"].dtype) == policy
    judged = {"conv1": np.arange(4)}
    accuracy, rows = sensitivity.analyse(model, values, np.ones(6), criterion=judged)
    assert len(rows) == 9 and 0 <= accuracy <= 1
