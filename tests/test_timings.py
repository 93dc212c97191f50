"""experiment/timings.py: the memory of the process, the name of the machine."""

import math

import numpy as np
import pytest

from experiment import timings


def test_the_peak_of_memory_rises_with_what_is_used_and_is_forgotten():
    timings.forget_peak()
    before = timings.peak_memory_mb()
    if math.isnan(before):
        pytest.skip("this system does not tell")
    np.ones(300_000_000, "uint8")
    assert 290 < timings.peak_memory_mb() - before < 400
    timings.forget_peak()
    assert timings.peak_memory_mb() < before + 100


def test_the_name_of_the_machine_holds_the_cores_that_tensorflow_may_use(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    every = timings.cores()
    assert f", {every} cores, " in timings.name()
    for told, expected in (("3", 3), ("0", every), ("many", every)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", told)
        assert timings.cores() == expected
