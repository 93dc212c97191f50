"""A smaller copy of a trained network: groups, criterion, selection and surgery in turn."""

import functools
import logging
import numbers
from collections.abc import Callable
from typing import Any

import keras

from pruning import activations, criteria, groups, numbering, selection, sizes, surgery

SCHEDULES = ("one-shot", "iterative")
STRATEGIES = {"independent": selection.independent, "greedy": selection.greedy}
_log = logging.getLogger(__name__)


def prune(
    model: keras.Model,
    ratio: float,
    *,
    layer_ratios: dict[str, float] | None = None,
    criterion: str | dict | Callable = "l1",
    strategy: str = "independent",
    coupled: str = "joint",
    only: list[str] | None = None,
    images: Any = None,
    seed: int = 0,
) -> keras.Model:
    """A smaller copy of a trained network, without its filters of lowest score.

    With a filter go its bias, its entries in the BatchNormalization behind it, the input
    channels of the layers that read it, and the rows of a Dense layer behind Flatten; every other
    weight keeps its value. At ratio 0 the copy holds bit-identical weights. The copy computes what
    the full network would if every layer read zeros from the removed filters.

    Convolutions are pruned, and Dense layers on maps, which are 1x1 convolutions. A Dense layer on
    vectors, and any layer whose channels are tied to those of a convolution, loses what the
    convolution loses; `pruning.groups` tells how such groups are found. Filters whose channels
    reach the network's output are never removed, nor those that enter a normalisation over channels
    (LayerNormalization, GroupNormalization, RMSNormalization): without them it would compute
    something else, so the copy would not be exact. A warning is logged that names these layers.

    Args:
        model: built Functional or Sequential Keras model, channels last, compiled or not, with
            nested models and shared layers. It is left untouched.
        ratio: part of the filters to remove, 0 <= ratio < 1; the number is rounded up, and at least
            one filter of each group stays.
        layer_ratios: `{layer name or glob: ratio}`, which wins over `ratio`: `{"conv*": 0.3}`. A
            layer in a nested model is `"backbone/conv1"` or just `"conv1"`. The whole path counts
            before the name, the name before a glob, of several globs the last. It holds for the
            whole group of a layer.
        criterion: what a filter is worth; the lowest go. By its weights: `"l1"`, `"l2"`,
            `"largest"` (the largest L1 norm goes first) or `"random"`. By its feature maps of
            `images`, before BatchNormalization and activation: `"mean-mean"`, `"mean-std"`,
            `"mean-l1"`, `"mean-l2"`, `"var-l2"`, as `pruning.activations` tells. Or a function of a
            kernel, float array (..., in_channels, filters), that returns one score per filter; or
            `{layer path: scores}`.
        strategy: `"independent"`: every group is ranked by itself, with all its input channels.
            `"greedy"`: in the order of computation, and kernels leave out the input channels that
            are removed already. Only for criteria that look at kernels.
        coupled: what happens to groups in which several convolutions meet, as at an Add.
            `"joint"`: ranked by the sum of the scores of all its layers. `"shortcut"`: the 1x1
            projections on the shortcuts decide for all, and a group without one is left whole
            (Li et al. 2017, section 3.3). `"skip"`: left whole. A depthwise convolution makes no
            channels of its own and is not counted.
        only: None for all layers, or the layers to prune now, a list as `stages` returns them.
        images: training images for the criteria that look at feature maps, float array (n, height,
            width, channels), or a list of arrays where the network has several inputs.
        seed: whole number that fixes `"random"`.

    Returns:
        Functional Keras model of the same layers and layer names, not compiled. Nested models are
        Functional, too.

    Raises:
        ValueError: an argument is out of range, a pattern matches no layer, a layer cannot be
            pruned, or not be copied since it is not Keras' own and its config lacks what it
            computes with, which the message names with the reason, or nothing would be pruned
            although a ratio is above 0. Nothing is cut then.
        TypeError: the model is not built from layers that can be listed.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.
    """
    if strategy not in list(STRATEGIES):
        raise ValueError(f"strategy is {strategy!r}; give {', '.join(STRATEGIES)}")
    layer_ratios = _checked(layer_ratios, coupled)
    channels = groups.find(model)
    if strategy == "greedy" and (
        isinstance(criterion, dict) or criterion in list(criteria.OF_FEATURE_MAPS)
    ):
        raise ValueError(
            "strategy is 'greedy', which leaves out parts of kernels; give a criterion that looks "
            f"at kernels: {', '.join(criteria.OF_KERNELS)}"
        )
    judged = judge(model, criterion, images=images, seed=seed)
    kept = STRATEGIES[strategy](
        channels, ratio, layer_ratios=layer_ratios, criterion=judged, coupled=coupled, only=only
    )
    selection.check_any_goes(
        channels, ratio, layer_ratios=layer_ratios, coupled=coupled, any_goes=bool(kept)
    )
    if kept:
        _warn_of_normalisations(channels)
    return surgery.cut(channels, kept)


