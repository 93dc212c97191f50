"""Run formal.py as its users do, in its own process."""

import os
import subprocess
import sys
from pathlib import Path

FORMAL = str(Path(__file__).parent.parent / "formal.py")
HANGS = 3600  # seconds; only a process that never ends takes so long


def start(folder, *arguments, variables=None, **options):
    """Start formal.py; its output goes to pipes unless the options of Popen say otherwise."""
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= variables or {}
    command = [sys.executable, FORMAL, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **streams | options)


def run(folder, *arguments, variables=None):
    """Run formal.py; returns status, stdout, stderr."""
    return finish(start(folder, *arguments, variables=variables))


def finish(process):
    """Wait for a process; returns status, stdout, stderr."""
    with process:
        try:
            out, err = process.communicate(timeout=HANGS)
        except BaseException:
            process.kill()
            raise
    return process.returncode, out, err
