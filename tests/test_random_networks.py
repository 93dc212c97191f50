"""Random networks, pruned: each must equal its silenced twin."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from pruning import cost, groups, prune, request, sizes
from pruning.request import COUPLED
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced

FILTERS = st.sampled_from([1, 2, 3, 4, 6, 8])


def conv(x, filters, size=1, **settings):
    return layers.Conv2D(filters, size, padding="same", **settings)(x)


def like(x, other):
    """The maps with as many channels as the others, by a projection where they differ."""
    return x if x.shape[-1] == other.shape[-1] else conv(x, other.shape[-1])


def one_map(draw, x, shared):
    """One more layer, or a few that belong together."""
    channels = x.shape[-1]
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    return draw(
        st.sampled_from(
            [
                lambda: conv(x, draw(FILTERS), draw(st.sampled_from([1, 3]))),
                lambda: conv(x, draw(FILTERS) * channels, 3, groups=channels),
                lambda: conv(conv(x, 6), 4, 3, groups=2),
                lambda: layers.DepthwiseConv2D(
                    3, padding="same", depth_multiplier=draw(st.integers(1, 3))
                )(x),
                lambda: layers.SeparableConv2D(draw(FILTERS), 3, padding="same")(x),
                lambda: layers.Conv2DTranspose(draw(FILTERS), 3, padding="same")(x),
                lambda: layers.Dense(draw(FILTERS), activation="gelu")(x),
                lambda: layers.BatchNormalization(scale=draw(st.booleans()))(x),
                lambda: layers.LayerNormalization()(x),
                lambda: layers.GroupNormalization(draw(st.sampled_from(divisors)))(x),
                lambda: _shuffled(x, draw(st.sampled_from(divisors))),
                lambda: layers.MaxPooling2D(2)(ops.depth_to_space(conv(x, 4 * draw(FILTERS)), 2)),
                lambda: ops.depth_to_space(ops.space_to_depth(x, 2), 2),
                lambda: _attended(x),
                lambda: layers.TimeDistributed(_of_rows(channels))(x),
                lambda: layers.PReLU(shared_axes=[1, 2])(x),
                lambda: layers.ReLU()(x),
                lambda: layers.MaxPooling2D(2, 1, padding="same")(x),
                lambda: layers.Permute((2, 1, 3))(x),
                lambda: layers.Reshape((4, 4, channels))(layers.Reshape((16, channels))(x)),
                lambda: layers.Multiply()([x, _gate(x)]),
                lambda: shared(conv(x, 4)),
                lambda: _nested(channels)(x),
                lambda: x * 2.0 + 1.0,
                lambda: x * np.arange(1, channels + 1, dtype="float32"),
                lambda: x * ops.mean(x, axis=(1, 2))[:, None, None],
                lambda: ops.flip(ops.swapaxes(x, 1, 2), axis=-1),
                lambda: x[..., channels // 3 :: draw(st.integers(1, 2))],
                lambda: (
                    ops.concatenate(ops.split(x, [channels // 2 + 1], axis=-1)[::-1], axis=-1)
                    if channels > 2
                    else x
                ),
            ]
        )
    )()


def two_maps(draw, x, y):
    return draw(
        st.sampled_from(
            [
                lambda: layers.Concatenate()([x, y]),
                lambda: layers.Add()([x, like(y, x)]),
                lambda: like(x, y) * y,
                lambda: layers.Maximum()([x, like(y, x)]),
                lambda: ops.einsum("bhwc,bwvc->bhvc", x, like(y, x)),
                lambda: layers.Reshape((4, 4, 16))(_products(x, like(y, x))),
            ]
        )
    )()


def _gate(x):
    return conv(layers.GlobalAveragePooling2D(keepdims=True)(x), x.shape[-1], activation="sigmoid")


def _shuffled(x, groups):
    x = layers.Reshape((4, 4, groups, -1))(x)
    return layers.Reshape((4, 4, -1))(layers.Permute((1, 2, 4, 3))(x))


def _products(x, y):
    """The products of each pixel with each other pixel."""
    pixels = (layers.Reshape((16, -1))(each) for each in (x, y))
    return layers.Dot(2)([*pixels])


def _attended(x):
    weights = ops.softmax(_products(x, conv(x, x.shape[-1])))
    return layers.Reshape((4, 4, -1))(weights @ ops.reshape(x, (-1, 16, x.shape[-1])))


def _of_rows(channels):
    """A model of a row of the maps."""
    return keras.Sequential(
        [keras.Input((4, channels)), layers.Conv1D(channels, 3, padding="same"), layers.ReLU()]
    )


def _nested(channels):
    inputs = keras.Input((4, 4, channels))
    return keras.Model(inputs, conv(layers.BatchNormalization()(inputs), channels, 3) + inputs)


def random_network(draw):
    """A few layers, each reading one or two of the maps made so far."""
    images = keras.Input((4, 4, 2))
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    maps = [conv(images, draw(FILTERS), 3)]
    for _ in range(draw(st.integers(2, 12))):
        x = draw(st.sampled_from(maps))
        if draw(st.booleans()):
            maps.append(one_map(draw, x, shared))
        else:
            maps.append(two_maps(draw, x, draw(st.sampled_from(maps))))
    last = draw(st.sampled_from([layers.Flatten, layers.GlobalAveragePooling2D]))()(maps[-1])
    for _ in range(draw(st.integers(0, 2))):
        last = layers.Dense(draw(FILTERS), activation="relu")(last)
    return randomise(keras.Model(images, layers.Dense(2)(last)))


def check(draw):
    model = random_network(draw)
    ratio, coupled = draw(st.sampled_from([0.3, 0.5, 0.9])), draw(st.sampled_from(COUPLED))
    options = {"dense": draw(st.booleans()), "round_to": draw(st.sampled_from([1, 1, 2, 4]))}
    kept = kept_filters(model, ratio, coupled, **options)
    assume(kept)
    images = images_for(model)
    expected = predict(silenced(model, kept), images)
    assume(abs(expected[0]).max() > 0)
    pruned = prune(model, ratio, coupled=coupled, **options)
    assert error(predict(pruned, images), expected) < 1e-4
    assert all(len(indices) > 0 for indices in kept.values())
    wanted = request.request(ratio, {}, coupled, **options)
    found = groups.find(model, dense=wanted.dense)
    assert all(kept_per_group(found, kept, lambda n, size: n % wanted.round_to == 0 or n == size))
    ((_, *planned),) = sizes.planned(found, wanted, schedule="one-shot")
    assert planned == [pruned.count_params(), cost.macs(pruned)]
    part = planned[0] / model.count_params()
    wanted = request.request(None, {}, coupled, parameters=part, **options)
    ((_, *reached),) = sizes.planned(found, wanted, schedule="one-shot", steps=1)
    assert reached[0] == planned[0]  # no more and no less goes than with this ratio


def kept_per_group(structure, kept, function):
    """The function of how many filters stay, and of how many there are, by group and layer."""
    for group in structure.groups:
        for member in group.members:
            inside = np.isin(structure.unit_of[member.flow.channels], group.units)
            stays = np.isin(np.arange(len(inside)), kept.get(member.call.path, range(len(inside))))
            yield function(np.count_nonzero(inside & stays), np.count_nonzero(inside))


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(st.data())
def test_a_random_network_equals_its_silenced_twin(data):
    check(data.draw)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=CHECKS)
@given(st.data())
def test_many_random_networks_equal_their_silenced_twins(data):
    check(data.draw)
