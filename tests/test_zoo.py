"""scnnb.NETWORKS and scnnb/zoo: the networks are those of their papers."""

import functools

import keras
import numpy as np
import pytest

import scnnb
from pruning import cost, prune
from tests import fresh_process

VGG16_WEIGHTS = 14_977_728  # of convolutions and Dense layers: Li et al. 2017
VGG16_CHANNELS = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 512  # of convolutions and the hidden layer
ALEXNET = [(256, 27, 64), (64, 1600, 192), (16, 1728, 384), (16, 3456, 256), (16, 2304, 256)]
ALEXNET += [(1, 1024, 4096), (1, 4096, 4096), (1, 4096, 10)]  # positions, inputs, filters
RESNET20 = 432 + 6 * 2304 + (4608 + 5 * 9216) + (18_432 + 5 * 36_864)  # a stem and three stages
EXPECTED = {  # parameters and MACs for 32x32x3 and ten classes
    "scnnb": (5_276_746, 10_859_008),
    # a bias per channel and class; BatchNormalization has four values per channel
    "vgg16": (VGG16_WEIGHTS + VGG16_CHANNELS + 10 + 4 * VGG16_CHANNELS, 313_463_808),
    "alexnet": (
        sum(inputs * filters + filters for _, inputs, filters in ALEXNET),
        sum(positions * inputs * filters for positions, inputs, filters in ALEXNET),
    ),
    "resnet20": (RESNET20 + 650 + 4 * (7 * 16 + 6 * 32 + 6 * 64), 40_551_040),
}


@pytest.fixture(scope="module")
def built():
    """`built(name)`: the network for 32x32x3 and ten classes, built once; do not change it."""
    return functools.cache(lambda name: scnnb.NETWORKS[name]((32, 32, 3), 10))


@pytest.mark.parametrize("name", EXPECTED)
def test_parameters_and_macs_are_those_of_the_paper(name, built):
    model = built(name)
    assert (cost.parameters(model), cost.macs(model)) == EXPECTED[name]
    assert model.name == name


@pytest.mark.parametrize("name", ["scnnb", "vgg16", "alexnet", "resnet20"])  # of each file
def test_every_network_returns_probabilities_for_grey_and_colour_images(name, built):
    of_grey = scnnb.NETWORKS[name]((28, 28, 1), 7)
    for model, shape, classes in ((of_grey, (28, 28, 1), 7), (built(name), (32, 32, 3), 10)):
        images = np.random.default_rng(0).uniform(size=(2, *shape)).astype("float32")
        probabilities = model(images).numpy()
        assert probabilities.shape == (2, classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("name", "n"), [("vgg16", 13), ("resnet20", 19), ("resnet56", 55)])
def test_convolutions_are_numbered_as_in_the_paper(name, n, built):
    names = [layer.name for layer in built(name).layers if isinstance(layer, keras.layers.Conv2D)]
    assert sorted(names, key=lambda name: int(name[4:])) == [f"conv{k}" for k in range(1, n + 1)]


def test_the_shortcut_of_a_residual_stage_takes_every_second_pixel_and_adds_zeros():
    model = scnnb.NETWORKS["resnet20"]((8, 8, 3), 10)
    shortcut = keras.Model(
        model.get_layer("relu7").output, model.get_layer("add9").input[1]
    )  # from the end of stage 1 to the first Add of stage 2
    maps = np.random.default_rng(0).normal(size=(1, 8, 8, 16)).astype("float32")
    result = shortcut(maps).numpy()
    np.testing.assert_array_equal(result[..., :16], maps[:, ::2, ::2])
    np.testing.assert_array_equal(result[..., 16:], np.zeros((1, 4, 4, 16)))


def test_images_smaller_than_15x15_are_rejected_by_alexnet():
    with pytest.raises(ValueError, match=r"alexnet: expected .* 15x15 pixels, got \(14, 15, 1\)$"):
        scnnb.NETWORKS["alexnet"]((14, 15, 1), 10)
    scnnb.NETWORKS["alexnet"]((15, 15, 1), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "vgg16", "alexnet"])
def test_a_pruned_network_can_be_trained_and_then_loaded_with_only_keras(name, tmp_path):
    images = np.random.default_rng(0).uniform(size=(4, 28, 28, 1)).astype("float32")
    pruned = prune(scnnb.NETWORKS[name]((28, 28, 1), 10), 0.8)
    pruned.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    pruned.fit(images, np.arange(4), verbose=0)
    outputs = fresh_process.answers(pruned, images, tmp_path)
    np.testing.assert_array_equal(outputs, pruned(images))


@pytest.mark.parametrize("name", scnnb.NETWORKS)
def test_every_batch_normalization_has_the_momentum_of_pytorch(name, built):
    momenta = {getattr(layer, "momentum", 0.9) for layer in built(name).layers}
    assert momenta == {0.9}  # 1 - 0.1, PyTorch's default
