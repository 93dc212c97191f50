"""pruning/exports/inputs.py: images as a network takes them."""

import keras
import numpy as np
import pytest

from pruning.exports import inputs


def network(*shapes):
    symbols = [keras.Input(shape, dtype="uint8") for shape in shapes]
    return keras.Model(symbols, [2 * symbol for symbol in symbols])


def test_images_get_the_types_of_the_inputs():
    (one,) = inputs.arrays(network((2, None, 3)), np.full((5, 2, 7, 3), 200.0))
    assert (one.shape, one.dtype, one.max()) == ((5, 2, 7, 3), np.uint8, 200)
    two = inputs.arrays(network((2,), (3,)), (np.ones((4, 2)), np.ones((4, 3))))
    assert [each.shape for each in two] == [(4, 2), (4, 3)]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.ones((4, 2)), "images are 1 arrays of 4 examples; give 2, one for each input"),
        ([np.ones((4, 2)), np.ones((5, 3))], "images are 2 arrays of 4, 5 examples; give 2"),
        ([np.ones((0, 2)), np.ones((0, 3))], "images are 2 arrays of 0, 0 examples; give 2"),
        ([np.ones((4, 2)), np.ones((4, 2))], r"are of shape \(4, 2\); give such .* \(None, 3\)$"),
        ([np.ones(4), np.ones((4, 3))], r"are of shape \(4,\); give such .* takes, \(None, 2\)$"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        inputs.arrays(network((2,), (3,)), images)
