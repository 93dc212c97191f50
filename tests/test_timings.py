"""experiment/timings.py: the memory of the process, and the name of the machine."""

import math

import numpy as np
import pytest

from experiment import timings


def test_the_peak_of_memory_rises_with_an_array_and_can_be_reset():
    timings.forget_peak()
    before = timings.peak_memory_mb()
    if math.isnan(before):
        pytest.skip("this system does not report the peak of memory")
    np.ones(300_000_000, "uint8")
    assert 290 < timings.peak_memory_mb() - before < 400
    timings.forget_peak()
    assert timings.peak_memory_mb() < before + 100


def test_the_name_of_the_machine_has_the_number_of_cores_that_tensorflow_uses(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    every = timings.cores()
    assert f", {every} cores, " in timings.name()
    for limit, expected in (("3", 3), ("0", every), ("many", every)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", limit)
        assert timings.cores() == expected
