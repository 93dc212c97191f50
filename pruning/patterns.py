"""Which layers a name or glob matches."""

import difflib
import fnmatch


def match(layer_ratios, layers):
    """The pattern that each layer takes its ratio from.

    Args:
        layer_ratios: dict whose keys are layer names (`"conv1"`), paths into nested models
            (`"backbone/conv1"`) or globs of either (`"conv*"`).
        layers: `{path: all paths of the same layer}`.

    Returns:
        `{path: pattern}` of the layers that a pattern matches. The full path wins over the name,
        the name wins over a glob, and of several globs the last wins.

    Raises:
        ValueError: a pattern matches no layer.
    """
    bare = {path: {each.rsplit("/", 1)[-1] for each in paths} for path, paths in layers.items()}
    known = set().union(*layers.values(), *bare.values())
    best = {}  # path: (whether it is its full path, whether it is its name), pattern
    for pattern in layer_ratios:
        names = {pattern} if pattern in known else set(fnmatch.filter(known, pattern))
        if not names:
            close = difflib.get_close_matches(pattern, sorted(known), n=5, cutoff=0.4)
            hint = f"similar names: {', '.join(close)}" if close else f"layers: {', '.join(layers)}"
            raise ValueError(
                f"layer_ratios: expected a name or glob of a layer, got {pattern!r}; {hint}"
            )
        for path, paths in layers.items():
            exact = pattern in paths, pattern in bare[path]
            if names & ({*paths} | bare[path]) and exact >= best.get(path, (exact,))[0]:
                best[path] = exact, pattern
    return {path: pattern for path, (_, pattern) in best.items()}


def listed(paths):
    """The first five of the layer paths as a text, and how many more there are."""
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(list(paths)[:5]) + more
