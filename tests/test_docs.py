"""docs/: the code that pages show runs, in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(page):
    """What the Python blocks of a page print, one after the other."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(blocks)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(("page", "printed"), [("docs/teaching-a-layer.md", "4 4\n")])
def test_the_code_of_a_page_runs_and_proves_what_it_says(page, printed):
    done = run(page)
    assert (done.returncode, done.stdout) == (0, printed), done.stderr
