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
        `{path: pattern}` of the layers that are named. The full path counts before the name, the
        name before a glob, of several globs the last.

    Raises:
        ValueError: a pattern matches no layer.
    """
    bare = {path: {each.rsplit("/", 1)[-1] for each in paths} for path, paths in layers.items()}
    known = set().union(*layers.values(), *bare.values())
    found = {}
    for pattern in layer_ratios:
        names = {pattern} if pattern in known else set(fnmatch.filter(known, pattern))
        if not names:
            close = difflib.get_close_matches(pattern, sorted(known), n=5, cutoff=0.4)
            hint = f"close to it: {', '.join(close)}" if close else f"there are {', '.join(layers)}"
            raise ValueError(f"{pattern!r} matches no layer of the network; {hint}")
        for path, paths in layers.items():
            exact = pattern in paths, pattern in bare[path]
            if names & ({*paths} | bare[path]) and exact >= found.get(path, (exact,))[0]:
                found[path] = exact, pattern
    return {path: pattern for path, (_, pattern) in found.items()}
