"""pyproject.toml: the packages that `pip install` installs with the library."""

import tomllib
from pathlib import Path

import pruning
from pruning.exports import FORMATS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXPORT = PROJECT["optional-dependencies"]["export"]


def name(requirement):
    return requirement.partition(">=")[0]


def ranges():
    """The lines of the requirements files."""
    files = [ROOT / "requirements.txt", ROOT / "requirements-extra.txt"]
    return {line for file in files for line in file.read_text(encoding="utf-8").splitlines()}


def test_the_library_needs_keras_and_numpy_in_the_ranges_of_the_program():
    assert set(map(name, PROJECT["dependencies"])) == {"keras", "numpy"}
    assert set(PROJECT["dependencies"]) <= ranges()


def test_the_extra_has_the_packages_of_every_format_in_the_ranges_of_the_program():
    packages = {package for each in FORMATS.values() for package in each.packages}
    needed = {package.replace("_", "-") for package in packages} | {"tensorflow"}
    assert set(map(name, EXPORT)) == needed
    assert set(EXPORT) <= ranges()


def test_the_version_is_written_in_the_package_only():
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    assert pruning.__version__.count(".") == 2
