"""pruning/rules: every layer type, cut, computes what the silenced full network computes."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from pruning import cost, graph, groups, plan, prune, rules, sizes
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced
from tests.versions import not_on


def network(build, shape=(8, 8, 6)):
    """A network with random weights whose last maps are read by a Dense layer."""
    inputs = keras.Input(shape)
    maps = build(inputs)
    features = maps if len(maps.shape) == 2 else layers.Flatten(name="last_flatten")(maps)
    return randomise(keras.Model(inputs, layers.Dense(3, name="last")(features)))


def stack(make):
    """The layers that `make` returns one after the other, behind a convolution."""

    def build(x):
        x = layers.Conv2D(8, 3, padding="same", name="conv1")(x)
        for layer in make():
            x = layer(x)
        return x

    return build


def conv(filters, x, size=1, **settings):
    return layers.Conv2D(filters, size, padding="same", **settings)(x)


def squeeze_and_excite(x):
    x = conv(8, x, 3)
    gate = layers.GlobalAveragePooling2D()(x)
    gate = layers.Dense(4, activation="relu")(gate)
    gate = layers.Dense(8, activation="sigmoid")(gate)
    return layers.Multiply()([x, layers.Reshape((1, 1, 8))(gate)])


def residual(x):
    x = conv(8, x)
    for _ in range(2):
        y = layers.BatchNormalization()(conv(12, layers.ReLU()(x)))
        x = layers.Add()([x, layers.BatchNormalization()(conv(8, y, 3))])
    return x


def zero_padded_shortcut(x):
    x = conv(4, x)
    shortcut = ops.pad(layers.MaxPooling2D(1, 2)(x), [[0, 0], [0, 0], [0, 0], [1, 3]])
    x = layers.Add()([conv(8, x, 3, strides=2), shortcut])
    return layers.ReLU()(x)


def merge(combine):
    return lambda x: combine(conv(8, x), conv(8, x, 3))


def attention_map(x):
    x = conv(8, x)
    return x * conv(1, x, activation="sigmoid")


def shared(x):
    reader = layers.Conv2D(4, 1, name="reader")
    return layers.Concatenate()([reader(conv(8, x)), reader(conv(8, x, 3))])


def block(name):
    inputs = keras.Input((8, 8, 8), name="block_input")
    x = layers.Conv2D(8, 3, padding="same", name="inner1")(inputs)
    return keras.Model(inputs, layers.BatchNormalization()(x) + inputs, name=name)


def nested_twice(x):
    twice = block("twice")
    return twice(twice(conv(8, x), training=False))


def nested_deep(x):
    inside = keras.Sequential([layers.Conv2D(8, 1, name="deep1"), layers.ReLU()], name="inside")
    inputs = keras.Input((8, 8, 8))
    outside = keras.Model(inputs, inside(inputs) + inputs, name="outside")
    return outside(conv(8, x))


def nested_with_two_inputs(x):
    left, right = keras.Input((8, 8, 8), name="left"), keras.Input((8, 8, 4), name="right")
    joined = layers.Concatenate()([left, layers.Conv2D(5, 1)(right)])
    inner = keras.Model({"left": left, "right": right}, [joined, left * 2.0], name="two")
    joined, doubled = inner({"left": conv(8, x), "right": conv(4, x)})
    return layers.Concatenate()([joined, doubled])


def nested_of_any_size(x):
    inputs = keras.Input((None, None, 8))
    flat = layers.Reshape((-1, 8))(conv(8, inputs, 3))
    return keras.Model(inputs, flat, name="any_size")(conv(8, x))


def channel_major(x):
    return layers.Flatten()(layers.Permute((3, 1, 2))(conv(8, x)))


def sums_on_another_axis(x):
    left, right = (layers.Permute((3, 1, 2))(conv(8, x, size)) for size in (1, 3))
    return layers.Permute((2, 3, 1))(left + right)


NETWORKS = {
    "strides": stack(lambda: [layers.Conv2D(6, 3, strides=2), layers.Conv2D(4, 2, use_bias=False)]),
    "dilation": stack(lambda: [layers.Conv2D(6, 2, dilation_rate=2, activation="gelu")]),
    "grouped": stack(
        lambda: [layers.Conv2D(8, 1), layers.Conv2D(12, 3, groups=4), layers.Conv2D(4, 1)]
    ),
    "grouped, one channel each": stack(
        lambda: [layers.Conv2D(16, 3, groups=8), layers.Conv2D(4, 1)]
    ),
    "transposed": stack(lambda: [layers.Conv2DTranspose(6, 3, strides=2), layers.Conv2D(4, 1)]),
    "depthwise": stack(
        lambda: [layers.DepthwiseConv2D(3, depth_multiplier=3), layers.Conv2D(4, 1)]
    ),
    "depthwise, no bias": stack(lambda: [layers.DepthwiseConv2D(3, use_bias=False), layers.ReLU()]),
    "separable": stack(
        lambda: [layers.SeparableConv2D(6, 3, depth_multiplier=2), layers.Conv2D(4, 1)]
    ),
    "dense on maps": stack(lambda: [layers.Dense(6), layers.Dense(5, use_bias=False)]),
    "dense on vectors": stack(lambda: [layers.Flatten(), layers.Dense(6), layers.Dense(5)]),
    "norm": stack(lambda: [layers.BatchNormalization(axis=3), layers.ReLU(), layers.Conv2D(4, 1)]),
    "norm without scale": stack(lambda: [layers.BatchNormalization(scale=False)]),
    "norm without center": stack(lambda: [layers.BatchNormalization(center=False)]),
    "norm without either": stack(lambda: [layers.BatchNormalization(scale=False, center=False)]),
    "layer norm": stack(lambda: [layers.Conv2D(6, 1), layers.LayerNormalization()]),
    "root mean square norm": stack(lambda: [layers.Conv2D(6, 1), layers.RMSNormalization()]),
    "group norm": stack(lambda: [layers.Conv2D(6, 1), layers.GroupNormalization(3)]),
    "fixed norm": stack(lambda: [layers.Normalization(mean=[0.1] * 7 + [3], variance=range(1, 9))]),
    "fixed norm, one for all": stack(
        lambda: [layers.Normalization(axis=None, mean=2.0, variance=3.0)]
    ),
    "adapted norm": stack(lambda: [layers.Normalization()]),
    "rescaling": stack(
        lambda: [layers.Rescaling(2.0, 1.0), layers.Rescaling([*range(1, 9)], [1.0] * 8)]
    ),
    "slopes": stack(
        lambda: [layers.PReLU(), layers.Conv2D(4, 1), layers.PReLU(shared_axes=[1, 2])]
    ),
    "one slope for all channels": stack(lambda: [layers.PReLU(shared_axes=[1, 2, 3])]),
    "activation layers": stack(lambda: [layers.ReLU(), layers.LeakyReLU(), layers.ELU()]),
    "softmax over positions": stack(lambda: [layers.Softmax(axis=(1, 2))]),
    "dropouts": stack(
        lambda: [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.AlphaDropout(0.5)]
    ),
    "noises": stack(
        lambda: [layers.GaussianNoise(1), layers.GaussianDropout(0.5), layers.Identity()]
    ),
    "regularization": stack(lambda: [layers.ActivityRegularization(l1=0.1)]),
    "pools": stack(lambda: [layers.MaxPooling2D(2), layers.AveragePooling2D(2, padding="same")]),
    "global pool": stack(lambda: [layers.GlobalAveragePooling2D()]),
    "global pool, dimensions kept": stack(lambda: [layers.GlobalMaxPooling2D(keepdims=True)]),
    "sizes": stack(lambda: [layers.ZeroPadding2D(2), layers.Cropping2D(1), layers.UpSampling2D(2)]),
    "padded, then norm": stack(lambda: [layers.ZeroPadding2D(1), layers.BatchNormalization()]),
    "flatten twice": stack(lambda: [layers.Flatten(), layers.Flatten()]),
    "reshape": stack(
        lambda: [layers.Reshape((-1, 8)), layers.Conv1D(4, 3), layers.Reshape((31, 2, 4))]
    ),
    "reshape, the channels inside": stack(lambda: [layers.Reshape((2, 4, 8, 8))]),
    "permute": stack(lambda: [layers.Permute((2, 1, 3))]),
    "permute and flatten": channel_major,
    "concatenate": lambda x: layers.Concatenate()([conv(8, x), x, conv(4, x, 3)]),
    "concatenate, positions": lambda x: layers.Concatenate(axis=1)([conv(8, x), conv(8, x, 3)]),
    "concatenate, then depthwise": lambda x: layers.DepthwiseConv2D(3)(
        layers.Concatenate()([conv(8, x), conv(4, x)])
    ),
    "the same twice": lambda x: layers.Concatenate()([y := conv(8, x), layers.ReLU()(y)]),
    "nested, of any image size": nested_of_any_size,
    "norm over rows": stack(lambda: [layers.LayerNormalization(axis=1)]),
    "relu with a limit": lambda x: keras.activations.relu(conv(8, x), max_value=3.0),
    "rescaling by an array": stack(lambda: [layers.Rescaling(np.arange(1.0, 9))]),
    "add": merge(lambda x, y: layers.Add()([x, y])),
    "subtract": merge(lambda x, y: layers.Subtract()([x, y])),
    "multiply": merge(lambda x, y: layers.Multiply()([x, y])),
    "average": merge(lambda x, y: layers.Average()([x, y])),
    "maximum": merge(lambda x, y: layers.Maximum()([x, y])),
    "minimum": merge(lambda x, y: layers.Minimum()([x, y])),
    "x + y": merge(lambda x, y: x + y),
    "x - y": merge(lambda x, y: x - y),
    "x * y": merge(lambda x, y: x * y),
    "max(x, y)": merge(ops.maximum),
    "min(x, y)": merge(ops.minimum),
    "numbers": merge(lambda x, y: (2.0 * x + 1.0) / 3.0 - y),
    "relu as an operation": merge(lambda x, y: ops.relu(x) + ops.hard_silu(y)),
    "different ranks": lambda x: layers.Add()(
        [y := conv(8, x), layers.Dense(8)(layers.GlobalAveragePooling2D()(y))]
    ),
    "squeeze and excite": squeeze_and_excite,
    "attention map": attention_map,
    "residual": residual,
    "zero-padded shortcut": zero_padded_shortcut,
    "sums on another axis": sums_on_another_axis,
    "shared": shared,
    "nested": lambda x: block("nested")(conv(8, x)),
    "nested, called twice": nested_twice,
    "nested in nested": nested_deep,
    "nested with two inputs": nested_with_two_inputs,
    "nested at the input": lambda x: keras.Sequential([layers.Conv2D(8, 3)], name="first")(x),
}
OTHER_DIMENSIONS = {
    "1D": ((16, 6), lambda x: _in_dimensions(x, 1)),
    "2D": ((8, 8, 6), lambda x: _in_dimensions(x, 2)),
    "3D": ((6, 6, 6, 4), lambda x: _in_dimensions(x, 3)),
}


def _in_dimensions(x, d):
    def layer(name, *args, **settings):
        return getattr(layers, name.format(d), layers.Identity)(*args, **settings)

    x = layer("Conv{}D", 6, 3, padding="same")(x)
    x = layer("SpatialDropout{}D", 0.5)(layer("UpSampling{}D", 2)(x))
    x = layer("ZeroPadding{}D", 1)(layer("Cropping{}D", 1)(x))
    if d == 1:
        x = layers.DepthwiseConv1D(3)(x)
        x = layers.SeparableConv1D(8, 3)(x)
    x = layer("MaxPooling{}D", 2)(layer("Conv{}DTranspose", 6, 2)(x))
    x = layer("AveragePooling{}D", 2)(layer("Conv{}D", 5, 1)(x))
    pooled = [layer("GlobalMaxPooling{}D")(x), layer("GlobalAveragePooling{}D")(x)]
    if hasattr(layers, "AdaptiveMaxPooling2D"):
        adapted = [layer(f"Adaptive{kind}Pooling{{}}D", 2)(x) for kind in ("Max", "Average")]
        pooled += [layer("GlobalMaxPooling{}D")(a) for a in adapted]
    return layers.Add()(pooled)


def assert_equals_the_silenced_network(model, ratio=0.5, coupled="joint"):
    images = images_for(model)
    expected = predict(silenced(model, kept_filters(model, ratio, coupled)), images)
    pruned = prune(model, ratio, coupled=coupled)
    assert pruned.count_params() < model.count_params()
    wanted = plan.request(ratio, {}, coupled)
    ((_, *planned),) = sizes.planned(groups.find(model), wanted, iterative=False)
    assert planned == [pruned.count_params(), cost.macs(pruned)]
    assert error(predict(pruned, images), expected) < 1e-4
    assert error(predict(model, images), expected) > 1e-3  # removing did matter
    return pruned


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=not_on("torch", "Keras normalises its last axes only"))
        if name == "norm over rows"
        else name
        for name in NETWORKS
    ],
)
def test_the_pruned_network_equals_the_full_one_with_those_filters_silenced(name):
    assert_equals_the_silenced_network(network(NETWORKS[name]))


@pytest.mark.parametrize("name", OTHER_DIMENSIONS)
def test_the_same_holds_in_one_two_and_three_dimensions(name):
    shape, build = OTHER_DIMENSIONS[name]
    assert_equals_the_silenced_network(network(build, shape))


def test_the_same_holds_for_every_activation_that_leaves_channels_apart():
    def build(x):
        return layers.Concatenate()(
            [layers.Activation(each)(conv(4, x, activation=each)) for each in rules.ELEMENTWISE]
        )

    assert_equals_the_silenced_network(network(build, (3, 3, 4)))


def test_every_rule_is_exercised():
    built = [network(build) for build in NETWORKS.values()]
    built += [network(build, shape) for shape, build in OTHER_DIMENSIONS.values()]
    exercised = {type(call.layer) for model in built for call in graph.trace(model).calls}
    assert set(rules.RULES) - exercised == {layers.Activation}  # in a test of its own


def test_the_layers_of_keras_applications_have_rules_too():
    convnext = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3))
    (name,) = [layer.name for layer in convnext.layers if "block_0_layer_scale" in layer.name][:1]
    scale = type(convnext.get_layer(name))
    assert_equals_the_silenced_network(
        network(stack(lambda: [scale(0.5, 8), scale(2.0, projection_dim=8)]))
    )


REFUSED = {
    r"mixes \(Conv2D\): its activation is not known to leave channels apart": stack(
        lambda: [layers.Conv2D(4, 1, activation="softmax", name="mixes")]
    ),
    r"mixes \(Conv2D\): its activation is not known to leave": stack(
        lambda: [layers.Conv2D(4, 1, activation=layers.PReLU(), name="mixes")]
    ),
    r"mixes \(Activation\): its activation is not known to leave": stack(
        lambda: [layers.Activation("softmax", name="mixes")]
    ),
    r"mixes \(Softmax\): it computes each value from all channels": stack(
        lambda: [layers.Softmax(name="mixes")]
    ),
    r"other \(UnitNormalization\): there is no rule for this type": stack(
        lambda: [layers.UnitNormalization(name="other")]
    ),
    r"other \(Lambda\): there is no rule for this type": stack(
        lambda: [layers.Lambda(lambda x: 2 * x, name="other")]
    ),
    r"get_item.* \(GetItem\): there is no rule": lambda x: conv(8, x)[..., :4],
    r"first \(MaxPooling2D\): its channels come first": stack(
        lambda: [layers.MaxPooling2D(data_format="channels_first", name="first")]
    ),
    r"rows \(BatchNormalization\): it normalises axis 1": stack(
        lambda: [layers.BatchNormalization(axis=1, name="rows")]
    ),
    r"rows \(Normalization\): it normalises axis": stack(
        lambda: [layers.Normalization(axis=(1, 3), name="rows")]
    ),
    r"list \(Rescaling\): its scale are not one for each channel": lambda x: layers.Rescaling(
        np.ones((8, 8)).tolist(), name="list"
    )(conv(8, x)),
    r"apart \(Reshape\): no axis of its output holds the channels": stack(
        lambda: [layers.Reshape((64, 4, 2), name="apart")]
    ),
    r"turned \(Conv2D\): the channels that reach it are not on its last axis": stack(
        lambda: [layers.Permute((3, 1, 2)), layers.Conv2D(4, 1, name="turned")]
    ),
    r"crossed \(Add\): its inputs hold their channels on different axes": lambda x: layers.Add(
        name="crossed"
    )([conv(8, x), layers.Permute((1, 3, 2))(conv(8, x))]),
    r"crossed \(Concatenate\): its inputs hold their": lambda x: layers.Concatenate(name="crossed")(
        [conv(8, x), layers.Permute((1, 3, 2))(conv(8, x))]
    ),
    r"crossed \(Multiply\): its inputs hold their": lambda x: layers.Multiply(name="crossed")(
        [conv(8, x), layers.Permute((3, 1, 2))(conv(1, x))]
    ),
    r"noise \(Dropout\): the shape of its noise": stack(
        lambda: [layers.Dropout(0.5, noise_shape=(None, 1, 1, 8), name="noise")]
    ),
    r"rows \(Rescaling\): its scale are not": stack(
        lambda: [layers.Rescaling([[float(n)] for n in range(8)], name="rows")]
    ),
    r"add.* \(Add\): one of its inputs is a constant array": lambda x: (
        conv(8, x) + np.ones(8, "float32")
    ),
    r"pad.* \(Pad\): it pads channels with something else than 0": lambda x: ops.pad(
        conv(8, x), [[0, 0], [0, 0], [0, 0], [1, 1]], mode="reflect"
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_cut_exactly_is_refused_by_layer_type_and_reason(message):
    with pytest.raises(ValueError, match=message):
        prune(network(REFUSED[message]), 0.5)


@pytest.mark.parametrize("message", ["other", "mixes", "rows"])
def test_a_layer_without_a_rule_off_the_pruned_path_is_copied(message):
    def build(x):
        x = layers.UnitNormalization(name="other")(x)  # on the images
        x = layers.Softmax(name="mixes")(x)
        return conv(4, layers.BatchNormalization(axis=1, name="rows")(conv(8, x)))

    model = network(build)
    pruned = prune(model, 0.5, layer_ratios={"conv2d*": 0, model.layers[-3].name: 0.5})
    assert type(pruned.get_layer(message)) is type(model.get_layer(message))
    weights = [layer.get_layer(message).get_weights() for layer in (model, pruned)]
    for full, copied in zip(*weights, strict=True):
        np.testing.assert_array_equal(full, copied)


def test_weights_that_a_rule_does_not_know_are_refused():
    model = network(stack(lambda: [layers.Conv2D(4, 1, name="adapted")]))
    model.get_layer("adapted").enable_lora(2)
    with pytest.raises(ValueError, match=r"adapted \(Conv2D\): it holds LoRA"):
        prune(model, 0.5)


def test_flatten_of_unknown_size_is_refused():
    inputs = keras.Input((None, None, 3))
    pooled = layers.Reshape((-1, 4), name="flat")(layers.Conv2D(4, 1)(inputs))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(layers.Conv1D(2, 1)(pooled)))
    with pytest.raises(ValueError, match=r"flat \(Reshape\): the size of its input is not fixed"):
        prune(model, 0.5)


@keras.saving.register_keras_serializable("tests")
class Offset(keras.layers.Layer):
    """A custom layer: one number per channel is added."""

    def build(self, shape):  # noqa: D102
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")

    def call(self, x):  # noqa: D102
        return x + self.offset


def test_a_custom_layer_can_be_taught(monkeypatch):
    model = network(stack(lambda: [Offset(name="taught"), layers.Conv2D(4, 1)]))
    with pytest.raises(ValueError, match=r"taught \(Offset\): there is no rule for this type"):
        prune(model, 0.5)
    monkeypatch.setitem(rules.RULES, Offset, rules.per_channel)
    pruned = assert_equals_the_silenced_network(model)
    assert pruned.get_layer("taught").offset.shape == (4,)


def test_a_taught_rule_that_is_wrong_is_named(monkeypatch):
    model = network(stack(lambda: [Offset(name="taught")]))
    monkeypatch.setitem(rules.RULES, Offset, lambda call, incoming, new: None)
    with pytest.raises(ValueError, match=r"taught \(Offset\): its rule returns NoneType; let it"):
        prune(model, 0.5)
    monkeypatch.setitem(rules.RULES, Offset, rules.same_channels)
    with pytest.raises(ValueError, match=r"taught \(Offset\): its weights or outputs are not"):
        prune(model, 0.5)


@pytest.mark.parametrize("turned_first", [True, False])
def test_a_shared_layer_with_one_call_that_cannot_be_cut_is_refused_at_all(turned_first):
    images = keras.Input((8, 8, 8))
    shared = layers.Dense(8, name="shared")
    calls = [layers.Permute((3, 1, 2))(images), images]
    outputs = [shared(x) for x in (calls if turned_first else calls[::-1])]
    heads = [layers.Dense(2)(layers.Flatten()(output)) for output in outputs]
    model = keras.Model(images, heads)
    with pytest.raises(ValueError, match=r"shared \(Dense\)"):
        prune(model, 0.5)


def test_a_subclass_of_a_known_layer_is_not_taken_for_it():
    class Standardized(layers.Conv2D):
        def call(self, x):
            return super().call(x) - 1

    with pytest.raises(ValueError, match=r"own \(Standardized\): there is no rule for this type"):
        prune(network(stack(lambda: [Standardized(4, 1, name="own")])), 0.5)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda dense: dense.quantize("int8"), "it is quantised; prune first, then quantise"),
        (lambda dense: dense.enable_lora(2), "it holds LoRA's weights .*; merge LoRA first"),
    ],
)
def test_weights_that_a_rule_does_not_know_are_told_by_their_cause(change, reason):
    model = network(stack(lambda: [layers.Dense(4, name="changed")]))
    change(model.get_layer("changed"))
    with pytest.raises(ValueError, match=rf"changed \(Dense\): {reason}"):
        prune(model, 0.5)


def test_a_rule_that_does_not_fit_the_weights_is_told(monkeypatch):
    monkeypatch.setitem(rules.RULES, layers.Dense, rules.same_channels)
    model = network(stack(lambda: [layers.Dense(8, name="changed")]))
    with pytest.raises(ValueError, match=r"changed \(Dense\): its weights .* its rule knows; filt"):
        prune(model, 0.5)


def test_a_quantised_layer_whose_weights_stand_in_another_order_is_not_copied():
    model = network(stack(lambda: [layers.Dense(8, name="changed")]))
    model.get_layer("changed").quantize("float8")
    with pytest.raises(
        ValueError, match=r"changed \(Dense\): it cannot be copied: it is quantised"
    ):
        prune(model, 0)


@keras.saving.register_keras_serializable("tests")
def doubled_swish(x):
    return 2 * x * ops.sigmoid(x)


def test_an_activation_of_ones_own_can_be_declared_elementwise(monkeypatch):
    model = network(stack(lambda: [layers.Conv2D(6, 1, activation=doubled_swish, name="own")]))
    with pytest.raises(ValueError, match=r"own \(Conv2D\): its activation is not known to leave"):
        prune(model, 0.5)
    monkeypatch.setattr(rules.flow, "ELEMENTWISE", rules.ELEMENTWISE | {doubled_swish})
    pruned = assert_equals_the_silenced_network(model)
    assert pruned.get_layer("own").activation is doubled_swish


def test_channels_that_stay_in_any_case_make_no_error_of_a_layer_without_a_rule():
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name="cut")(images)
    head = layers.Conv2D(4, 1, name="head")(x)  # reaches an output, and a layer without a rule
    model = keras.Model(images, [head, layers.UnitNormalization()(head)])
    pruned = prune(model, 0.5)
    assert [pruned.get_layer(name).filters for name in ("cut", "head")] == [2, 4]