def stages(
    model: keras.Model,
    ratio: float,
    *,
    layer_ratios: dict[str, float] | None = None,
    coupled: str = "joint",
) -> list[list[str]]:
    """The layers to prune one after the other, as an iterative schedule does.

    Args:
        model: as `prune` takes it.
        ratio: as `prune` takes it.
        layer_ratios: as `prune` takes them.
        coupled: as `prune` takes it.

    Returns:
        List of lists of layer names, in the order of computation, each for `prune(..., only=)`.
        Layers that lose filters together are in one list. Layers that lose none are left out,
        unless all ratios are 0.

    Raises:
        ValueError, TypeError: as `prune`.
    """
    layer_ratios = _checked(layer_ratios, coupled)
    return selection.stages(groups.find(model), ratio, layer_ratios=layer_ratios, coupled=coupled)


def planned_sizes(
    model: keras.Model,
    ratios: list[float],
    *,
    layer_ratios: dict[str, float] | None = None,
    coupled: str = "joint",
    schedule: str = "one-shot",
) -> dict[float, list[sizes.Cut]]:
    """What networks will cost after each cut, and whether they can be cut, before any is trained.

    Whether its layers can be copied is seen by cutting it once, at the largest ratio.

    Args:
        model: as `prune` takes it.
        ratios: list of ratios, each as `prune` takes it.
        layer_ratios: as `prune` takes them.
        coupled: as `prune` takes it.
        schedule: `"one-shot"`, or `"iterative"`: the layers of `stages` are cut one after the
            other, each in the network that the cut before left.

    Returns:
        `{ratio: list of sizes.Cut}`, one for each cut: the layers that lose filters, and parameters
        and MACs of the network after it.

    Raises:
        ValueError, TypeError: as `prune`, or there is no layer for an iterative schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}; give {', '.join(SCHEDULES)}")
    options = {"layer_ratios": _checked(layer_ratios, coupled), "coupled": coupled}
    channels = groups.find(model)
    iterative = schedule == "iterative"
    found = {ratio: sizes.planned(channels, ratio, iterative, **options) for ratio in ratios}
    prune(model, max(ratios), **options)
    return found


def judge(
    model: keras.Model, criterion: str | dict | Callable, *, images: Any = None, seed: int = 0
) -> dict | Callable:
    """The criterion as a function of a kernel or as `{layer path: scores}`; see `prune`."""
    if isinstance(criterion, dict) or callable(criterion):
        return criterion
    if criterion == "random":
        if not isinstance(seed, numbers.Integral) or seed < 0:
            raise ValueError(f"seed is {seed!r}; give a whole number from 0")
        return functools.partial(criteria.random, seed=seed)
    if criterion in list(criteria.OF_KERNELS):
        return criteria.OF_KERNELS[criterion]
    if criterion not in list(criteria.OF_FEATURE_MAPS):
        names = ", ".join([*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS])
        raise ValueError(f"criterion is {criterion!r}; give {names} or a function")
    if images is None:
        raise ValueError(f"criterion is {criterion!r}, which looks at feature maps; give images")
    return activations.scores(model, images, criterion)


def _checked(layer_ratios, coupled):
    if coupled not in selection.COUPLED:
        raise ValueError(f"coupled is {coupled!r}; give {', '.join(selection.COUPLED)}")
    layer_ratios = {} if layer_ratios is None else layer_ratios
    if not isinstance(layer_ratios, dict) or not all(isinstance(p, str) for p in layer_ratios):
        raise ValueError(f"layer_ratios is {layer_ratios!r}; give {{layer name or glob: ratio}}")
    return layer_ratios


def _warn_of_normalisations(channels):
    names = {
        member.call.path: None
        for group in channels.groups
        for member in group.members
        if group.whole not in ("", numbering.FROM_INPUT, numbering.TO_OUTPUT)
        and member.flow.convolution
    }
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        _log.warning(
            "%s: left whole, since the normalisation over channels that they reach would not be "
            "exact without them: %s%s",
            channels.model.name,
            ", ".join(list(names)[:5]),
            more,
        )
