"""README.md: its length and its arguments."""

import re
from pathlib import Path

from experiment import arguments

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_explains_the_six_arguments_in_their_order():
    assert len(README.splitlines()) <= 150
    table = README.split("| argument | here | meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| `([^`]*)`", table, re.M) == [
        *zip(arguments.POSITIONS, "fashion 0.001 128 35 30 0.4".split(), strict=True)
    ]
