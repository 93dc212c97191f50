"""experiment/errors.py: which errors are one line, and which keep their traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiment import progress
from experiment.errors import UserError, as_the_users, in_one_line, is_the_users
from scnnb import training

ROOT = Path(__file__).parent.parent


def test_a_bug_in_the_program_keeps_its_traceback(few, small, call, monkeypatch, tmp_path):
    def wrong(*arguments, **options):
        raise ValueError("operands could not be broadcast together")

    for module, name in ((training, "accuracy"), (progress, "training_seconds")):
        with monkeypatch.context() as patch, pytest.raises(ValueError, match="could not be broad"):
            patch.setattr(module, name, wrong)
            call(small.parent, few, "0.001", 40, 1, 1, 0.4, "--model", small)
    code = (
        "import formal as f; f.arguments.parse = lambda argv: [].index(0); f.signals.end(f.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ValueError: 0 is not in list\n")


def test_errors_of_files_disks_and_memory_are_the_users_and_others_are_not():
    system = [OSError(13, "Permission denied", "a.csv"), OSError(28, "No space left on device")]
    assert all(map(is_the_users, [*system, MemoryError(), UserError("diverged")]))
    bugs = [OSError("no words of the system"), OSError(9, "Bad file descriptor"), ValueError("a")]
    assert not any(map(is_the_users, bugs))


def test_errors_of_the_given_classes_become_user_errors_with_their_cause():
    with pytest.raises(UserError, match="^of 7 classes$") as ended, as_the_users(ValueError):
        raise ValueError("of 7 classes")
    assert isinstance(ended.value.__cause__, ValueError)
    with pytest.raises(UserError, match="^NotImplementedError$"):
        with as_the_users(NotImplementedError):
            raise NotImplementedError
    with pytest.raises(KeyError), as_the_users(ValueError):
        raise KeyError("a bug")
    disk = OSError(28, "No space left on device")
    with pytest.raises(OSError) as ended, as_the_users(OSError):
        raise disk
    assert ended.value is disk


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("two\nlines"), "two lines"),
        (MemoryError(), "there is not enough memory"),
        (
            OSError(28, "full"),
            "[Errno 28] full; free some disk space, and the same command continues the run",
        ),
    ],
)
def test_the_message_of_an_error_is_one_line(error, line):
    assert in_one_line(error) == line
