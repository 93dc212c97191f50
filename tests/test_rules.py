"""pruning/rules: each layer type computes what the silenced network does after a cut."""

import functools
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from pruning import cost, groups, prune, request, rules, sizes
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced
from tests.versions import not_on


@functools.cache  # pruning leaves it as it is
def network(build, shape=(8, 8, 6)):
    """A network with random weights; a Dense layer reads the maps that `build` returns."""
    inputs = keras.Input(shape)
    maps = build(inputs)
    features = maps if len(maps.shape) == 2 else layers.Flatten(name="last_flatten")(maps)
    return randomise(keras.Model(inputs, layers.Dense(3, name="last")(features)))


def stack(make):
    """A function that puts the layers that `make` returns after a convolution."""

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


def shuffle(groups, size, pixels=8):
    """Layers that put the channels of each group at equal distances, as in ShuffleNet."""
    return [
        layers.Reshape((pixels, pixels, groups, size)),
        layers.Permute((1, 2, 4, 3)),
        layers.Reshape((pixels, pixels, groups * size)),
    ]


def merge(combine):
    return lambda x: combine(conv(8, x), conv(8, x, 3))


def non_local(x):
    """Wang et al. 2018, Non-local Neural Networks."""
    x = conv(8, x, 3)
    query, key, value = (layers.Reshape((64, 4))(conv(4, x)) for _ in range(3))
    weights = layers.Softmax()(layers.Dot(2)([query, key]))
    return x + conv(8, layers.Reshape((8, 8, 4))(layers.Dot((2, 1))([weights, value])))


def attention_map(x):
    x = conv(8, x)
    return x * conv(1, x, activation="sigmoid")


def shared(x):
    reader = layers.Conv2D(4, 1, name="reader")
    return layers.Concatenate()([reader(conv(8, x)), reader(conv(8, x, 3))])


def shared_norm(x):
    norm = layers.GroupNormalization(4)
    x = norm(conv(8, x, 3))
    return layers.GroupNormalization(2)(norm(conv(8, x)) + x)


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
    "group norm": stack(
        lambda: [layers.GroupNormalization(4), layers.Conv2D(6, 1), layers.GroupNormalization(3)]
    ),
    "group norm, one group": stack(lambda: [layers.Conv2D(6, 1), layers.GroupNormalization(1)]),
    "instance norm": stack(
        lambda: [
            layers.GroupNormalization(groups=-1, scale=False),
            layers.Conv2D(6, 1),
            layers.GroupNormalization(6, axis=3, center=False),
        ]
    ),
    "group norm, shared and added": shared_norm,
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
    "channel shuffle": stack(
        lambda: [*shuffle(2, 4), layers.DepthwiseConv2D(3), *shuffle(2, 4, 6)]
    ),
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
    "non-local block": non_local,
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
    wanted = request.request(ratio, {}, coupled)
    ((_, *planned),) = sizes.planned(groups.find(model), wanted, schedule="one-shot")
    assert planned == [pruned.count_params(), cost.macs(pruned)]
    assert error(predict(pruned, images), expected) < 1e-4
    assert error(predict(model, images), expected) > 1e-3  # pruning changes the outputs
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
def test_a_pruned_network_equals_the_full_network_with_those_filters_silenced(name):
    assert_equals_the_silenced_network(network(NETWORKS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0.2, 0.8])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "norm over rows"])
def test_a_network_pruned_by_other_ratios_equals_the_silenced_network(name, ratio):
    assert_equals_the_silenced_network(network(NETWORKS[name]), ratio)


@pytest.mark.parametrize("name", OTHER_DIMENSIONS)
def test_a_pruned_network_of_any_dimension_equals_the_silenced_network(name):
    shape, build = OTHER_DIMENSIONS[name]
    assert_equals_the_silenced_network(network(build, shape))


def test_a_network_of_every_elementwise_activation_equals_the_silenced_network():
    def build(x):
        return layers.Concatenate()(
            [
                layers.Activation(each)(conv(4, x, activation=each))
                for name in rules.flow.ELEMENTWISE_NAMES
                for each in [getattr(keras.activations, name)]
            ]
        )

    assert_equals_the_silenced_network(network(build, (3, 3, 4)))


