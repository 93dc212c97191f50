"""What a criterion says about the filters of a network."""

import functools
import numbers
from collections.abc import Callable
from typing import Any

import keras

from pruning import criteria, feature_maps, scales, taylor


def is_of_kernels(criterion: str | dict | Callable):
    """Whether the criterion scores a kernel by itself."""
    others = [*criteria.OF_FEATURE_MAPS, *criteria.OF_NETWORKS]
    return not isinstance(criterion, dict) and criterion not in others


def judge(
    model: keras.Model,
    criterion: str | dict | Callable,
    *,
    images: Any = None,
    labels: Any = None,
    loss: Callable | None = None,
    seed: int = 0,
) -> dict | Callable:
    """The criterion as a function of a kernel, or as `{layer path: scores}`; see `prune`."""
    if isinstance(criterion, dict) or callable(criterion):
        return criterion
    if criterion == "random":
        if not isinstance(seed, numbers.Integral) or seed < 0:
            raise ValueError(f"seed: expected a whole number from 0, got {seed!r}")
        return functools.partial(criteria.random, seed=seed)
    if criterion in list(criteria.OF_KERNELS):
        return criteria.OF_KERNELS[criterion]
    if criterion in list(criteria.OF_FEATURE_MAPS):
        _require("images", images, criterion)
        return feature_maps.scores(model, images, criterion)
    if criterion == "bn-scale":
        return scales.scores(model)
    if criterion == "taylor":
        _require("images", images, criterion)
        _require("labels", labels, criterion)
        return taylor.scores(model, images, labels, loss)
    names = ", ".join([*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS, *criteria.OF_NETWORKS])
    raise ValueError(f"criterion: expected {names} or a function, got {criterion!r}")


def _require(name, given, criterion):
    if given is None:
        raise ValueError(f"{name}: expected training {name} for criterion {criterion!r}, got None")
