"""The imports between packages: three leaves, the experiment that joins them, and formal.py."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"data", "scnnb", "pruning", "experiment", "formal"}
# packages that take seconds to import, or are optional
LATE = ["keras", "tensorflow", "jax", "torch", "pandas", "matplotlib", "ray"]
LATE += ["ai_edge_litert", "onnx", "onnxruntime", "tf2onnx", "filelock", "PIL"]
IN_FUNCTIONS = {
    # imported after the arguments are checked, because Keras takes seconds
    ("formal.py", "experiment"),
    ("experiment/backend.py", "import_keras"),
    # imported at first use, because the command line reads names from these packages
    ("scnnb/__init__.py", "_build"),
    ("pruning/__init__.py", "__getattr__"),
    ("experiment/custom.py", "_network"),
    # the same, for the names of export formats
    ("pruning/exports/inputs.py", "signature"),
    ("pruning/exports/litert.py", "_write"),
    ("pruning/exports/litert.py", "_write_int8"),
    ("pruning/exports/saved_model.py", "_load"),
    # only the backend in use
    ("pruning/gradients.py", "_tensorflow"),
    ("pruning/gradients.py", "_jax"),
    ("pruning/gradients.py", "_torch"),
    # as those of the command line, for the names of datasets
    ("data/__init__.py", "_load"),
    # optional packages, which a flag requires
    ("experiment/backend.py", "require"),
    ("experiment/curve.py", "_pool"),
    ("pruning/exports/litert.py", "_load"),
    ("pruning/exports/onnx.py", "_load"),
    ("pruning/exports/onnx.py", "_write"),
}


def imports(file):
    """List of `(function, top package)` of all imports; the function is "" outside functions."""
    pairs = []

    def visit(node, function):
        if isinstance(node, ast.Import):
            pairs.extend((function, each.name.split(".")[0]) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            pairs.append((function, node.module.split(".")[0]))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            pairs.append((function, "?"))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not function:
            function = node.name
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(ast.parse(file.read_text(encoding="utf-8")), "")
    return pairs


def imported(package):
    """The names of the packages that this package or file imports."""
    files = (ROOT / package).rglob("*.py") if (ROOT / package).is_dir() else [ROOT / package]
    return {name for file in files for _, name in imports(file)}


@pytest.mark.parametrize("leaf", ["data", "scnnb", "pruning"])
def test_a_leaf_imports_no_other_leaf_and_nothing_of_the_experiment(leaf):
    assert imported(leaf) & OURS <= {leaf}


def test_only_the_experiment_imports_the_leaves_and_formal_imports_the_experiment():
    assert imported("experiment") & OURS == OURS - {"formal"}
    assert imported("formal.py") & OURS == {"experiment", "data"}


def test_the_library_needs_keras_and_numpy_only():
    files = (ROOT / "pruning").rglob("*.py")
    needed = {name for file in files for function, name in imports(file) if not function}
    assert needed - sys.stdlib_module_names == {"keras", "numpy", "pruning"}


def test_a_backend_is_imported_only_in_the_files_for_it():
    backends = {"tensorflow", "jax", "torch"}
    pairs = {
        (file.relative_to(ROOT).as_posix(), name)
        for package in OURS
        for file in [*(ROOT / package).rglob("*.py"), ROOT / "formal.py"]
        for function, name in imports(file)
        if not function and name in backends
    }
    assert pairs == {
        ("scnnb/backends/fused.py", "tensorflow"),
        ("scnnb/backends/tensorflow.py", "tensorflow"),
        ("scnnb/backends/torch.py", "torch"),
    }


def test_only_the_listed_functions_import_something():
    files = [ROOT / "formal.py"]
    for package in OURS - {"formal"}:
        files += (ROOT / package).rglob("*.py")
    functions = {
        (file.relative_to(ROOT).as_posix(), function)
        for file in files
        for function, _ in imports(file)
        if function
    }
    assert functions == IN_FUNCTIONS


@pytest.mark.parametrize("module", ["formal", "experiment.arguments", "experiment.settings"])
def test_formal_arguments_and_settings_import_no_slow_or_optional_package(module, tmp_path):
    for name in LATE:
        (tmp_path / f"{name}.py").write_text("raise Exception('it is imported')")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_library_works_without_the_other_packages():
    missing = [*(OURS - {"pruning"}), "pandas", "matplotlib", "filelock", "ray", "PIL"]
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules.update(dict.fromkeys({missing}))  # to import one of them fails
import keras
from pruning import prune
convolutions = [keras.layers.Conv2D(4, 3, name="conv1"), keras.layers.Conv2D(6, 3, name="conv2")]
head = [keras.layers.Flatten(), keras.layers.Dense(3)]
pruned = prune(keras.Sequential([keras.Input((8, 8, 1)), *convolutions, *head]), 0.5)
print([pruned.get_layer(name).filters for name in ("conv1", "conv2")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[2, 3]\n", done.stderr