def test_the_layer_scale_of_convnext_has_a_rule():
    convnext = keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3))
    (name,) = [layer.name for layer in convnext.layers if "block_0_layer_scale" in layer.name][:1]
    scale = type(convnext.get_layer(name))
    assert_equals_the_silenced_network(
        network(stack(lambda: [scale(0.5, 8), scale(2.0, projection_dim=8)]))
    )


UNSUPPORTED = {
    r"mixes \(Conv2D\): its activation may mix channels; .*, add it to rules.ELEM": stack(
        lambda: [layers.Conv2D(4, 1, activation="softmax", name="mixes")]
    ),
    r"mixes \(Conv2D\): its activation may mix channels": stack(
        lambda: [layers.Conv2D(4, 1, activation=layers.PReLU(), name="mixes")]
    ),
    r"mixes \(Activation\): its activation may mix channels": stack(
        lambda: [layers.Activation("softmax", name="mixes")]
    ),
    r"mixes \(Softmax\): it computes each value from all channels": stack(
        lambda: [layers.Softmax(name="mixes")]
    ),
    r"other \(RandomFlip\): there is no rule for this type": stack(
        lambda: [layers.RandomFlip(name="other")]
    ),
    r"other \(Lambda\): there is no rule for this type": stack(
        lambda: [layers.Lambda(lambda x: 2 * x, name="other")]
    ),
    r"sort.* \(Argsort\): there is no rule": lambda x: ops.argsort(conv(8, x)),
    r"first \(MaxPooling2D\): its data_format is channels_first": stack(
        lambda: [layers.MaxPooling2D(data_format="channels_first", name="first")]
    ),
    r"rows \(BatchNormalization\): its axis is 1; build it with axis=-1": stack(
        lambda: [layers.BatchNormalization(axis=1, name="rows")]
    ),
    r"rows \(Normalization\): its axis is \(1, 3\)": stack(
        lambda: [layers.Normalization(axis=(1, 3), name="rows")]
    ),
    r"list \(Rescaling\): its scale must have one value for each channel": lambda x: (
        layers.Rescaling(np.ones((8, 8)).tolist(), name="list")(conv(8, x))
    ),
    r"turned \(Conv2D\): its input channels are not on the last axis": stack(
        lambda: [layers.Permute((3, 1, 2)), layers.Conv2D(4, 1, name="turned")]
    ),
    r"crossed \(Add\): its inputs have their channels on different axes": lambda x: layers.Add(
        name="crossed"
    )([conv(8, x), layers.Permute((1, 3, 2))(conv(8, x))]),
    r"crossed \(Concatenate\): its inputs have their": lambda x: layers.Concatenate(name="crossed")(
        [conv(8, x), layers.Permute((1, 3, 2))(conv(8, x))]
    ),
    r"crossed \(Multiply\): its inputs have their": lambda x: layers.Multiply(name="crossed")(
        [conv(8, x), layers.Permute((3, 1, 2))(conv(1, x))]
    ),
    r"noise \(Dropout\): its noise_shape is": stack(
        lambda: [layers.Dropout(0.5, noise_shape=(None, 1, 1, 8), name="noise")]
    ),
    r"rows \(Rescaling\): its scale must have": stack(
        lambda: [layers.Rescaling([[float(n)] for n in range(8)], name="rows")]
    ),
    r"pad.* \(Pad\): it pads channels with other values than 0": lambda x: ops.pad(
        conv(8, x), [[0, 0], [0, 0], [0, 0], [1, 1]], mode="reflect"
    ),
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_a_layer_that_cannot_be_cut_exactly_is_an_error_with_its_name_type_and_reason(message):
    with pytest.raises(ValueError, match=message):
        prune(network(UNSUPPORTED[message]), 0.5, unsupported="error")


NOT_COMPARED = {
    r"first \(MaxPooling2D\): its data_format is channels_first",  # not on every processor
}


@pytest.mark.slow  # tests/test_pruner.py has a fast one
@pytest.mark.parametrize("message", sorted(UNSUPPORTED.keys() - NOT_COMPARED))
def test_what_reaches_a_layer_that_cannot_be_cut_exactly_stays_and_the_rest_is_pruned(message):
    def build(x):
        return UNSUPPORTED[message](conv(6, x, name="cut"))

    pruned = assert_equals_the_silenced_network(network(build))
    assert pruned.get_layer("cut").filters == 3


@pytest.mark.parametrize("message", ["other", "mixes", "rows"])
def test_a_layer_without_a_rule_is_copied_if_no_pruned_channels_reach_it(message):
    def build(x):
        x = layers.RandomFlip(name="other")(x)  # on the images
        x = layers.Softmax(name="mixes")(x)
        return conv(4, layers.BatchNormalization(axis=1, name="rows")(conv(8, x)))

    model = network(build)
    pruned = prune(model, 0.5, layer_ratios={"conv2d*": 0, model.layers[-3].name: 0.5})
    assert type(pruned.get_layer(message)) is type(model.get_layer(message))
    weights = [layer.get_layer(message).get_weights() for layer in (model, pruned)]
    for full, copied in zip(*weights, strict=True):
        np.testing.assert_array_equal(full, copied)


def test_a_convolution_with_lora_weights_is_an_error():
    model = network(stack(lambda: [layers.Conv2D(4, 1, name="adapted")]))
    model.get_layer("adapted").enable_lora(2)
    with pytest.raises(ValueError, match=r"adapted \(Conv2D\): it has LoRA weights"):
        prune(model, 0.5)


def between(size, *moved):
    """A network for images of this size, or of any, with these layers between convolutions."""
    inputs = x = keras.Input((size, size, 3))
    for layer in (layers.Conv2D(8, 3, padding="same", name="first"), *moved):
        x = layer(x)
    last = layers.Dense(3)(layers.GlobalMaxPooling1D()(layers.Conv1D(4, 2, name="then")(x)))
    return randomise(keras.Model(inputs, last))


@pytest.mark.parametrize("channels", [8, 4, 16])
def test_a_reshape_of_images_of_any_size_equals_the_silenced_network(channels):
    model = between(None, layers.Reshape((-1, channels)))
    pruned, kept = prune(model, 0.5), kept_filters(model, 0.5)
    assert set(kept) == {"first", "then"}
    for size in (6, 9) if channels < 16 else (6,):
        fixed = between(size, layers.Reshape((-1, channels)))
        fixed.set_weights(model.get_weights())
        images = images_for(fixed)
        assert error(predict(pruned, images), predict(silenced(fixed, kept), images)) < 1e-4


@pytest.mark.parametrize(
    "moved",
    [
        [layers.Permute((2, 3, 1)), layers.Reshape((-1, 8), name="flat")],
        [layers.Reshape((64, 8), name="flat")],
        [layers.Reshape((-1, 12), name="flat")],
    ],
)
def test_a_reshape_of_an_input_size_that_is_not_fixed_is_an_error(moved):
    model = between(None, *moved)
    with pytest.raises(ValueError, match=r"flat \(Reshape\): its input size is not fixed"):
        prune(model, 0.5, unsupported="error")


@keras.saving.register_keras_serializable("tests")
class Offset(keras.layers.Layer):
    """A custom layer that adds one number per channel."""

    def build(self, shape):  # noqa: D102
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")

    def call(self, x):  # noqa: D102
        return x + self.offset


def test_a_custom_layer_can_get_a_rule(monkeypatch):
    model = network(stack(lambda: [Offset(name="taught"), layers.Conv2D(4, 1)]))
    with pytest.raises(ValueError, match=r"taught \(Offset\): there is no rule for this type"):
        prune(model, 0.5, unsupported="error")
    monkeypatch.setitem(rules.RULES, Offset, rules.per_channel)
    pruned = assert_equals_the_silenced_network(model)
    assert pruned.get_layer("taught").offset.shape == (4,)


def test_a_wrong_rule_of_a_custom_layer_is_an_error(monkeypatch):
    model = network(stack(lambda: [Offset(name="taught")]))
    monkeypatch.setitem(rules.RULES, Offset, lambda call, incoming, new: None)
    with pytest.raises(
        ValueError, match=r"taught \(Offset\): its rule: expected a Flow, got NoneType"
    ):
        prune(model, 0.5)
    monkeypatch.setitem(rules.RULES, Offset, rules.same_channels)
    with pytest.raises(ValueError, match=r"taught \(Offset\): its weights or outputs do not"):
        prune(model, 0.5)


@pytest.mark.parametrize("turned_first", [True, False])
def test_a_shared_layer_is_an_error_if_one_of_its_calls_cannot_be_cut(turned_first):
    images = keras.Input((8, 8, 8))
    shared = layers.Dense(8, name="shared")
    calls = [layers.Permute((3, 1, 2))(images), images]
    outputs = [shared(x) for x in (calls if turned_first else calls[::-1])]
    heads = [layers.Dense(2)(layers.Flatten()(output)) for output in outputs]
    model = keras.Model(images, heads)
    with pytest.raises(ValueError, match=r"shared \(Dense\)"):
        prune(model, 0.5)


def test_a_subclass_does_not_use_the_rule_of_its_base_class():
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
        (lambda dense: dense.enable_lora(2), "it has LoRA weights; merge them first"),
    ],
)
def test_weights_that_a_rule_does_not_expect_are_an_error_with_the_cause(change, reason):
    model = network(stack(lambda: [layers.Dense(4, name="changed")]))
    change(model.get_layer("changed"))
    with pytest.raises(ValueError, match=rf"changed \(Dense\): {reason}"):
        prune(model, 0.5)


