"""pruning/exports/checking.py: right answers of a file, and messages about wrong ones."""

import numpy as np
import pytest

from pruning.exports.checking import answers, fault

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
TIES = np.array([[0.40001, 0.39999, 0.2], [0.1, 0.8, 0.1]])


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_answers_of_all_batches_are_joined(batch):
    images, sizes = np.arange(10.0).reshape(5, 2), []

    def double(part):
        sizes.append(len(part))
        return 2 * part

    (found,) = answers(double, images, batch)
    np.testing.assert_array_equal(found, 2 * images)
    assert sum(sizes) == 5 and max(sizes) == min(batch, 5)
    found = answers(lambda parts: [parts[1], parts[0]], [images, -images], batch)
    np.testing.assert_array_equal(found, [-images, images])


@pytest.mark.parametrize(
    ("expected", "change", "beginning"),
    [
        (PROBABILITIES, 0.00009, ""),
        (
            PROBABILITIES,
            0.0002,
            "differs from Keras by up to 2.0e-04, and gives another class for 0.00% of the images",
        ),
        (TIES, -0.00005, "differs from Keras by up to 5.0e-05, and gives another class for 50.00%"),
        (PROBABILITIES, np.nan, "differs from Keras by up to nan, "),
        (np.zeros((2, 3)), 0.00009, ""),
        (np.zeros((2, 3)), 0.0002, "differs from Keras by up to 2.0e-04, and gives"),
        (1000 * PROBABILITIES, 0.07, ""),  # within 1e-4 of the largest, 800
        (
            1000 * PROBABILITIES,
            0.09,
            "differs from Keras by up to 9.0e-02, and gives another class for 0.00% of the images; "
            "the largest answer is 8.0e+02",
        ),
        (0.001 * PROBABILITIES, 0.00009, "differs from Keras by up to 9.0e-05, and gives"),
        (np.array([[0.5], [-0.25]]), 0.00004, ""),
        (
            np.array([[0.5], [-0.25]]),
            0.00006,
            "differs from Keras by up to 6.0e-05; the largest answer is 5.0e-01",
        ),
        (np.full((2, 4, 4, 3), -2.0), 0.0003, "differs from Keras by up to 3.0e-04; the largest"),
    ],
)
def test_a_difference_that_is_too_large_for_the_answers_gives_a_message(
    expected, change, beginning
):
    found = expected.copy()
    found.flat[0] += change
    message = fault([found], [expected], quantised=False)
    assert message.startswith(beginning) and bool(message) == bool(beginning)


def test_one_image_of_a_thousand_may_have_another_class():
    expected = np.tile(TIES[:1], (2000, 1))
    for flipped, wrong in ((2, False), (3, True)):
        found = expected.copy()
        found[:flipped, :2] = found[:flipped, 1::-1]
        assert bool(fault([found], [expected], quantised=False)) == wrong


def test_each_output_is_checked():
    right, wrong = np.ones((2, 1)), np.full((2, 1), 1.5)
    assert fault([right, right], [right, right], quantised=False) == ""
    message = fault([right, wrong, wrong], [right] * 3, quantised=False)
    assert message == "differs from Keras by up to 5.0e-01 (output 2 of 3)"


@pytest.mark.parametrize("quantised", [False, True])
def test_answers_of_another_shape_are_wrong_in_every_format(quantised):
    message = fault([np.ones((2, 3))], [np.ones((2, 4))], quantised=quantised)
    assert message == "gives answers of shape [(2, 3)], but Keras gives [(2, 4)]"
    message = fault([np.ones((2, 3))], [np.ones((2, 3))] * 2, quantised=quantised)
    assert message == "gives answers of shape [(2, 3)], but Keras gives [(2, 3), (2, 3)]"


def test_a_quantised_file_may_differ_and_must_be_finite():
    assert fault([PROBABILITIES], [1 - PROBABILITIES], quantised=True) == ""
    for value in (np.nan, np.inf):
        message = fault([PROBABILITIES + value], [PROBABILITIES], quantised=True)
        assert message == "gives answers that are not finite"
