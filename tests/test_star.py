"""The three packages never import each other; only formal.py knows more than one."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"data", "scnnb", "pruning"}


@pytest.mark.parametrize(
    "path", [p for room in sorted(ROOMS) for p in sorted((ROOT / room).rglob("*.py"))], ids=str
)
def test_a_package_imports_no_other_package_of_ours(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    own = path.relative_to(ROOT).parts[0]
    assert not imported & (ROOMS | {"formal"}) - {own}
