"""Hidden Dense layers on vectors lose units with `dense=True`, and only then."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import layer_groups, planned_sizes, prune, sensitivity, stages, summary
from pruning.criteria import l1_norm
from scnnb.model import build_scnnb
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced

UNTOUCHED = "it is not a convolution; dense=True prunes hidden Dense layers, too"


def mlp():
    """A plain MLP of 4, 3 and 2 units for vectors of 5 values."""
    x = keras.Input((5,))
    y = layers.Dense(4, activation="relu", name="fc1")(x)
    y = layers.Dense(3, activation="relu", name="fc2")(y)
    return randomise(keras.Model(x, layers.Dense(2, name="last")(y)))


def normalised(x):
    x = layers.Dense(6, name="fc1")(layers.Flatten()(layers.Conv2D(4, 3, name="conv")(x)))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.Dense(5, activation="gelu")(layers.Dropout(0.5)(x))


def residual(x):
    x = layers.Dense(6)(layers.GlobalAveragePooling2D()(x))
    return layers.Concatenate()([x + layers.Dense(6, activation="relu")(x), layers.Dense(4)(x)])


def shared(x):
    x, reader = layers.Flatten()(x), layers.Dense(6, activation="relu")
    left, right = layers.Dense(5)(x), layers.Dense(5)(x)
    return layers.Concatenate()([reader(left), reader(right)])


def nested(x):
    inputs = keras.Input((8,))
    inner = keras.Model(inputs, layers.BatchNormalization()(layers.Dense(6)(inputs)))
    return layers.Dense(4)(inner(layers.Dense(8)(layers.Flatten()(x))))


def squeeze_and_excite(x):
    x = layers.Conv2D(8, 3, name="conv")(x)
    gate = layers.Dense(4, activation="relu", name="squeeze")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(8, activation="sigmoid", name="excite")(gate)
    return layers.Flatten()(layers.Multiply()([x, layers.Reshape((1, 1, 8))(gate)]))


@pytest.mark.parametrize("build", [normalised, residual, shared, nested, squeeze_and_excite])
def test_a_network_without_dense_units_equals_the_full_one_with_those_units_silenced(build):
    x = keras.Input((5, 5, 2))
    model = randomise(keras.Model(x, layers.Dense(3, name="last")(build(x))))
    kept, images = kept_filters(model, 0.4, dense=True), images_for(model)
    on_vectors = {layer.path.split("/")[-2] for layer in model.weights if "dense" in layer.path}
    assert on_vectors & {path.rsplit("/", 1)[-1] for path in kept} or "squeeze" in kept
    pruned = prune(model, 0.4, dense=True)
    assert error(predict(pruned, images), predict(silenced(model, kept), images)) < 1e-4
    (size,) = planned_sizes(model, [0.4], dense=True)[0.4]
    assert size.parameters == pruned.count_params()


def test_an_mlp_loses_the_units_whose_kernels_have_the_lowest_norm_and_never_those_of_its_output():
    model = mlp()
    first, second = (model.get_layer(name) for name in ("fc1", "fc2"))
    first.kernel.assign(np.ones((5, 4)) * [3, 1, 4, 2])
    second.kernel.assign(np.ones((4, 3)) * [2, 1, 3])
    kept = kept_filters(model, 0.5, dense=True)
    assert {name: indices.tolist() for name, indices in kept.items()} == {
        "fc1": [0, 2],  # the norms are 5 times 3, 1, 4, 2
        "fc2": [2],
    }
    pruned = prune(model, 0.5, dense=True)
    assert [layer.units for layer in pruned.layers[1:]] == [2, 1, 2]
    assert stages(model, 0.5, dense=True) == [["fc1"], ["fc2"]]


def test_without_dense_an_mlp_is_an_error_that_names_the_way_out():
    with pytest.raises(ValueError, match="no convolution; dense=True prunes hidden Dense layers"):
        prune(mlp(), 0.5)


def test_the_ratio_of_a_dense_layer_works_with_dense_only():
    assert prune(mlp(), 0, layer_ratios={"fc2": 0.3}, dense=True).get_layer("fc2").units == 2
    with pytest.raises(ValueError, match=f"ratio 0 for 'fc2', got 0.3: .* because {UNTOUCHED}"):
        prune(mlp(), 0, layer_ratios={"fc2": 0.3})
    with pytest.raises(ValueError, match="ratio 0 for 'last', got 0.3: .* network's output"):
        prune(mlp(), 0, layer_ratios={"last": 0.3}, dense=True)


def test_layer_groups_and_the_summary_know_dense_units():
    model = mlp()
    reasons = [row["not_pruned_because"] for row in layer_groups(model).rows[:2]]
    assert reasons == [UNTOUCHED] * 2
    assert [row["not_pruned_because"] for row in layer_groups(model, dense=True).rows[:2]] == [
        ""
    ] * 2
    rows = summary(model, prune(model, 0.5, dense=True)).rows
    found = [(row["layer"], row["filters_before"], row["filters_after"]) for row in rows]
    expected = [("fc1", 4, 2), ("fc2", 3, 1), ("last", None, None), ("total", None, None)]
    assert found == expected


def test_half_of_the_units_of_scnnb_leave_its_largest_layer():
    model = build_scnnb((4, 4, 1), 3)
    pruned = prune(model, 0.5, dense=True)
    before, after = (each.get_layer("fc1").kernel.shape for each in (model, pruned))
    assert after == (before[0] // 2, before[1] // 2)


def test_the_sensitivity_of_dense_units_is_measured_with_dense():
    model, vectors = mlp(), np.random.default_rng(0).uniform(size=(4, 5)).astype("float32")
    options = {"criterion": l1_norm, "dense": True}
    _, rows = sensitivity.analyse(model, vectors, np.zeros(4, int), **options)
    assert [row["layers"] for row in rows[::9]] == [["fc1"], ["fc2"]]


def test_the_spread_of_a_feature_map_cannot_judge_a_unit_that_has_a_single_value():
    with pytest.raises(ValueError, match="criterion: expected .* dense=True, got 'mean-std'"):
        prune(mlp(), 0.5, dense=True, criterion="mean-std", images=np.ones((2, 5)))
