"""The library as pip installs it works outside the checkout, on every backend and with mypy."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import pruning
from pruning import planned_sizes
from tests.backends.test_library import BACKENDS, ROOT

NAME = "keras-filter-pruning"
pytestmark = pytest.mark.skipif(
    not list(importlib.metadata.distributions(name=NAME)),
    reason="the library is not installed; pip install .",
)
PRUNE = """
import keras, pruning
smaller = pruning.prune(keras.applications.MobileNetV2(weights=None), 0.4)
print(keras.backend.backend(), smaller.count_params(), pruning.__file__)
"""
RIGHT = """
import keras

from pruning import planned_sizes, prune, stages

model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])
lists: list[list[str]] = stages(model, 0.5)
smaller: keras.Model = prune(model, 0.5, layer_ratios={"conv1": 0.1}, only=lists[0])
weights: int = planned_sizes(model, [0.5])[0.5][0].parameters
"""


def outside(folder, *arguments, **environment):
    """Run Python in a folder outside the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_only_the_library_is_installed_with_its_types_and_licence():
    files = {path.as_posix() for path in importlib.metadata.files(NAME)}
    assert {path.split("/")[0].removesuffix(".dist-info").partition("-")[0] for path in files} == {
        "pruning",
        "keras_filter_pruning",
    }
    assert "pruning/py.typed" in files
    metadata = importlib.metadata.metadata(NAME)
    assert metadata["Version"] == pruning.__version__
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_installed_library_prunes_mobilenet_on_every_backend(backend, tmp_path):
    done = outside(tmp_path, "-c", PRUNE, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr
    (planned,) = planned_sizes(keras.applications.MobileNetV2(weights=None), [0.4])[0.4]
    here, parameters, file = done.stdout.split()
    assert (here, int(parameters)) == (backend, planned.parameters)
    assert ROOT not in Path(file).parents or "site-packages" in file


def test_a_type_checker_finds_the_types_of_the_library(tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text('import pruning\n\npruning.prune(1, "most")\n')
    mypy = ["-m", "mypy", "--strict", "--disable-error-code=import-untyped"]
    done = outside(tmp_path, *mypy, "right.py")
    assert done.returncode == 0, done.stdout
    assert (
        'incompatible type "str"; expected "float | None"'
        in outside(tmp_path, *mypy, "wrong.py").stdout
    )
