"""Networks as people bring them, one file each in ../shared/networks: pruned, and proven."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT.parent / "shared" / "networks"
FILES = sorted(FOLDER.glob("*.py"))
PARTLY = {  # the others are pruned in all convolutions that do not make the outputs
    "bilinear_cnn_dot": "(Dot): its output has channels on two axes, and those of one of them stay",
    "cnn_mha": "(LayerNormalization): it computes each value from all channels",
    "eca_attention": "(Conv1D): its input channels are not on the last axis",
    "patch_embed_vit": "(LayerNormalization): it computes each value from all channels",
}


def run(task, file, folder):
    """The standard output of a task of `tests.networks`, in a process of its own."""
    command = [sys.executable, "-m", "tests.networks", task, str(file), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not FILES, reason=f"there is no folder {FOLDER}")
@pytest.mark.parametrize("file", FILES or [FOLDER], ids=lambda file: file.stem)
def test_a_network_pruned_by_half_is_exact_stored_loaded_and_trained(file, tmp_path):
    result = json.loads(run("prove", file, tmp_path).splitlines()[-1])
    assert result["status"] == ("partly" if file.stem in PARTLY else "pruned"), result["why"]
    assert PARTLY.get(file.stem, "") in "".join(result["why"])
    assert result["error"] < 1e-4 and result["effect"] > 1e-3
    assert result["pruned_parameters"] < result["parameters"]
    assert result["trained"]
    run("load", file, tmp_path)
