"""pruning/exports/inputs.py: images in the form that a network takes."""

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
        (
            np.ones((4, 2)),
            "images: expected an array for each of 2 inputs, .*, got 1 arrays of 4 im",
        ),
        ([np.ones((4, 2)), np.ones((5, 3))], "each of 2 inputs, .*, got 2 arrays of 4, 5 images"),
        ([np.ones((0, 2)), np.ones((0, 3))], "each of 2 inputs, .*, got 2 arrays of 0, 0 images"),
        (
            [np.ones((4, 2)), np.ones((4, 2))],
            r"images: expected shape \(None, 3\), .* got \(4, 2\)$",
        ),
        ([np.ones(4), np.ones((4, 3))], r"images: expected shape \(None, 2\), .* got \(4,\)$"),
    ],
)
def test_images_that_do_not_fit_are_an_error(images, message):
    with pytest.raises(ValueError, match=message):
        inputs.arrays(network((2,), (3,)), images)
