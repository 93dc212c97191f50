"""Prune the filters of a trained Keras model, and export the smaller model to a device."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in `_PUBLIC`
    from pruning.comparison import summary
    from pruning.cost import macs, parameters
    from pruning.exports.writing import export
    from pruning.judging import judge
    from pruning.overview import layer_groups
    from pruning.pruner import planned_sizes, prune, stages, target_ratio
    from pruning.recalibration import recalibrate
    from pruning.timing import benchmark

_PUBLIC = {  # name: the module that defines it
    "benchmark": "pruning.timing",
    "export": "pruning.exports.writing",
    "judge": "pruning.judging",
    "layer_groups": "pruning.overview",
    "macs": "pruning.cost",
    "parameters": "pruning.cost",
    "planned_sizes": "pruning.pruner",
    "prune": "pruning.pruner",
    "recalibrate": "pruning.recalibration",
    "stages": "pruning.pruner",
    "summary": "pruning.comparison",
    "target_ratio": "pruning.pruner",
}
__all__ = [
    "benchmark",
    "export",
    "judge",
    "layer_groups",
    "macs",
    "parameters",
    "planned_sizes",
    "prune",
    "recalibrate",
    "stages",
    "summary",
    "target_ratio",
]
__version__ = "0.1.0"


def __getattr__(name):
    # imported at first use: the command line reads the names of criteria and formats from this
    # package, and must not wait seconds for Keras
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *_PUBLIC]
