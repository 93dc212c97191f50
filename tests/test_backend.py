"""The one late import of Keras, and packages for a flag."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiment import backend
from experiment.errors import UserError

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "level", ["2", *(pytest.param(level, marks=pytest.mark.slow) for level in "013")]
)
def test_what_tensorflow_writes_as_it_starts_is_seen_at_level_0_only(level):
    done = subprocess.run(
        [sys.executable, "-c", "from experiment import backend; backend.import_keras()"],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": level},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert (done.stderr != "") == (level == "0")


def test_a_missing_package_is_named_with_the_flag_that_needs_it(monkeypatch):
    backend.require("json", "--json")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match="^--ray needs the package ray, which is not installed; pip"
    ):
        backend.require("ray", "--ray")
