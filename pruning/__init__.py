"""Filters out of a trained Keras model by `prune`, and the smaller one to a device by `export`."""

import importlib

_PUBLIC = {  # name: the module that defines it
    "export": "pruning.exports.writing",
    "judge": "pruning.pruner",
    "prune": "pruning.pruner",
    "stages": "pruning.pruner",
}
__all__ = list(_PUBLIC)


def __getattr__(name):
    # imported at the first use: the command line reads names of criteria and formats from this
    # package before Keras, which takes seconds
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_PUBLIC]
