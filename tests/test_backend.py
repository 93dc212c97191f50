"""experiment/backend.py: the import of Keras, and the packages of a flag."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiment import backend
from experiment.errors import UserError

ROOT = Path(__file__).parent.parent


@pytest.fixture(params=["stand-in", pytest.param("Keras", marks=pytest.mark.slow)])
def path_of_keras(request, tmp_path):
    """`PYTHONPATH` of Keras, or of a module in its place that writes as C++ does, at once."""
    (tmp_path / "keras.py").write_text(
        "import os\nos.write(2, b'a message of C++\\n')\n"
        "class config:\n    set_image_data_format = set_floatx = print\n"
    )
    return str(tmp_path) if request.param == "stand-in" else ""


@pytest.mark.parametrize("level", "0123")
def test_messages_of_tensorflows_start_and_jax_warning_of_a_gpu_are_shown_at_level_0_only(
    level, path_of_keras
):
    code = (
        "from experiment import backend; backend.import_keras(); import logging, sys;"
        "print('started', file=sys.stderr);"
        "logging.getLogger('jax._src.xla_bridge').warning('An NVIDIA GPU may be present')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": level, "PYTHONPATH": path_of_keras},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    of_tensorflow, of_jax = done.stderr.split("started\n")
    assert (of_tensorflow != "") == (level == "0")
    assert ("An NVIDIA GPU may be present" in of_jax) == (level == "0")


@pytest.mark.parametrize("name", ["jax", "torch", "tensorflow"])
def test_a_backend_that_is_not_installed_is_a_one_line_error(tmp_path, name):
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}')")
    command = [sys.executable, ROOT / "formal.py", *"fashion 0.1 1 1 1 0".split()]
    variables = {"KERAS_BACKEND": name, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"formal.py: KERAS_BACKEND={name}: Keras cannot be imported (No module named {name}); "
        "install the missing package, or set another backend: tensorflow, jax or torch\n"
    )


def test_variables_are_set_inside_the_with_only(monkeypatch):
    """If the variables that hide GPUs stayed set, the trials on Ray would find no GPU."""
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("OTHER", raising=False)
    with backend.variables({"ONE": "2", "OTHER": "3"}):
        assert (os.environ["ONE"], os.environ["OTHER"]) == ("2", "3")
    assert os.environ["ONE"] == "1"
    assert "OTHER" not in os.environ


def test_without_gpus_jax_uses_the_cpu_only():
    pytest.importorskip("jax")
    code = (
        "from experiment import backend; backend.import_keras(gpus=False);"
        "import jax, os; print(jax.config.jax_platforms, os.environ.get('JAX_PLATFORMS'))"
    )
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    environment.pop("JAX_PLATFORMS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("cpu None\n", "")


def test_the_error_names_the_missing_package_and_its_flag(monkeypatch):
    backend.require("json", "--json")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        UserError, match="^--ray requires the package ray, which is not installed; pip"
    ):
        backend.require("ray", "--ray")
