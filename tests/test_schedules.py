"""scnnb/schedules.py: the learning rate of each step, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from experiment import recipe
from scnnb.schedules import SCHEDULES, learning_rate


def rates(schedule, *, steps, warmup_steps=0):
    """The learning rates of all steps, with 0.5 as the highest."""
    rate = learning_rate(schedule, 0.5, steps=steps, warmup_steps=warmup_steps)
    return [float(rate(step)) if callable(rate) else rate for step in range(steps)]


def test_the_command_line_knows_every_schedule():
    assert [*SCHEDULES] == recipe.SCHEDULES


def test_a_constant_rate_is_a_number():
    assert learning_rate("constant", 0.5, steps=8) == 0.5


def test_a_cosine_falls_from_the_highest_rate_towards_zero():
    expected = [0.25 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    np.testing.assert_allclose(rates("cosine", steps=8), expected, rtol=0, atol=1e-7)


def test_steps_divide_the_rate_by_ten_at_half_and_at_three_quarters():
    expected = [0.5] * 4 + [0.05] * 2 + [0.005] * 2
    np.testing.assert_allclose(rates("step", steps=8), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warmup_rises_in_equal_steps_to_the_highest_rate(schedule):
    warm = rates(schedule, steps=12, warmup_steps=4)
    np.testing.assert_allclose(warm[:5], [0.125, 0.25, 0.375, 0.5, 0.5], rtol=0, atol=1e-7)


def test_after_a_warmup_the_schedule_ends_as_without():
    cosine = [0.25 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    np.testing.assert_allclose(
        rates("cosine", steps=12, warmup_steps=4)[4:], cosine, rtol=0, atol=1e-7
    )
    step = [0.5] * 2 + [0.05] * 3 + [0.005] * 3  # a tenth from step 6 of 12, not of the last 8
    np.testing.assert_allclose(rates("step", steps=12, warmup_steps=4)[4:], step, rtol=0, atol=1e-7)
    assert rates("constant", steps=12, warmup_steps=4)[4:] == [0.5] * 8
