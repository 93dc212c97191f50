"""experiment/signals.py: how a signal ends formal.py."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from experiment import record
from tests.program import FORMAL, HANGS, finish, start

ROOT = Path(__file__).parent.parent
STOPPED = "formal.py: stopped; finished rows are kept, and the same command continues the run\n"
SHORT = ("0.001", "100", "1", "2")  # lr, batchSz, Epoch1, Epoch2
SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.mark.usefixtures("untrained")
def test_ctrl_c_ends_a_run_with_one_line_and_keeps_the_finished_row(few, small, tmp_path, call):
    assert call(tmp_path, few, "0.001", 20, 1, 1, 0.4, "--model", small)[0] == 0
    process = start(tmp_path, few, "0.001", 20, 1, 10**9, 0.5, "--model", small)  # never ends
    for line in process.stdout:  # only if the program flushes each line
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    status, _, err = finish(process)
    assert status == -signal.SIGINT
    assert err == STOPPED
    rows = record.read_rows(tmp_path / "results" / "few.csv")
    assert rows["pruning_ratio"].tolist() == [0.4]
    assert not list(tmp_path.rglob("*partial*"))


@SIGNALS
def test_after_a_signal_the_program_cleans_up_and_dies_by_that_signal(tmp_path, number):
    code = (
        "import filelock, formal, time, types\n"
        "def experiment(given, options):\n"
        "    lock = filelock.FileLock('made.lock')\n"
        "    lock.acquire()\n"
        "    try:\n"
        "        print('ready')\n"
        "        time.sleep(3600)\n"
        "    except KeyboardInterrupt as stopped:\n"
        "        raise ImportError('as of a package in C') from stopped\n"
        "    finally:\n"
        "        print('tidied')\n"
        "formal.experiment, formal.import_keras = experiment, lambda gpus: None\n"
        "options = types.SimpleNamespace(ray=None, custom=None)\n"
        "formal.arguments.parse = lambda argv: (None, options)\n"
        "formal.signals.end(formal.main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=HANGS)
    assert (process.returncode, out, err) == (-number, "tidied\n", STOPPED)
    assert filelock.FileLock(tmp_path / "made.lock").acquire(timeout=0)


@pytest.fixture
def slow_import(tmp_path):
    """The environment variables with which the import of Keras prints a line and then lasts."""
    (tmp_path / "keras.py").write_text(
        "import time\nprint('importing', flush=True)\n"
        "try:\n    time.sleep(3600)\nexcept KeyboardInterrupt:\n    pass\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


@SIGNALS
def test_a_signal_during_the_import_of_keras_ends_the_program_at_once(
    few, tmp_path, slow_import, number
):
    with start(tmp_path, few, *SHORT, 0.4, variables=slow_import) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=HANGS)
    assert (process.returncode, err) == (-number, STOPPED)


def test_sighup_is_ignored_under_nohup(few, tmp_path, slow_import):
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with start(tmp_path, few, *SHORT, 0.4, variables=slow_import, **ignore) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANGS)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_ctrl_c_ends_a_loop_of_a_shell(few, tmp_path, slow_import):
    loop = f"for p in 0.4 0.5; do {sys.executable} {FORMAL} {few} {' '.join(SHORT)} $p; done"
    with subprocess.Popen(
        ["bash", "-c", f"{loop}; echo went on"],
        cwd=tmp_path,
        env=os.environ | slow_import,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:
        assert shell.stdout.readline() == "importing\n"
        os.killpg(shell.pid, signal.SIGINT)  # as a terminal does at Ctrl-C
        out, err = shell.communicate(timeout=HANGS)
    assert (shell.returncode, out, err) == (-signal.SIGINT, "", STOPPED)
