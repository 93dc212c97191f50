"""Mean and variance of values that come in parts."""

from typing import Any, NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and variance of the values of each channel, float64 arrays (channels,).

    Attributes:
        count: number of values of each channel, or an array of these numbers.
        mean: their mean.
        variance: their mean square deviation from the mean.
    """

    count: Any
    mean: np.ndarray
    variance: np.ndarray

    def merged(self, other):
        """Moments of the values of both.

        Source: Chan, Golub, LeVeque 1983, Algorithms for Computing the Sample Variance, formula
        2.1.
        """
        total = self.count + other.count
        part = other.count / np.maximum(total, 1)  # of all values; no value is a part of 0
        difference = other.mean - self.mean
        variance = (1 - part) * self.variance + part * other.variance
        variance += part * (1 - part) * difference**2
        return Moments(total, self.mean + part * difference, variance)
