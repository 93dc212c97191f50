"""pruning/criteria.py: scores from kernels."""

import numpy as np
import pytest

from pruning import criteria


def test_the_norms_of_hand_made_filters():
    kernel = np.array([[[[3.0, -2.0, 0.0], [-4.0, 0.5, 0.0]]]])  # 1x1, 2 input channels, 3 filters
    np.testing.assert_array_equal(criteria.l1_norm(kernel), [7.0, 2.5, 0.0])
    np.testing.assert_array_equal(criteria.largest(kernel), [-7.0, -2.5, 0.0])
    np.testing.assert_array_equal(criteria.l2_norm(kernel), [5.0, 4.25**0.5, 0.0])


def test_the_two_norms_may_rank_filters_differently():
    kernel = np.array([[[[3.0, 2.0], [0.0, 2.0]]]])
    assert criteria.l1_norm(kernel).tolist() == [3, 4]
    assert criteria.l2_norm(kernel).tolist() == [3, 8**0.5]


def test_random_scores_depend_on_seed_and_kernel_only():
    kernel = np.arange(24.0).reshape(1, 2, 3, 4)
    scores = criteria.random(kernel, seed=1)
    assert scores.shape == (4,)
    np.testing.assert_array_equal(scores, criteria.random(kernel.copy(), seed=1))
    assert (scores != criteria.random(kernel, seed=2)).all()
    assert (scores != criteria.random(kernel + 1, seed=1)).all()


def test_random_scores_favour_no_filter():
    kernels = np.arange(400.0).reshape(400, 1, 1) * np.ones((400, 3, 5))
    first = [criteria.random(kernel).argmin() for kernel in kernels]
    assert np.bincount(first).tolist() == pytest.approx([80] * 5, abs=30)  # 3.75 deviations


def test_l1_norm_equals_a_sum_by_loops():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
    expected = [
        sum(
            abs(float(kernel[row, column, channel, out]))
            for row in range(3)
            for column in range(2)
            for channel in range(4)
        )
        for out in range(5)
    ]
    np.testing.assert_allclose(criteria.l1_norm(kernel), expected, rtol=1e-12)
