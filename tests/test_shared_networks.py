"""Networks as people bring them, one file each in ../shared/networks: pruned, and proven."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT.parent / "shared" / "networks"
FILES = sorted(FOLDER.glob("*.py"))
UNCHANGED = {
    "groupnorm_unet",  # GroupNormalization reads all filters
    "instance_norm",  # the same
    "time_distributed",  # TimeDistributed around a model
}


def run(task, file, folder):
    """The standard output of a task of `tests.networks`, in a process of its own."""
    command = [sys.executable, "-m", "tests.networks", task, str(file), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_at_most_three_networks_are_left_unchanged():
    assert len(UNCHANGED) <= 3


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason=f"there is no folder {FOLDER}")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_network_pruned_by_half_is_exact_stored_loaded_and_trained(file, tmp_path):
    result = json.loads(run("prove", file, tmp_path).splitlines()[-1])
    assert (result["status"] == "unchanged") == (file.stem in UNCHANGED), result["why"]
    if result["status"] == "unchanged":
        return
    assert result["error"] < 1e-4 and result["effect"] > 1e-3
    assert result["pruned_parameters"] < result["parameters"]
    assert result["trained"]
    run("load", file, tmp_path)
