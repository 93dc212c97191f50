"""pruning/cost.py: the numbers of both papers, exactly."""

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


def test_macs_of_a_network_counted_by_hand():
    model = keras.Sequential(
        [
            keras.Input((5, 4, 3)),
            layers.Conv2D(2, 3),  # 3 x 2 positions, each 3 * 3 * 3 * 2 = 54
            layers.BatchNormalization(),
            layers.Conv2D(6, 1, strides=2, use_bias=False),  # 2 x 1 positions, each 12
            layers.Dense(3),  # on maps: 2 x 1 positions, each 18
            layers.Flatten(),
            layers.Dense(7),  # 6 * 7
        ]
    )
    assert cost.macs(model) == 6 * 54 + 2 * 12 + 2 * 18 + 42


def test_a_layer_that_cannot_be_counted_is_refused_by_name():
    model = keras.Sequential([keras.Input((5, 4, 3)), layers.DepthwiseConv2D(3, name="deep")])
    with pytest.raises(ValueError, match=r"deep \(DepthwiseConv2D\): its MACs cannot be counted"):
        cost.macs(model)
