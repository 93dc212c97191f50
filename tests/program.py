"""formal.py as its users call it: a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

FORMAL = str(Path(__file__).parent.parent / "formal.py")
HANGS = 3600  # seconds, by which no test decides: only what would never end takes them


def start(folder, *arguments, variables=None, **options):
    """A process with its output in pipes, or as the options of Popen say."""
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= variables or {}
    command = [sys.executable, FORMAL, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **streams | options)


def run(folder, *arguments, variables=None):
    """What a process came to: status, stdout, stderr."""
    return finish(start(folder, *arguments, variables=variables))


def finish(process):
    """What a process under way comes to: status, stdout, stderr."""
    with process:
        try:
            out, err = process.communicate(timeout=HANGS)
        except BaseException:
            process.kill()
            raise
    return process.returncode, out, err
