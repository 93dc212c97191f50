"""Which layers a name or glob means."""

import difflib
import fnmatch


def match(layer_ratios, layers):
    """The pattern that holds for each layer.

    Args:
        layer_ratios: dict whose keys are layer names (`"conv1"`), paths into nested models
            (`"backbone/conv1"`) or globs of either (`"conv*"`).
        layers: `{path: all paths of the same layer}`.

    Returns:
        `{path: pattern}` of the layers that are named. The exact name counts before a glob, of
        several globs the last.

    Raises:
        ValueError: a pattern matches no layer.
    """
    names = {
        path: {name for each in paths for name in (each, each.rsplit("/", 1)[-1])}
        for path, paths in layers.items()
    }
    known = set().union(*names.values())
    globs = [pattern for pattern in layer_ratios if pattern not in known]
    found = {}
    for pattern in [*globs, *(pattern for pattern in layer_ratios if pattern in known)]:
        meant = {pattern} if pattern in known else set(fnmatch.filter(known, pattern))
        if not meant:
            close = difflib.get_close_matches(pattern, sorted(known), n=5, cutoff=0.4)
            hint = f"close to it: {', '.join(close)}" if close else f"there are {', '.join(names)}"
            raise ValueError(f"{pattern!r} matches no layer of the network; {hint}")
        found |= {path: pattern for path in names if meant & names[path]}
    return found