def test_a_rule_that_does_not_fit_the_weights_is_an_error(monkeypatch):
    monkeypatch.setitem(rules.RULES, layers.Dense, rules.same_channels)
    model = network(stack(lambda: [layers.Dense(8, name="changed")]))
    with pytest.raises(ValueError, match=r"conv1 \[changed \(Dense\): its weights .* expects\]"):
        prune(model, 0.5)


def test_a_quantised_layer_with_weights_in_another_order_is_an_error():
    model = network(stack(lambda: [layers.Dense(8, name="changed")]))
    model.get_layer("changed").quantize("float8")
    with pytest.raises(
        ValueError, match=r"changed \(Dense\): it cannot be copied: it is quantised"
    ):
        prune(model, 0)


@keras.saving.register_keras_serializable("tests")
def doubled_swish(x):
    return 2 * x * ops.sigmoid(x)


def test_a_custom_activation_can_be_added_to_the_elementwise_ones(monkeypatch):
    model = network(stack(lambda: [layers.Conv2D(6, 1, activation=doubled_swish, name="own")]))
    with pytest.raises(ValueError, match=r"own \(Conv2D\): its activation may mix channels"):
        prune(model, 0.5, unsupported="error")
    monkeypatch.setattr(rules.flow, "ELEMENTWISE", [*rules.ELEMENTWISE, doubled_swish])
    pruned = assert_equals_the_silenced_network(model)
    assert pruned.get_layer("own").activation is doubled_swish


