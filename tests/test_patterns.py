"""pruning/patterns.py."""

import pytest

from pruning import patterns

PATHS = ["conv1", "conv2", "backbone/conv1", "backbone/norm[1]"]
LAYERS = {path: [path] for path in PATHS}


@pytest.mark.parametrize(
    ("layer_ratios", "expected"),
    [
        ({"conv2": 0.1}, {"conv2": "conv2"}),
        ({"conv1": 0.1}, {"conv1": "conv1", "backbone/conv1": "conv1"}),
        ({"backbone/conv1": 0.1}, {"backbone/conv1": "backbone/conv1"}),
        (
            {"backbone/conv1": 0.1, "conv1": 0.2},
            {"conv1": "conv1", "backbone/conv1": "backbone/conv1"},
        ),
        ({"conv1": 0.1, "conv*": 0.2}, {"conv1": "conv1", "conv2": "conv*"}),
        ({"*": 0.1, "c*2": 0.2}, {"conv1": "*", "conv2": "c*2"}),
        ({"c*2": 0.2, "*": 0.1}, {"conv1": "*", "conv2": "*"}),
        ({"backbone/*": 0.1}, {"backbone/conv1": "backbone/*"}),
        ({"norm[1]": 0.1}, {"backbone/norm[1]": "norm[1]"}),
    ],
)
def test_a_name_wins_over_a_glob_and_the_last_glob_wins_over_others(layer_ratios, expected):
    found = patterns.match(layer_ratios, LAYERS)
    assert {path: found.get(path) for path in expected} == expected
    assert set(found.values()) <= set(layer_ratios)


def test_a_shared_layer_matches_by_any_of_its_paths():
    layers = {"a/shared": ["a/shared", "b/shared"], "other": ["other"]}
    for pattern in ("a/shared", "b/shared", "shared", "b/*"):
        assert patterns.match({pattern: 0.5}, layers) == {"a/shared": pattern}


def test_a_pattern_that_matches_no_layer_is_an_error_with_similar_names():
    with pytest.raises(
        ValueError, match="expected a name .* of a layer, got 'conv3'; similar names: c"
    ):
        patterns.match({"conv3": 0.5}, LAYERS)
    with pytest.raises(
        ValueError, match="expected a name .*, got 'zzz'; layers: conv1, conv2, back"
    ):
        patterns.match({"zzz": 0.5}, LAYERS)
