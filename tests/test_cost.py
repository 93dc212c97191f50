"""pruning/cost.py: multiply-adds counted by hand, one layer type after the other."""

import keras
import pytest
from keras import layers

from pruning import cost, prune
from scnnb.model import build_scnnb


@pytest.mark.parametrize(
    ("image_shape", "parameters", "macs", "pruned_parameters"),
    [
        ((28, 28, 1), 4_047_370, 7_865_344, 2_404_404),
        ((32, 32, 3), 5_276_746, 10_859_008, 3_134_346),
    ],
)
def test_scnnb_costs_what_the_paper_gives(image_shape, parameters, macs, pruned_parameters):
    model = build_scnnb(image_shape, 10)
    assert cost.parameters(model) == parameters
    assert cost.macs(model) == macs
    assert cost.parameters(prune(model, 0.4)) == pruned_parameters


COUNTED = {  # one layer on 5x4x6 maps: its multiply-adds
    "Conv2D, valid": (lambda: layers.Conv2D(2, 3), 3 * 2 * (9 * 6 * 2)),
    "Conv2D, strides": (lambda: layers.Conv2D(7, 1, strides=2), 3 * 2 * (6 * 7)),
    "Conv2D, groups": (lambda: layers.Conv2D(9, 3, groups=3), 3 * 2 * (9 * 2 * 9)),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(2, 3, strides=2), 5 * 4 * (9 * 6 * 2)),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), 3 * 2 * 9 * 6 * 2),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(7, 3), 3 * 2 * (9 * 6 + 6 * 7)),
    "SeparableConv2D, multiplier": (
        lambda: layers.SeparableConv2D(7, 3, depth_multiplier=2),
        3 * 2 * (9 * 12 + 12 * 7),
    ),
    "Dense on maps": (lambda: layers.Dense(3), 5 * 4 * 6 * 3),
    "BatchNormalization": (lambda: layers.BatchNormalization(), 0),
    "LayerNormalization": (lambda: layers.LayerNormalization(), 0),
    "PReLU": (lambda: layers.PReLU(), 0),
    "UpSampling2D": (lambda: layers.UpSampling2D(2), 0),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_layer_is_counted_as_by_hand(name):
    build, macs = COUNTED[name]
    assert cost.macs(keras.Sequential([keras.Input((5, 4, 6)), build()])) == macs


def test_a_network_of_one_dimension_is_counted():
    stack = [keras.Input((10, 2)), layers.Conv1D(3, 4), layers.Conv1DTranspose(5, 2)]
    assert cost.macs(keras.Sequential(stack)) == 7 * (4 * 2 * 3) + 7 * (2 * 3 * 5)


def test_nested_models_count_and_a_shared_layer_counts_at_every_call():
    shared = layers.Dense(4)
    nested = keras.Sequential([keras.Input((4,)), shared, layers.Dense(5)])
    inputs = keras.Input((4,))
    assert cost.macs(keras.Model(inputs, nested(shared(shared(inputs))))) == 3 * 16 + 20


def test_a_nested_model_of_any_image_size_is_counted_at_the_size_it_gets():
    inputs, images = keras.Input((None, None, 3)), keras.Input((5, 4, 3))
    nested = keras.Model(inputs, layers.Conv2D(2, 3)(inputs))
    assert cost.macs(keras.Model(images, nested(images))) == 3 * 2 * (9 * 3 * 2)


def test_what_cannot_be_counted_is_refused_by_name():
    model = keras.Sequential([keras.Input((5, 4)), layers.LSTM(3, name="memory")])
    with pytest.raises(ValueError, match=r"memory \(LSTM\): its MACs cannot be counted"):
        cost.macs(model)
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3, name="conv1")])
    with pytest.raises(ValueError, match=r"conv1 \(Conv2D\): its image size is not fixed"):
        cost.macs(model)


def test_the_time_of_trainings_is_that_of_the_epochs_seen_at_their_size():
    seen = [(2, 100, 20.0), (2, 100, 40.0), (1, 300, 25.0)]  # epochs of 15 and of 25 seconds
    for left, seconds in (
        ([(3, 100)], 45),
        ([(1, 200)], 20),  # half way
        ([(2, 50), (1, 400)], 2 * 15 + 25),
        ([], 0),
    ):
        assert cost.training_seconds(left, seen) == seconds
