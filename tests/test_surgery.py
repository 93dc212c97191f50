"""pruning/surgery.py: cuts worked out by hand, and cuts that are errors."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import graph, groups, prune, surgery
from scnnb.model import build_scnnb
from tests.silenced import error, images_for, predict, randomise


def weights_of(model):
    return {layer.name: [w.tolist() for w in layer.get_weights()] for layer in model.layers}


def test_the_filters_of_lowest_l1_norm_are_removed_with_the_weights_that_read_them():
    model = keras.Sequential(
        [
            keras.Input((1, 2, 1)),
            layers.Conv2D(3, 1, name="conv1"),
            layers.BatchNormalization(name="norm1"),
            layers.Flatten(name="flatten"),
            layers.Dense(1, name="fc1"),
        ]
    )
    model.get_layer("conv1").set_weights([np.array([[[[3.0, -1.0, 2.0]]]]), np.array([10, 11, 12])])
    model.get_layer("norm1").set_weights([np.arange(3) + start for start in (20, 30, 40, 50)])
    model.get_layer("fc1").set_weights([np.arange(6).reshape(6, 1), np.array([7.0])])
    found = weights_of(prune(model, 0.1))  # ceil(0.3) = 1: filter 1
    assert found["conv1"] == [[[[[3.0, 2.0]]]], [10, 12]]
    assert found["norm1"] == [[20, 22], [30, 32], [40, 42], [50, 52]]
    assert found["fc1"] == [[[0], [2], [3], [5]], [7]]  # two positions of three channels


def residual():
    """Two convolutions joined by an Add; the lowest filter is 1 in the first, 2 in the second."""
    images = keras.Input((1, 1, 1), name="images")
    sides = [layers.Conv2D(3, 1, name=name)(images) for name in ("left", "right")]
    model = keras.Model(images, layers.Dense(1, name="fc1")(layers.Add()(sides)))
    for name, kernel in (("left", [5.0, 1.0, 4.0]), ("right", [2.0, 7.0, 1.0])):
        model.get_layer(name).set_weights([np.reshape(kernel, (1, 1, 1, 3)), np.zeros(3)])
    model.get_layer("fc1").set_weights([np.array([[10.0], [20.0], [30.0]]), np.zeros(1)])
    return model


def test_coupled_filters_are_removed_together_the_lowest_sum_first():
    found = weights_of(prune(residual(), 0.3))  # sums 7, 8, 5
    assert found["left"] == [[[[[5.0, 1.0]]]], [0, 0]]
    assert found["right"] == [[[[[2.0, 7.0]]]], [0, 0]]
    assert found["fc1"] == [[[10.0], [20.0]], [0]]


def test_keeping_different_filters_in_coupled_layers_is_an_error():
    channels = groups.find(graph.functional(residual()))
    with pytest.raises(ValueError, match="left keeps filters that are coupled to removed ones"):
        surgery.cut(channels, {"left": [0, 1], "right": [1, 2]})
    with pytest.raises(
        ValueError, match="fc1 .*: these filters cannot be removed: channels that reach"
    ):
        surgery.cut(channels, {"fc1": []})
    with pytest.raises(ValueError, match="kept: expected layers with filters, got add"):
        surgery.cut(channels, {"add": [0]})
    cut = surgery.cut(channels, {"left": [1, 2]})  # `right` loses the same filter
    assert cut.get_layer("right").get_weights()[0].ravel().tolist() == [7, 1]


def test_ratio_0_gives_bit_identical_weights_and_predictions():
    model = randomise(build_scnnb((28, 28, 1), 10))
    copy = prune(model, 0)
    for before, after in zip(model.get_weights(), copy.get_weights(), strict=True):
        assert before.tobytes() == after.tobytes()
    images = images_for(model)
    np.testing.assert_array_equal(predict(model, images), predict(copy, images))
    assert copy is not model


def test_layer_names_order_and_settings_are_kept():
    model = randomise(build_scnnb((8, 8, 1), 3))
    model.get_layer("conv1").trainable = False
    pruned = prune(model, 0.5)
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in model.layers]
    assert [type(layer) for layer in pruned.layers] == [type(layer) for layer in model.layers]
    assert not pruned.get_layer("conv1").trainable
    assert pruned.name == model.name


def test_inputs_keep_names_that_keras_gave_them():
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(4, 1), layers.Dense(2)])
    plain = graph.functional(model)
    assert [la.name for la in prune(model, 0.5).layers] == [la.name for la in plain.layers]


def test_nested_models_stay_nested_and_shared_layers_stay_shared():
    shared = layers.Conv2D(6, 1, name="shared")
    inside = keras.Sequential([layers.Conv2D(6, 1, name="inner"), shared], name="inside")
    images = keras.Input((4, 4, 6))
    x = inside(layers.Conv2D(6, 1, name="first")(images))
    model = randomise(keras.Model(images, layers.Dense(2)(shared(x))))
    model.get_layer("inside").trainable = False
    pruned = prune(model, 0.5)
    nested = pruned.get_layer("inside")
    assert [layer.filters for layer in nested.layers if layer.weights] == [3, 3]
    assert nested.get_layer("shared") is pruned.get_layer("shared")
    assert not nested.trainable and not nested.trainable_weights
    assert pruned.get_layer("first").filters == 3  # `shared` reads both and couples them


def test_several_inputs_and_outputs_keep_their_names_and_structure():
    left, right = keras.Input((5, 5, 3), name="left"), keras.Input((6, 4, 3), name="right")
    conv, flatten = layers.Conv2D(6, 3, name="conv"), layers.Flatten(name="flatten")
    outputs = {
        "a": layers.Dense(2, name="a")(flatten(conv(left))),  # 3 * 3 positions
        "b": layers.Dense(2, name="b")(flatten(conv(right))),  # 4 * 2 positions
    }
    model = randomise(keras.Model({"left": left, "right": right}, outputs))
    pruned = prune(model, 0.5)
    images = {"left": np.ones((1, 5, 5, 3)), "right": np.ones((1, 6, 4, 3))}
    assert {name: out.shape for name, out in pruned(images).items()} == {"a": (1, 2), "b": (1, 2)}
    assert pruned.get_layer("a").kernel.shape == (27, 2)
    assert pruned.get_layer("b").kernel.shape == (24, 2)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_kept(policy):
    def build(dtype):
        conv = [layers.Conv2D(8, 3, dtype=dtype, name=f"conv{n}") for n in (1, 2)]
        stack = [keras.Input((8, 8, 3)), *conv, layers.Flatten(dtype=dtype), layers.Dense(2)]
        return randomise(keras.Sequential(stack))

    mixed, full = prune(build(policy), 0.5), prune(build("float32"), 0.5)
    assert mixed.get_layer("conv1").dtype_policy.name == policy
    assert mixed.get_layer("conv1").kernel.dtype == "float32"
    for a, b in zip(mixed.get_weights(), full.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    images = images_for(full)
    assert error(predict(mixed, images), predict(full, images)) < 0.05  # bfloat16 has 8 bits


def test_a_layer_that_cannot_be_copied_is_an_error_with_its_name():
    class NoConfig(keras.layers.Layer):
        def __init__(self, secret):
            super().__init__(name="secret")
            self.inner = layers.Identity()

        def call(self, x):
            return x

        def get_config(self):
            raise NotImplementedError("no config")

    images = keras.Input((4, 4, 3))
    x = layers.Flatten()(layers.Conv2D(4, 1)(NoConfig(1)(images)))
    with pytest.raises(ValueError, match=r"secret \(NoConfig\): it cannot be copied.*no config"):
        prune(keras.Model(images, layers.Dense(2)(x)), 0.5)


def test_a_layer_whose_learned_state_is_not_in_its_weights_is_an_error():
    words = keras.Input((4,))
    bins = layers.Discretization(num_bins=3, name="bins")
    bins.adapt(np.arange(10.0))
    x = layers.Conv1D(4, 1)(layers.Embedding(4, 6)(bins(words)))
    model = keras.Model(words, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))
    with pytest.raises(
        ValueError, match=r"bins \(Discretization\): it cannot be copied: its weights do"
    ):
        prune(model, 0.5)


def test_an_initializer_that_fits_only_the_full_layer_is_an_error_with_its_name():
    initial = keras.initializers.Constant([1.0, 2, 3, 4])
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, bias_initializer=initial, name="initial")(images)
    with pytest.raises(ValueError, match=r"initial \(Conv2D\): it cannot be built smaller"):
        prune(keras.Model(images, layers.Dense(2)(x)), 0.5)


def test_a_nested_model_with_a_list_of_inputs_that_is_called_with_a_dict_is_an_error():
    parts = [keras.Input((4, 4, 2), name=name) for name in ("z", "a")]
    inner = keras.Model(parts, layers.Concatenate()(parts), name="inner")
    images = keras.Input((4, 4, 2))
    x = inner({"a": layers.Conv2D(2, 1)(images), "z": images})
    with pytest.raises(
        ValueError, match=r"inner \(Functional\): its inputs are a dict .* call it as it is"
    ):
        prune(keras.Model(images, layers.Dense(2)(x)), 0.5)


@pytest.mark.filterwarnings("ignore:Layer 'nested'.*passed an input with a mask:UserWarning")
def test_a_mask_for_a_nested_model_is_not_one_of_its_inputs():
    inputs, words = keras.Input((6, 6)), keras.Input((6,), dtype="int32")
    nested = keras.Model(inputs, layers.Dense(8)(inputs), name="nested")
    x = nested(layers.Embedding(20, 6, mask_zero=True)(words))
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 1, name="conv1")(x))
    pruned = prune(keras.Model(words, layers.Dense(2)(x)), 0.5)
    assert pruned.get_layer("nested").layers[-1].units == 4
    assert pruned.get_layer("conv1").filters == 2


def test_frozen_layers_stay_frozen_and_the_others_stay_trainable():
    model = build_scnnb((8, 8, 1), 3)
    model.trainable = False
    model.get_layer("conv1").trainable = True
    pruned = prune(model, 0.5)
    assert (pruned.trainable, pruned.get_layer("conv1").trainable) == (False, True)
    assert not pruned.get_layer("conv2").trainable
    assert len(pruned.trainable_weights) == len(model.trainable_weights) == 0


def test_a_layer_ratio_may_name_any_path_of_a_shared_layer():
    shared = layers.Conv2D(8, 1, name="shared")
    images = keras.Input((4, 4, 3))
    sides = []
    for name in ("a", "b"):
        inputs = keras.Input((4, 4, 3))
        sides.append(keras.Model(inputs, shared(inputs), name=name)(images))
    model = keras.Model(images, layers.Dense(2)(layers.Add()(sides)))
    for path in ("a/shared", "b/shared"):
        pruned = prune(model, 0, layer_ratios={path: 0.25})
        assert pruned.get_layer("a").get_layer("shared").filters == 6


def test_renewed_has_new_weights_but_keeps_what_preprocessing_learned_from_data():
    shared = layers.Conv2D(4, 1, name="shared")
    adapted = layers.Normalization(name="adapted")
    inner = keras.Sequential([keras.Input((4, 4, 3)), adapted, shared], name="inner")
    images = keras.Input((4, 4, 3))
    frozen = layers.Conv2D(3, 1, name="frozen", trainable=False)
    x = layers.Add()([inner(frozen(images)), shared(images)])
    model = keras.Model(images, layers.Dense(2, name="last")(x))
    adapted.adapt(np.random.default_rng(0).uniform(size=(9, 4, 4, 3)))
    pruned = prune(randomise(model), 0.5, only=["inner/shared"])
    new = surgery.renewed(groups.find(pruned))
    pairs = list(zip(pruned.weights, new.weights, strict=True))
    assert [old.path for old, _ in pairs] == [other.path for _, other in pairs]
    kept = {old.name for old, other in pairs if np.array_equal(old.numpy(), other.numpy())}
    assert kept == {"mean", "variance", "count"}
    assert new.get_layer("last").bias.numpy().tolist() == [0, 0]
    assert new.get_layer("frozen").trainable
    found = [each.get_layer("inner").get_layer("adapted") for each in (pruned, new)]
    np.testing.assert_array_equal(*(layer(np.ones((1, 4, 4, 3))) for layer in found))


def test_values_that_are_replaced_are_not_drawn_and_initializers_stay(monkeypatch):
    def layer(filters):
        return layers.Conv2D(
            filters,
            1,
            kernel_initializer=keras.initializers.HeNormal(seed=3),
            name=f"conv{filters}",
        )

    model = keras.Sequential([keras.Input((4, 4, 1)), layer(4), layer(6), layer(2)])
    with monkeypatch.context() as patch:
        patch.delattr(keras.initializers.VarianceScaling, "__call__")
        small = prune(model, 0.5)
    again = keras.models.clone_model(small)
    for conv in model.layers:
        new, other = (each.get_layer(conv.name) for each in (small, again))
        assert conv.get_config()["kernel_initializer"] == new.get_config()["kernel_initializer"]
        assert np.array_equal(other.get_weights()[0], conv.kernel_initializer(new.kernel.shape))


def test_what_a_layer_of_ones_own_draws_when_built_is_kept():
    class Drawn(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.initializer = keras.initializers.RandomNormal(seed=3)

        def build(self, shape):
            self.noise = self.initializer(shape[1:])

        def call(self, x):
            return x + self.noise

    images = keras.Input((4, 4, 1))
    x = layers.Conv2D(4, 1)(Drawn()(images))
    model = keras.Model(images, layers.Dense(2)(x))
    drawn = model.layers[1].noise
    assert np.array_equal(prune(model, 0.5).layers[1].noise, drawn)