def of_the_backend():
    """ReLU as a function of the backend that computes."""
    if keras.backend.backend() == "torch":
        return sys.modules["torch"].nn.functional.relu
    return sys.modules[keras.backend.backend()].nn.relu


@pytest.mark.parametrize("make", [of_the_backend, lambda: ops.relu, layers.ReLU])
def test_a_function_of_the_backend_is_an_elementwise_activation(make):
    def build(x, function):
        inside = layers.ReLU() if isinstance(function, layers.ReLU) else layers.Lambda(function)
        x = layers.Conv2D(6, 3, activation=function)(x)
        return inside(layers.Activation(function)(layers.Conv2D(5, 3)(x)))

    images = keras.Input((8, 8, 3))
    first, second = (
        randomise(keras.Model(images, layers.Dense(2)(layers.Flatten()(build(images, each)))))
        for each in (make(), keras.activations.relu)
    )
    second.set_weights(first.get_weights())
    pruned, twin = prune(first, 0.5), prune(second, 0.5)
    shown = images_for(first)
    assert pruned.count_params() < first.count_params()
    np.testing.assert_allclose(predict(pruned, shown)[0], predict(twin, shown)[0], rtol=1e-5)


def test_a_layer_without_a_rule_is_no_error_if_its_channels_are_not_prunable_anyway():
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name="cut")(images)
    head = layers.Conv2D(4, 1, name="head")(x)  # reaches an output, and a layer without a rule
    model = keras.Model(images, [head, layers.RandomFlip()(head)])
    pruned = prune(model, 0.5)
    assert [pruned.get_layer(name).filters for name in ("cut", "head")] == [2, 4]
