"""A smaller copy of a trained network: groups, criterion, selection and surgery in turn."""

import functools
import logging
import numbers
from collections.abc import Callable
from typing import Any

import keras

from pruning import channels, criteria, feature_maps, groups, plan, selection, sizes, surgery

SCHEDULES = ("one-shot", "iterative")
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

    With a filter go its bias, its entries in the BatchNormalization after it, the input channels of
    the layers that read it, and the rows of a Dense layer after Flatten. Every other weight keeps
    its value. At ratio 0 the copy holds bit-identical weights. The copy computes what the full
    network would if every layer read zeros from the removed filters.

    Convolutions are pruned, and Dense layers on maps, which are 1x1 convolutions. A Dense layer on
    vectors, and any layer whose channels are coupled to those of a convolution, loses what the
    convolution loses; `layer_groups` lists them. Two kinds of filters are not prunable: those whose
    channels reach the network's output, and those that enter a normalisation over channels
    (LayerNormalization, GroupNormalization, RMSNormalization), which would compute something else
    without them. A warning is logged that names the second kind.

    Args:
        model: built Functional or Sequential Keras model, channels last, compiled or not; it may
            have nested models and shared layers. It is left unchanged.
        ratio: part of the filters to remove, 0 <= ratio < 1; the number is rounded up, and at least
            one filter of each group stays.
        layer_ratios: `{layer name or glob: ratio}`, which wins over `ratio`: `{"conv*": 0.3}`. A
            layer in a nested model is `"backbone/conv1"` or just `"conv1"`. The full path counts
            before the name, the name before a glob, of several globs the last. It holds for the
            whole group of a layer.
        criterion: what a filter is worth; the lowest go. By its weights: `"l1"`, `"l2"`,
            `"largest"` (the largest L1 norm goes first) or `"random"`. By its feature maps of
            `images`, before BatchNormalization and activation: `"mean-mean"`, `"mean-std"`,
            `"mean-l1"`, `"mean-l2"`, `"var-l2"`, see `pruning.feature_maps`. Or a function of a
            kernel, float array (..., in_channels, filters), that returns one score per filter; or
            `{layer path: scores}`.
        strategy: `"independent"`: every group is ranked by itself, with all its input channels.
            `"greedy"`: in the order of computation, and kernels leave out the input channels that
            are removed already. Only for criteria that look at kernels.
        coupled: what happens to groups in which several convolutions meet, as at an Add.
            `"joint"`: ranked by the sum of the scores of all its layers. `"shortcut"`: the 1x1
            projections on the shortcuts decide for all, and a group without one is not pruned
            (Li et al. 2017, section 3.3). `"skip"`: not pruned. A depthwise convolution makes no
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
    if strategy not in selection.STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; give {', '.join(selection.STRATEGIES)}")
    if strategy == "greedy" and (
        isinstance(criterion, dict) or criterion in list(criteria.OF_FEATURE_MAPS)
    ):
        raise ValueError(
            "strategy is 'greedy', which leaves out parts of kernels; give a criterion that looks "
            f"at kernels: {', '.join(criteria.OF_KERNELS)}"
        )
    wanted = plan.request(ratio, layer_ratios, coupled)
    structure = groups.find(model)
    judged = judge(model, criterion, images=images, seed=seed)
    kept = selection.kept(structure, wanted, judged, strategy=strategy, only=only)
    plan.check_any_goes(structure, wanted, bool(kept))
    if kept:
        _warn_of_normalisations(structure)
    return surgery.cut(structure, kept)


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
    wanted = plan.request(ratio, layer_ratios, coupled)
    return plan.stages(groups.find(model), wanted)


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
    requests = [plan.request(ratio, layer_ratios, coupled) for ratio in ratios]
    structure = groups.find(model)
    iterative = schedule == "iterative"
    cuts = {each.ratio: sizes.planned(structure, each, iterative=iterative) for each in requests}
    prune(model, max(ratios), layer_ratios=layer_ratios, coupled=coupled)
    return cuts


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
    return feature_maps.scores(model, images, criterion)


def _warn_of_normalisations(structure):
    silent = ("", channels.FROM_INPUT, channels.TO_OUTPUT)
    paths = {
        path: None
        for group in structure.groups
        if group.not_prunable not in silent and not group.unsupported
        for path in plan.prunable_paths(group)
    }
    if paths:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        _log.warning(
            "%s: not pruned, since the normalisation over channels that they reach would not be "
            "exact without them: %s%s",
            structure.model.name,
            ", ".join(list(paths)[:5]),
            more,
        )
