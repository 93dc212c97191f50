"""--ray has the rows of a run without it, even if nodes die; tested on real processes and nodes."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
import ray
import tensorflow as tf
from ray.cluster_utils import Cluster as Nodes

from experiment import cluster, gap, nodes, record, study, timings
from experiment.columns import MEASURED, TRIALS
from experiment.errors import UserError
from experiment.runner import Job
from experiment.work import Shared
from tests import inline, studies
from tests.program import HANGS, finish, run, start

ROOT = Path(__file__).parent.parent
SHORT = ("0.001", "10", "1", "1")  # lr, batchSz, Epoch1, Epoch2
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
RECIPE = studies.recipe(learning_rate=0.1, batch_size=1, epochs=1)
DIFFERS = ["baseline_seconds", "retrain_seconds", "finished_at", *MEASURED]


def rows(folder):
    """The rows without the columns that differ from run to run, in the order of the grid."""
    table = record.read_rows(folder / "results" / "few.csv").drop(columns=DIFFERS)
    keys = ["seed", "pruning_ratio", "control"]
    return table.sort_values(keys, ignore_index=True)


def assert_same_networks(one, other):
    """Both folders have the same networks with exactly the same weights and histories."""
    files = sorted(file.relative_to(one) for file in one.glob("results/*/*.keras"))
    assert files == sorted(file.relative_to(other) for file in other.glob("results/*/*.keras"))
    for file in files:
        pairs = (keras.models.load_model(folder / file).get_weights() for folder in (one, other))
        for weight, same in zip(*pairs, strict=True):
            np.testing.assert_array_equal(weight, same, err_msg=str(file))
    for file in one.glob("results/*/*_history.csv"):
        pair = (pd.read_csv(folder / file.relative_to(one)) for folder in (one, other))
        pd.testing.assert_frame_equal(*(table.drop(columns="seconds") for table in pair))
    assert list(one.glob("results/*/baseline_history.csv"))


@contextlib.contextmanager
def two_nodes():
    """Two nodes of one CPU each: `(the cluster, the node that is not the head)`."""
    # not 127.0.0.1, which Ray replaces by the machine's outer address
    options = {"num_cpus": 1, "object_store_memory": 100_000_000, "node_ip_address": "127.0.0.2"}
    nodes = Nodes(initialize_head=True, head_node_args=options | {"include_dashboard": False})
    try:
        yield nodes, nodes.add_node(**options)
    finally:
        nodes.shutdown()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The path of a small network with dropout, for the images of `few`."""
    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(6, 3, 2, activation="relu", name="conv1")(images)
    x = keras.layers.Conv2D(8, 3, 2, activation="relu", name="conv2")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    path = tmp_path_factory.mktemp("network") / "small.keras"
    keras.Model(images, keras.layers.Dense(10, "softmax")(x)).save(path)
    return path


def make_alone(folder, *arguments):
    """Run the program without --ray, for rows and networks to compare with."""
    folder.mkdir()
    status, out, err = run(folder, *arguments, variables=ONE_THREAD)
    assert (status, err) == (0, "")


def test_trials_on_nodes_have_the_rows_of_a_sequential_run(
    few, network, tmp_path, call, monkeypatch
):
    monkeypatch.setattr(cluster, "Cluster", lambda *args, **options: inline.Cluster())
    (tmp_path / "alone").mkdir()
    arguments = (few, *SHORT, 0.0, 0.5, "--model", network)
    assert call(tmp_path / "alone", *arguments)[0] == 0
    status, out, err = call(tmp_path, *arguments, "--ray", "--tensorboard", "logs")
    assert (status, err) == (0, "")
    assert_as_alone(tmp_path, out)


@pytest.mark.slow
def test_trials_on_ray_have_the_rows_of_a_sequential_run(few, network, tmp_path):
    arguments = (few, *SHORT, 0.0, 0.5, "--model", network)
    make_alone(tmp_path / "alone", *arguments)
    status, out, err = run(tmp_path, *arguments, "--ray", "--tensorboard", "logs")
    assert (status, err) == (0, "")
    assert_as_alone(tmp_path, out)


def assert_as_alone(folder, out):
    """Rows and networks are those of the run in `alone`; each trial has its lines and logs."""
    pd.testing.assert_frame_equal(rows(folder), rows(folder / "alone"))
    assert_same_networks(folder / "alone", folder)
    first, *lines, last = out.splitlines()
    for done, (removed, measured, left) in enumerate(
        zip(*(lines[n::3] for n in range(3)), strict=True), 1
    ):
        assert re.match(r"(pruned 50 % by l1|not pruned) \(seed 0\): filters 14 ", removed), removed
        assert re.match("test accuracy: baseline .* after retraining ", measured), measured
        assert left.startswith(f"{done} of 2 trials done, ")
    assert done == 2
    written = {path.parent.parent.name for path in (folder / "logs").rglob("events*")}
    assert written == {"baseline", "pruned0.0_retrained1", "pruned0.5_retrained1"}


