"""formal.py on every backend of Keras: killed runs, bfloat16 and Ray; JAX and PyTorch run alone."""

import importlib.metadata
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from experiment import record
from experiment.columns import MEASURED, SENSITIVITY
from scnnb import precision
from tests.program import run

ROOT = Path(__file__).parent.parent.parent
BACKENDS = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(
                importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
            ),
            # the other tests are on TensorFlow: of killed trainings, and of sensitivities
            *([pytest.mark.slow] if name == "tensorflow" else []),
        ],
    )
    for name in ("tensorflow", "jax", "torch")
]
# the number of threads that --ray gives a trial, for TensorFlow, PyTorch and JAX
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "NPROC")
ONE_THREAD = dict.fromkeys(THREADS, "1")
DIFFERS = ["baseline_seconds", "retrain_seconds", "finished_at", *MEASURED]

# formal.py, killed before it renames the third backup of an epoch
KILLED = """
import os, signal, sys
backups = []

def count(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(".npz"):
        backups.append(arguments)
        if len(backups) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
import formal
sys.exit(formal.main())
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The path of a network with all layers that have a state, for the images of `few`."""
    keras.utils.set_random_seed(0)
    x = images = keras.Input((28, 28, 1))
    for name in ("conv1", "conv2"):
        x = layers.BatchNormalization()(layers.Conv2D(4, 3, 2, name=name)(x))
    x = layers.GaussianNoise(0.1)(layers.GlobalAveragePooling2D()(x))
    path = tmp_path_factory.mktemp("network") / "small.keras"
    answer = layers.Dense(10, activation="softmax")(layers.Dropout(0.3)(x))
    keras.Model(images, answer).save(path)
    return path


def variables(backend, folder):
    """The environment of a backend. On JAX and PyTorch, TensorFlow cannot be imported."""
    chosen = ONE_THREAD | {"KERAS_BACKEND": backend}
    if backend == "tensorflow":
        return chosen | {"PYTHONPATH": str(ROOT)}
    poisoned = folder / "poisoned"
    poisoned.mkdir()
    (poisoned / "tensorflow.py").write_text("raise Exception('tensorflow is imported')")
    return chosen | {"PYTHONPATH": f"{poisoned}:{ROOT}"}


def rows(folder):
    return record.read_rows(folder / "results" / "few.csv")


def weights(folder):
    """`{file name: weights}` of all stored networks."""
    files = folder.glob("results/*/*.keras")
    return {
        file.relative_to(folder).as_posix(): keras.models.load_model(file).get_weights()
        for file in files
    }


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_ends_with_the_rows_and_weights_of_an_uninterrupted_one(
    few, network, tmp_path, backend
):
    environment = variables(backend, tmp_path)
    arguments = (few, "0.01", 15, 3, 3, 0.5, "--model", network, "--augment", "crop-flip")
    arguments += ("--validation", 0.3, "--best-epoch")
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    status, out, err = run(tmp_path / "unbroken", *arguments, variables=environment)
    assert (status, err) == (0, "")

    for _ in range(2):  # killed in the last epoch of the baseline, then in the second of retraining
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            cwd=tmp_path / "killed",
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    status, out, err = run(tmp_path / "killed", *arguments, variables=environment)
    assert (status, err) == (0, "")
    assert "continuing after epoch 2 of 3" in killed.stdout
    assert "continuing after epoch 1 of 3" in out

    table, expected = (rows(tmp_path / name) for name in ("killed", "unbroken"))
    pd.testing.assert_frame_equal(table.drop(columns=DIFFERS), expected.drop(columns=DIFFERS))
    assert table["backend"].tolist() == [backend]
    resumed, unbroken = (weights(tmp_path / name) for name in ("killed", "unbroken"))
    assert len(resumed) == 2
    assert resumed.keys() == unbroken.keys()
    assert all((f"_{backend}_seed0_" in file) == (backend != "tensorflow") for file in resumed)
    for file in resumed:
        for one, other in zip(resumed[file], unbroken[file], strict=True):
            np.testing.assert_array_equal(one, other, err_msg=file)


@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_and_gradients_of_every_ending_are_those_worked_out_by_hand(backend, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "tests/test_losses.py"],
        cwd=ROOT,
        env=os.environ | variables(backend, tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_sensitivity_of_a_network_trained_in_bfloat16_is_analysed(
    few, network, tmp_path, backend
):
    try:
        precision.check("bfloat16")
    except ValueError as error:
        pytest.skip(str(error))
    arguments = (few, "0.01", 15, 1, 1, 0.5, "--model", network, "--precision", "bfloat16")
    environment = variables(backend, tmp_path)
    status, out, err = run(tmp_path, *arguments, "--sensitivity", variables=environment)
    assert (status, err) == (0, "")
    table = record.read_rows(tmp_path / "results" / "few-sensitivity.csv", SENSITIVITY)
    assert set(table["layers"]) == {"conv1", "conv2"}
    assert set(table["backend"]) == {backend}
    assert table["backend_version"][0] == importlib.metadata.version(backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_trials_on_ray_use_the_same_backend_and_have_the_same_rows(few, network, tmp_path, backend):
    environment = variables(backend, tmp_path)
    arguments = (few, "0.01", 15, 1, 1, 0.5, "--model", network)
    for name, options in (("alone", ()), ("together", ("--ray",))):
        (tmp_path / name).mkdir()
        status, out, err = run(tmp_path / name, *arguments, *options, variables=environment)
        assert (status, err) == (0, "")
    table, expected = (rows(tmp_path / name) for name in ("together", "alone"))
    pd.testing.assert_frame_equal(table.drop(columns=DIFFERS), expected.drop(columns=DIFFERS))
    assert table["backend"].tolist() == [backend]
