"""scnnb/model.py: SCNNB and its variants are those of the paper."""

import pytest

from pruning import prune
from scnnb.model import build_scnnb, build_scnnb_a, build_scnnb_b
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced


def test_layers_and_parameters_are_those_of_the_paper():
    model = build_scnnb((28, 28, 1), 10)
    assert [layer.name for layer in model.layers] == (
        "images conv1 norm1 relu1 pool1 conv2 norm2 relu2 pool2 flatten fc1 dropout1 fc2".split()
    )
    # by hand: 32 filters of 9 weights and a bias; 4 vectors of 32; and so forth
    counts = [layer.count_params() for layer in model.layers if layer.weights]
    assert counts == [320, 128, 18_496, 256, 4_015_360, 12_810]
    assert model.get_layer("flatten").output.shape == (None, 7 * 7 * 64)
    assert model.get_layer("dropout1").rate == 0.5


def test_the_shape_of_images_and_the_number_of_classes_can_be_chosen():
    model = build_scnnb((5, 4, 3), 7)
    assert model.input_shape == (None, 5, 4, 3)
    assert model.output_shape == (None, 7)


def test_images_smaller_than_4x4_are_rejected():
    with pytest.raises(ValueError, match=r"scnnb: expected .* 4x4 pixels, got \(3, 28, 1\)$"):
        build_scnnb((3, 28, 1), 10)


def test_the_variants_have_one_or_no_normalisation():
    shapes = {
        build.__name__: (model.name, model.count_params(), [layer.name for layer in model.layers])
        for build in (build_scnnb, build_scnnb_a, build_scnnb_b)
        for model in [build((28, 28, 1), 10)]
    }
    name, parameters, names = shapes["build_scnnb"]
    assert (name, parameters) == ("scnnb", 4_047_370)
    without = [each for each in names if each != "norm1"]
    assert shapes["build_scnnb_a"] == ("scnnb-a", 4_047_370 - 4 * 32, without)
    without.remove("norm2")
    assert shapes["build_scnnb_b"] == ("scnnb-b", 4_047_370 - 4 * 32 - 4 * 64, without)


@pytest.mark.parametrize("build", [build_scnnb_a, build_scnnb_b])
def test_a_pruned_variant_equals_the_full_one_with_those_filters_silenced(build):
    model = randomise(build((8, 8, 1), 3))
    images = images_for(model)
    expected = predict(silenced(model, kept_filters(model, 0.4)), images)
    assert error(predict(prune(model, 0.4), images), expected) < 1e-5