@pytest.mark.slow
# Ray 2.49 does not close some files of its nodes
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_rows_are_there_after_a_node_died_and_can_then_be_exported(few, network, tmp_path):
    grid = (few, *SHORT, 0.0, 0.5, "--seeds", 0, 1, "--model", network, "--control", "scratch")
    make_alone(tmp_path / "alone", *grid)
    csv = tmp_path / "results" / "few.csv"
    (last,) = (tmp_path / "alone").glob("results/*_seed1_*/pruned0.5_scratch_retrained1.json")
    last = tmp_path / last.relative_to(tmp_path / "alone").with_suffix("")
    last.parent.mkdir(parents=True)
    with two_nodes() as (ray_nodes, second), filelock.FileLock(f"{last}.lock") as waited_for:
        process = start(tmp_path, *grid, "--ray", ray_nodes.address)
        lines = iter(process.stdout.readline, "")
        shown = [next(line for line in lines if "trials done" in line)]
        ray_nodes.remove_node(second, allow_graceful=False)
        shown += [next(line for line in lines if "Raylet is terminated" in line)]  # printed by Ray
        waited_for.release()  # held until now, so that the grid was not finished before
        status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert "FAILED" not in "".join(shown) + out
    pd.testing.assert_frame_equal(rows(tmp_path), rows(tmp_path / "alone"))
    assert_same_networks(tmp_path / "alone", tmp_path)
    (tmp_path / "before.csv").write_text(before := csv.read_text())
    status, out, err = run(tmp_path, *grid, "--ray")
    assert (status, err, len(out.splitlines())) == (0, "", 1 + 3 * 8 + 2)
    assert csv.read_text() == before
    status, out, err = run(tmp_path, *grid, "--ray", "--export", "litert")
    assert (status, err) == (0, "")
    exported = record.read_rows(csv).set_index(TRIALS.settings).sort_index()
    assert (exported["litert_bytes"] > 0).all()
    trained = record.read_rows(tmp_path / "before.csv").set_index(TRIALS.settings)
    pd.testing.assert_series_equal(exported["finished_at"], trained["finished_at"].sort_index())
    assert len(list(tmp_path.glob("results/*/*.tflite"))) == 8 + 2


@pytest.mark.slow
def test_a_failed_trial_is_reported_at_the_end_and_the_others_continue(few, network, tmp_path):
    options = ("--retrain-lr", "1e38", "--control", "scratch", "--ray")
    status, out, err = run(tmp_path, few, *SHORT, 0.5, "--model", network, *options)
    assert status == 1
    why = r"training diverged: expected a finite loss, got (nan|inf); give a lower learning rate"
    name = re.escape("seed 0 pruned0.5_retrained1_lr1e+38")
    assert re.search(f"^FAILED: {name}: {why}; ", out, re.MULTILINE), out
    assert re.fullmatch(f"formal.py: failed: {name}: {why}\n", err)
    assert rows(tmp_path)["control"].tolist() == ["scratch"]
    arguments = (few, "1e38", *SHORT[1:], 0.5, "--model", network, "--ray")
    status, out, err = run(tmp_path, *arguments)
    assert status == 1
    assert re.search(f"failed: seed 0 pruned0.5_retrained1: its baseline failed: {why}\n$", err)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_finished_results_and_ends_all_processes(few, network, tmp_path, number):
    epochs = 10**9  # more than a test can wait for
    arguments = (few, *SHORT[:3], epochs, 0.0, "--model", network, "--control", "scratch", "--ray")
    driver, terminal = pty.openpty()
    with start(tmp_path, *arguments, stdout=terminal, start_new_session=True) as process:
        os.close(terminal)
        shown = ""
        while not re.search(r"seed 0 \S+  epoch \d+/100000000\d  loss ", shown):
            shown += os.read(driver, 10_000).decode()
        if number == signal.SIGINT:  # a terminal sends it to all processes
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        with contextlib.suppress(OSError):  # raised when all processes have closed the terminal
            while os.read(driver, 10_000):
                pass
        assert process.wait(timeout=HANGS) == -number, process.stderr.read()
        assert process.stderr.read().endswith("and the same command continues the run\n")
    os.close(driver)
    assert len(list(tmp_path.glob("results/*/baseline.json"))) == 1
    pgrep = ["pgrep", "-s", str(process.pid)]
    end = time.monotonic() + HANGS
    while subprocess.run(pgrep, stdout=subprocess.DEVNULL).returncode == 0:
        assert time.monotonic() < end  # Ray's processes may need a moment
        time.sleep(0.2)


