"""pruning/rules: each plain operation computes what the silenced network does after a cut."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

from pruning import groups
from tests.test_rules import (
    assert_equals_the_silenced_network,
    conv,
    merge,
    network,
    shuffle,
    stack,
)

RISING = np.arange(1, 9, dtype="float32")  # one value for each of 8 channels


def of_maps(operate):
    """A function that applies an operation to maps of 8 channels, and convolves the result."""

    def build(x):
        x = operate(conv(8, x, 3))
        return layers.Dense(4)(x)

    return build


def halves(x, sections=2):
    first, second, *_ = ops.split(conv(8, x), sections, axis=-1)
    return layers.Concatenate()([conv(4, first, 3), conv(3, second), second])


def cross_stage(x):
    first, second = ops.split(conv(8, x), 2, axis=-1)
    second = second + conv(4, second, 3)
    return conv(4, ops.concatenate([first, second], axis=-1))


def shared_slice(x):
    inputs = keras.Input((8, 8, 8))
    twice = keras.Model(
        inputs, ops.concatenate([inputs[..., 4:], inputs[..., :4] + RISING[:4]], -1)
    )
    return conv(4, twice(twice(conv(8, x))))


def among_positions(x):
    """A reshape that puts parts of a channel next to parts of the others: all of them stay."""
    x = layers.Permute((3, 1, 2))(layers.Conv2D(3, 1)(x))
    return layers.Reshape((8, 8, 3))(x)


def maps_of(combine):
    return merge(lambda x, y: combine(*map(layers.Reshape((64, 8)), (x, y))))


def flat(x):
    return ops.reshape(x, (-1, 64, x.shape[-1]))


def by_hand(x):
    """Attention of four heads, whose sizes get smaller together."""

    def heads(x):
        return ops.transpose(ops.reshape(layers.Dense(16)(x), (-1, 64, 4, 4)), (0, 2, 1, 3))

    x = flat(conv(8, x))
    query, key, value = heads(x), heads(x), heads(x)
    weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / 2.0)
    attended = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
    return layers.Dense(8)(ops.reshape(attended, (-1, 64, 16))) + x


def gated(x):
    x = conv(8, x)
    gate = layers.Dense(8, activation="sigmoid")(ops.mean(x, axis=(1, 2)))
    return conv(4, x * gate[:, None, None, :])


def branches(x):
    """Two stacked branches, each times a weight of its own."""
    x = conv(8, x)
    stacked = ops.stack([conv(8, x), conv(8, x, 3)], axis=1)
    weights = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return conv(4, ops.sum(stacked * layers.Reshape((2, 1, 1, 1))(weights), axis=1))


NETWORKS = {
    "branches with a weight each": branches,
    "mean": of_maps(lambda x: ops.mean(x, axis=(1, 2))),
    "mean, axes kept": of_maps(lambda x: ops.mean(x, axis=[1, 2], keepdims=True)),
    "sum": of_maps(lambda x: ops.sum(x, axis=1)),
    "max": of_maps(lambda x: ops.max(x, axis=-2)),
    "min": of_maps(lambda x: ops.min(x, axis=(-3, -2))),
    "var": of_maps(lambda x: ops.var(x, axis=2, keepdims=True)),
    "std": of_maps(lambda x: ops.std(x, axis=(1, 2))),
    "mean of maps with channels first": lambda x: layers.Dense(4)(
        ops.mean(ops.transpose(conv(8, x), (0, 3, 1, 2)), axis=(2, 3))
    ),
    "mean over channels, which stay": lambda x: conv(
        4, conv(8, (y := conv(8, conv(8, x))) * ops.mean(y, axis=-1, keepdims=True))
    ),
    "concatenate": lambda x: conv(4, ops.concatenate([conv(8, x), conv(4, x, 3), x], axis=-1)),
    "concatenate, positions": lambda x: conv(4, ops.concatenate([conv(8, x), conv(8, x, 3)], 1)),
    "stack": lambda x: layers.Dense(4)(ops.stack([conv(8, x), conv(8, x, 3)], axis=1)),
    "stack, the channels inside": lambda x: ops.stack([conv(8, x), conv(8, x, 3)], axis=-1),
    "reshape": of_maps(lambda x: ops.reshape(x, (-1, 64, 8))),
    "reshape to vectors": of_maps(lambda x: ops.reshape(x, (-1, 512))),
    "reshape, the channels not named": of_maps(lambda x: ops.reshape(x, (-1, 4, 16, 8))),
    "slice of positions": of_maps(lambda x: x[:, 1:-1, ::2]),
    "one position": of_maps(lambda x: x[:, 3, -1]),
    "new axes": of_maps(lambda x: x[:, None, :, :, None, :]),
    "slice of channels": of_maps(lambda x: x[..., 2:7]),
    "last channels": of_maps(lambda x: x[:, :, :, -3:]),
    "channels in reverse": of_maps(lambda x: x[..., ::-1] * RISING),
    "every second channel": lambda x: conv(
        4, ops.concatenate([(y := conv(9, x))[..., ::2], y[..., 1::2] * RISING[:4]], axis=-1)
    ),
    "every third channel of some": of_maps(lambda x: x[..., 1:7:3]),
    "all channels": of_maps(lambda x: x[:, 0:4, :, :]),
    "slices that overlap": lambda x: conv(
        4, ops.concatenate([(y := conv(8, x))[..., :5], y[..., 3:]], axis=-1)
    ),
    "slice, then gate": lambda x: conv(4, (y := conv(8, x))[..., :4] * ops.sigmoid(y[..., 4:])),
    "slice of a nested model, called twice": shared_slice,
    "split": halves,
    "split at indices": lambda x: halves(x, [3, 5]),
    "split, one part added": cross_stage,
    "split of positions": of_maps(lambda x: ops.split(x, 2, axis=1)[1]),
    "unstack": of_maps(lambda x: ops.unstack(x, axis=1)[2]),
    "take": of_maps(lambda x: ops.take(x, np.array([7, 0, -2, 3, 3]), axis=-1)),
    "take positions": of_maps(lambda x: ops.take(x, np.array([5, 0]), axis=2)),
    # with strides, because Keras on JAX does not pool without
    "pools": of_maps(lambda x: ops.average_pool(ops.max_pool(x, 2, 2), (2, 1), 2, padding="same")),
    "expand": of_maps(lambda x: ops.expand_dims(x, (1, -2))),
    "gate by new axes": gated,
    "squeeze": of_maps(lambda x: ops.squeeze(layers.Conv2D(8, (8, 1))(x), axis=1)),
    "channel shuffle": of_maps(
        lambda x: ops.reshape(ops.swapaxes(ops.reshape(x, (-1, 8, 8, 2, 4)), 3, 4), (-1, 8, 8, 8))
    ),
    "channel shuffle between groups": lambda x: conv(
        8, stack(lambda: shuffle(2, 4))(conv(8, x, groups=2)), 3, groups=2
    ),
    "channels on two axes": stack(lambda: [layers.Reshape((8, 8, 2, 4)), layers.Dense(3)]),
    "channels among positions": lambda x: conv(4, among_positions(conv(8, x)), 3),
    "dot over channels": maps_of(lambda x, y: layers.Dot(2)([x, y])),
    "dot over positions": maps_of(lambda x, y: layers.Dot(1)([x, conv(4, y[:, None])[:, 0]])),
    "dot of a map and itself, which stays": maps_of(
        lambda x, y: layers.Dot(axes=(1, 1))([conv(4, x[:, None])[:, 0]] * 2)
    ),
    "dot of vectors": merge(
        lambda x, y: layers.Dot(-1)([layers.GlobalMaxPooling2D()(each) for each in (x, y)])
    ),
    "cosines, whose channels stay": maps_of(
        lambda x, y: layers.Dot(2, normalize=True)([layers.Dense(4)(each) for each in (x, y)])
    ),
    "depth to space": of_maps(lambda x: ops.depth_to_space(x, 2)),
    "depth to space by axes": of_maps(
        lambda x: ops.reshape(
            ops.transpose(ops.reshape(x, (-1, 8, 8, 2, 2, 2)), (0, 1, 3, 2, 4, 5)), (-1, 16, 16, 2)
        )
    ),
    "space to depth": of_maps(lambda x: ops.space_to_depth(x, 4)),
    "space to depth by axes": of_maps(
        lambda x: ops.reshape(
            ops.transpose(ops.reshape(x, (-1, 4, 2, 2, 4, 8)), (0, 1, 3, 2, 4, 5)), (-1, 4, 2, 64)
        )
    ),
    "matmul": lambda x: ops.matmul(ops.transpose(flat(conv(8, x)), (0, 2, 1)), flat(conv(1, x))),
    "matmul over channels": lambda x: flat(conv(8, x)) @ ops.swapaxes(flat(conv(8, x, 3)), 1, 2),
    "matmul with an array of positions": of_maps(
        lambda x: ops.matmul(RISING[:, None] * RISING / 64, x)
    ),
    "matmul of channels with an array": of_maps(
        lambda x: conv(8, conv(4, x)) @ (RISING[:, None] * RISING / 64)
    ),
    "dot with an array": of_maps(lambda x: ops.dot(conv(8, x), np.diag(RISING))),
    "matmul with a vector of positions": of_maps(
        lambda x: ops.matmul(RISING / 8, x) + ops.dot(conv(8, x), RISING)
    ),
    "einsum over channels": lambda x: ops.einsum("bhwc,bvwc->bhv", conv(8, x), conv(8, x, 3)),
    "einsum of three": lambda x: conv(
        4,
        ops.einsum("b...c,bhwd,bc->b...c", conv(8, x), conv(1, x), ops.mean(conv(8, x), (1, 2))),
    ),
    "einsum, other channels stay": lambda x: ops.einsum(
        "bhwc,bhwd->bcd", conv(4, conv(8, x)), conv(8, x)
    ),
    "einsum, a sum over channels": lambda x: ops.einsum("bhwc->bhw", conv(4, conv(8, x))),
    "einsum, the output not named": of_maps(
        lambda x: ops.einsum("abcd,de", conv(8, x), RISING[:, None] / RISING)
    ),
    "attention by hand": by_hand,
    "transpose": lambda x: ops.transpose(conv(8, x, 3), (0, 3, 2, 1)),
    "swapaxes": lambda x: layers.Dense(4)(
        ops.swapaxes(ops.relu(ops.swapaxes(conv(8, x), 1, -1)), 1, 3)
    ),
    "moveaxis": lambda x: layers.Dense(4)(ops.moveaxis(ops.moveaxis(conv(8, x), -1, 1), 1, 3)),
    "resize": of_maps(lambda x: ops.image.resize(x, (5, 12), interpolation="bilinear")),
    "each value": of_maps(
        lambda x: ops.log(ops.exp(ops.clip(-x, -1, 2)) + ops.sqrt(ops.abs(x)) + ops.square(x) + 0.5)
    ),
    "powers": of_maps(lambda x: x**2 + 2.0**x + ops.cast(x > 0.1, "float32")),
    "softmax over positions": of_maps(lambda x: ops.softmax(x, axis=1)),
    "cumulated": of_maps(lambda x: ops.cumsum(ops.flip(ops.roll(x, 3, axis=2), axis=1), axis=1)),
    "flip of channels": of_maps(lambda x: ops.flip(x, axis=-1) * RISING),
    "tile": of_maps(lambda x: ops.tile(x, (1, 2, 1, 1)) + ops.tile(x, (2, 1, 1))),
    "tile of channels": of_maps(lambda x: ops.tile(x, 2)),
    "repeat": of_maps(lambda x: ops.repeat(ops.repeat(x, 2, axis=1), 3, axis=-1)),
    "where": lambda x: layers.Dense(4)(
        ops.where(conv(1, x) > 0, conv(8, x, 3), ops.where((y := conv(8, x)) > 0, y, 0.5))
    ),
    "array per channel": of_maps(lambda x: (x * RISING + RISING[None, None, None]) / RISING - 1),
    "array, maximum": of_maps(lambda x: ops.maximum(ops.minimum(x, 1 / RISING), -1 / RISING)),
    "array, power": of_maps(lambda x: (ops.abs(x) + 0.1) ** (1 / RISING)),
    "array, where": of_maps(lambda x: ops.where(x > RISING / 100, x, RISING)),
    "tensor per channel": of_maps(lambda x: x * ops.convert_to_tensor(RISING)),
    "array without channels": of_maps(lambda x: x * RISING[:, None] - RISING[:, None, None]),
    "array of positions and channels": of_maps(
        lambda x: x + np.arange(512, dtype="float32").reshape(8, 8, 8) / 100
    ),
    "array, channels first": lambda x: layers.Dense(4)(
        layers.Permute((2, 3, 1))(ops.transpose(conv(8, x), (0, 3, 1, 2)) * RISING[:, None, None])
    ),
    "array on one channel": lambda x: conv(8, x) * (conv(1, x) * 2.0),
}


FAMILIES = 6
if keras.backend.backend() == "torch":
    del NETWORKS["channels in reverse"]  # PyTorch has no negative steps


@pytest.mark.parametrize("family", range(FAMILIES))
def test_a_pruned_network_with_several_operations_equals_the_silenced_network(family):
    def build(x):
        branches = [build(x) for build in list(NETWORKS.values())[family::FAMILIES]]
        return layers.Concatenate()([layers.Flatten()(branch) for branch in branches])

    assert_equals_the_silenced_network(network(build))


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_pruned_network_with_the_operation_equals_the_silenced_network(name, ratio):
    assert_equals_the_silenced_network(network(NETWORKS[name]), ratio)


@pytest.mark.parametrize(
    "name",
    [
        *("matmul", "matmul over channels", "matmul with an array of positions"),
        *("einsum over channels", "einsum of three", "attention by hand"),
        *("channel shuffle", "depth to space", "depth to space by axes", "space to depth by axes"),
    ],
)
def test_only_the_output_layer_is_not_prunable(name):
    found = [each for each in groups.find(network(NETWORKS[name])).groups if len(each.units) > 1]
    assert [each.members[0].call.path for each in found if each.not_prunable] == ["last"]


UNSUPPORTED = {
    r"mean.* \(Mean\): it computes along the axis of the images": lambda x: ops.mean(x),
    r"average.* \(Average\): it has weights": lambda x: ops.average(x, axis=1, weights=RISING),
    r"softmax.* \(Softmax\): it computes each value from all channels": ops.softmax,
    r"squeeze.* \(Squeeze\): its axis is None": lambda x: ops.squeeze(x[:, :1]),
    r"squeeze.* \(Squeeze\): it removes the axis of the channels": lambda x: ops.squeeze(
        x[..., :1], -1
    ),
    r"transpose.* \(Transpose\): it moves the axis of the images": ops.transpose,
    r"reshape.* \(Reshape\): it reshapes the axis of the images": lambda x: ops.reshape(x, (-1, 8)),
    r"tile.* \(Tile\): it repeats images or adds axes": lambda x: ops.tile(x, (2, 1, 1, 1)),
    r"repeat.* \(Repeat\): it does not repeat each value equally": lambda x: ops.repeat(
        x, [1, 2, 1, 1, 1, 1, 1, 1], axis=1
    ),
    r"roll.* \(Roll\): it computes each value from all channels": lambda x: ops.roll(x, 1, axis=-1),
    r"clip.* \(Clip\): its limits are arrays": lambda x: ops.clip(x, -RISING, RISING),
    r"get_item.* \(GetItem\): it takes a single channel": lambda x: x[..., 0],
    r"get_item.* \(GetItem\): its slice of channels has the step -2": lambda x: x[..., ::-2],
    r"get_item.* \(GetItem\): its index is on the axis of the images": lambda x: x[:1, :],
    r"split.* \(Split\): it splits the images": lambda x: ops.split(x, [1], axis=0)[0],
    r"unstack.* \(Unstack\): it takes images or channels": lambda x: ops.unstack(x, axis=3)[0],
    r"take.* \(Take\): expected its indices as a constant array": lambda x: ops.take(
        x, [1], axis=3
    ),
    r"take.* \(Take\): it takes values from several": lambda x: ops.take(x, np.array([1])),
    r"einsum.* \(Einsum\): it moves the axis of the images": lambda x: ops.einsum("bhwc->hbwc", x),
    r"dot.* \(Dot\): it moves the axis of the images": lambda x: ops.dot(x, ops.swapaxes(x, 2, 3)),
    r"einsum.* \(Einsum\): it multiplies two axes of the same": lambda x: ops.einsum(
        "bhhc->bhc", x
    ),
    r"dot.* \(Dot\): one of its inputs is a number; multiply by": lambda x: ops.dot(x, 2.0),
    r"einsum.* \(Einsum\): it leaves no axis of a fixed size": lambda x: ops.einsum("bhwc->b", x),
    r"dot.* \(Dot\): its output has channels on two axes": lambda x: layers.Dot(1)(
        [x[:, 0], x[:, 1]]
    ),
    r"matmul.* \(Matmul\): it multiplies them by positions .*, or by an array": lambda x: (
        x @ np.ones((8, 8))
    ),
    r"concatenate.* \(Concatenate\): one of its inputs is a constant": lambda x: ops.concatenate(
        [x, np.ones((1, 8, 8, 8), "float32")], axis=-1
    ),
    r"add.* \(Add\): one of its inputs is a constant array with an": lambda x: x[..., :1] + RISING,
    r"add.* \(Add\): it adds a constant array along axis -3 only": lambda x: (
        x + RISING[:, None, None]
    ),
    r"merge.* \(Multiply\): one of its inputs is a constant": lambda x: layers.Multiply(
        name="merge"
    )([x, RISING[None, None, None]]),
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_an_operation_that_cannot_be_cut_exactly_is_unsupported_with_its_reason(message):
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, UNSUPPORTED[message](layers.Conv2D(8, 1)(images)))
    reasons = [each.reason for each in groups.find(model).channels.not_prunable if each.unsupported]
    assert re.search(message, reasons[0])


def test_branches_lose_filters_together_and_keep_their_weights():
    pruned = assert_equals_the_silenced_network(network(branches))
    filters = [each.filters for each in pruned.layers if isinstance(each, layers.Conv2D)]
    assert filters == [4, 4, 4, 2]
    assert [each.units for each in pruned.layers if isinstance(each, layers.Dense)] == [2, 3]
