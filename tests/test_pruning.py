"""pruning/__init__.py: the public functions."""

import inspect
import typing

import pytest

import pruning


def test_the_public_functions_are_there_by_name():
    names = "benchmark export judge layer_groups macs parameters planned_sizes prune recalibrate"
    names = {*names.split(), "stages", "summary", "target_ratio"}
    assert names <= set(dir(pruning)) and names == set(pruning.__all__)
    assert {name: getattr(pruning, name).__name__ for name in names} == {n: n for n in names}


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="module 'pruning' has no attribute 'cut'"):
        pruning.cut  # noqa: B018


@pytest.mark.parametrize("name", pruning.__all__)
def test_every_argument_and_answer_of_the_public_functions_has_a_type(name):
    public = getattr(pruning, name)
    hints = typing.get_type_hints(public)  # NameError if one cannot be looked up
    assert hints.keys() == inspect.signature(public).parameters.keys() | {"return"}
