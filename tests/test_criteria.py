"""pruning/criteria.py."""

import numpy as np

from pruning import criteria


def test_l1_norm_of_hand_made_filters():
    kernel = np.array([[[[1.0, -2.0, 0.0], [-3.0, 0.5, 0.0]]]])  # 1x1, 2 input channels, 3 filters
    np.testing.assert_array_equal(criteria.l1_norm(kernel), [4.0, 2.5, 0.0])


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
