"""pruning/moments.py: mean and variance of parts, against those of all values."""

import numpy as np

from pruning.moments import Moments


def test_moments_of_two_parts_are_those_of_all_values():
    parts = [np.array([[1.0, 5], [3, 5]]), np.array([[1e4, 2]])]
    both = [Moments(len(part), part.mean(0), part.var(0)) for part in parts]
    count, mean, variance = both[0].merged(both[1])
    values = np.concatenate(parts)
    assert count == 3
    np.testing.assert_allclose([mean, variance], [values.mean(0), values.var(0)], rtol=1e-12)
