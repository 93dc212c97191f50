"""pruning/exports/output.py: hidden output."""

import os

import pytest

from pruning.exports.output import quiet


@pytest.mark.parametrize(("level", "shown"), [(None, ""), ("3", ""), ("0", "printed")])
def test_output_is_hidden_unless_the_log_level_is_0(capfd, monkeypatch, level, shown):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with quiet():
        print("printed")
        os.write(2, b"printed")
    print("after")
    os.write(2, b"after")
    out, err = capfd.readouterr()
    assert (out.replace("\n", ""), err) == (f"{shown}after", f"{shown}after")