def test_a_cluster_that_does_not_exist_is_an_error_before_training(few, network, tmp_path, call):
    address = "127.0.0.1:1"
    status, out, err = call(tmp_path, few, *SHORT, 0.5, "--model", network, "--ray", address)
    assert status == 1
    assert re.fullmatch(f"formal.py: --ray {address}: .*Connection refused\n", err)
    assert "FAILED" not in out


@pytest.mark.slow
def test_a_cluster_without_room_for_a_trial_is_an_error_before_training(few, network, tmp_path):
    options = ("--ray", "--cpus-per-trial", 500)
    status, out, err = run(tmp_path, few, *SHORT, 0.5, "--model", network, *options)
    assert status == 1
    message = "resources per trial: expected at most .* and 0 GPU, .* got 500 CPU; give fewer"
    assert re.fullmatch(f"formal.py: {message}\n", err)
    assert "FAILED" not in out


def test_ray_that_is_not_installed_is_an_error_before_training(few, network, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    status, out, err = call(network.parent, few, *SHORT, 0.5, "--model", network, "--ray")
    assert (status, out) == (1, "")
    assert err == (
        "formal.py: --ray requires the package ray, which is not installed; "
        "pip install -r requirements-extra.txt\n"
    )


@pytest.mark.parametrize("package", ["keras", "tensorflow"])
def test_a_node_with_another_version_is_rejected(package, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    job = Job("baseline", studies.of_two_seeds(RECIPE, (0.5,), 1).baselines[0])
    here = {"keras": keras.__version__, "tensorflow": tf.__version__}
    versions = here | {package: "0.1"}
    order = nodes.Order(Shared("scnnb", [], False), ("scnnb", None), False, versions)
    message = f"{package}: expected version 0.1 on every node, .* got {re.escape(here[package])}; "
    with pytest.raises(UserError, match=message):
        nodes.on_node(None, {}, {}, job, order, tell=print)


class _Direct:
    """In place of cluster.Cluster: a submitted call runs at once, in this process."""

    def __init__(self):
        self.ended = []

    def put(self, value):
        return value

    def submit(self, name, function, *arguments):
        self.ended.append((name, function(*arguments, tell=lambda line: None), None))

    def finished(self):
        return self.ended


def test_a_line_that_warns_of_a_gap_is_sent_from_the_node_with_the_name_of_its_job(
    tmp_path, monkeypatch, capsys
):
    def work(*arguments):
        print("epoch 1/1")
        model = keras.Sequential([keras.layers.Dense(2)])  # without BatchNormalization
        gap.warn(model, None, 0, in_training=1.0, in_test=0.5, remedy="")
        return {"accuracy": 0.5, "seconds": 1.0}

    monkeypatch.setattr(study, "RESULTS", tmp_path)
    monkeypatch.setattr(nodes, "work", work)
    baseline = studies.of_two_seeds(RECIPE, (0.5,), 1).baselines[0]
    pool = nodes.Nodes(_Direct(), None, Shared("scnnb", [], False), None)
    pool.submit(Job("baseline", baseline))
    assert capsys.readouterr().out == ""  # what a node prints is not seen
    pool.finished()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("ATTENTION: training accuracy 100.00 %, test accuracy 50.00 %: ")
    assert line.endswith(" (seed 0 baseline)")


def die(file, tell):
    """Count the calls in the file, then end the process."""
    with open(file, "a") as calls:
        calls.write("x")
    os._exit(1)


def fail(tell):
    """Raise an error, as a bug would."""
    raise ValueError("a fault inside")


def threads(tell):
    """The number of threads of TensorFlow, and of the runtimes."""
    import tensorflow as tf

    tf.constant(0)
    return tf.config.threading.get_intra_op_parallelism_threads(), timings.cores()


@pytest.mark.slow
def test_a_call_whose_process_dies_is_repeated_a_few_times_and_a_bug_has_its_traceback(
    tmp_path, capsys
):
    packages = ("experiment", "pruning", "scnnb", "data")
    code = [Path(__file__), *(ROOT / name for name in packages)]
    with cluster.Cluster("local", code=code, cpus=2, gpus=0) as local:
        local.submit("dies", die, tmp_path / "calls")
        local.submit("lives", threads)
        local.submit("fails", fail)
        ended = {}
        while local.running:
            ended |= {name: (result, error) for name, result, error in local.finished()}
    assert not ray.is_initialized()
    assert len((tmp_path / "calls").read_text()) == 1 + cluster.RETRIES
    assert ended["lives"] == ((0, 2), None) or ended["lives"] == ((2, 2), None)
    result, error = ended["dies"]
    assert result is None
    assert "died" in error
    assert ended["fails"] == (None, "ValueError: a fault inside")
    assert "in fail\n" in capsys.readouterr().err
