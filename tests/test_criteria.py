"""pruning/criteria.py: scores from kernels."""

import math

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


def by_two_loops(kernel):
    """The sums of the distances of `criteria.fpgm`."""
    filters = [kernel[..., out].astype(float) for out in range(kernel.shape[-1])]
    sums = []
    for one in filters:
        sums.append(0.0)
        for other in filters:
            sums[-1] += math.sqrt(((one - other) ** 2).sum())
    return sums


def test_fpgm_of_hand_made_filters_is_lowest_at_the_one_in_the_middle():
    # the points (0, 0), (3, 4), (6, 8) and (3, 0): distances 5, 10, 3; 5, 5, 4; 10, 5, sqrt(73)
    kernel = np.array([[[[0.0, 3, 6, 3], [0, 4, 8, 0]]]])
    scores = criteria.fpgm(kernel)
    np.testing.assert_allclose(scores, [18, 14, 15 + 73**0.5, 7 + 73**0.5], rtol=1e-12)
    assert criteria.l1_norm(kernel).argmin() == 0 and scores.argmin() == 1
    np.testing.assert_allclose(criteria.fpgm(kernel + 1e7), scores, rtol=1e-9)


def test_fpgm_equals_two_loops_also_if_filters_are_equal_or_far_from_0():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 6)).astype(np.float32)
    kernel[..., 1] = kernel[..., 4]
    for each in (kernel, kernel + np.float32(1e5), kernel[..., :1], kernel * np.float32(1e-6)):
        before = each.copy()
        expected = by_two_loops(each)
        np.testing.assert_allclose(criteria.fpgm(each), expected, rtol=1e-6, atol=0)
        np.testing.assert_array_equal(each, before)
    np.testing.assert_array_equal(criteria.fpgm(np.ones((1, 1, 2, 3))), 0)
