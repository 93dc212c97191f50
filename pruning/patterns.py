"""Which layers a name or glob means."""

import difflib
import fnmatch


def match(layer_ratios, paths):
    """The pattern that holds for each layer.

    Args:
        layer_ratios: dict whose keys are layer names (`"conv1"`), paths into nested models
            (`"backbone/conv1"`) or globs of either (`"conv*"`).
        paths: the paths of all layers.

    Returns:
        `{path: pattern}` of the layers that are named. The exact name counts before a glob, of
        several globs the last.

    Raises:
        ValueError: a pattern matches no layer.
    """
    found = {}
    exact = [pattern for pattern in layer_ratios if any(pattern in _names(p) for p in paths)]
    for pattern in [*(p for p in layer_ratios if p not in exact), *exact]:
        matching = [
            path
            for path in paths
            if any(
                name == pattern or (pattern not in exact and fnmatch.fnmatchcase(name, pattern))
                for name in _names(path)
            )
        ]
        if not matching:
            names = {name for path in paths for name in _names(path)}
            close = difflib.get_close_matches(pattern, sorted(names), n=5, cutoff=0.4)
            hint = f"close to it: {', '.join(close)}" if close else f"there are {', '.join(paths)}"
            raise ValueError(f"{pattern!r} matches no layer of the network; {hint}")
        found |= dict.fromkeys(matching, pattern)
    return found


def _names(path):
    return path, path.rsplit("/", 1)[-1]
