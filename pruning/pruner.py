"""Prune a trained network: find its groups, score and select the filters, cut the network."""

import logging
import numbers
from collections.abc import Callable
from typing import Any, Unpack

import keras

from pruning import (
    channels,
    compensation,
    criteria,
    groups,
    judging,
    patterns,
    plan,
    request,
    selection,
    sizes,
    surgery,
    target,
)

_log = logging.getLogger(__name__)


def prune(
    model: keras.Model,
    ratio: float | None = None,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    bytes: float | None = None,
    layer_ratios: dict[str, float] | None = None,
    criterion: str | dict | Callable = "l1",
    strategy: str = "independent",
    coupled: str = "joint",
    dense: bool = False,
    combine: str = request.DEFAULT_COMBINE,
    round_to: int = 1,
    ranking: str | tuple = "uniform",
    keep: float = request.KEEP,
    unsupported: str = "keep",
    only: list[str] | None = None,
    full: keras.Model | None = None,
    compensate: bool = False,
    images: Any = None,
    labels: Any = None,
    loss: Callable | None = None,
    seed: int = 0,
) -> keras.Model:
    """A smaller copy of a trained network, without its filters of lowest score.

    A filter is removed together with its bias, its entries in the BatchNormalization after it, the
    input channels of the layers that read it, and the rows of a Dense layer after Flatten. All
    other weights keep their values. At ratio 0 the copy has bit-identical weights. The copy
    computes what the full network computes if its layers read zeros from the removed filters.

    Convolutions are pruned, and so are Dense layers on feature maps, which are 1x1 convolutions. A
    layer whose channels are coupled to those of a convolution loses the same channels; a Dense
    layer on vectors loses channels in this way only, unless `dense` is true. `layer_groups` lists
    these layers. Three kinds of filters are not prunable. The first are those whose channels reach
    the network's output, perhaps through operations that no rule fits. The second are those whose
    channels enter a normalisation over channels (LayerNormalization, GroupNormalization of one
    group, RMSNormalization): without them it would compute something else. The third are those
    whose channels reach any other layer or operation that no rule fits, see `unsupported`. A logged
    warning names the layers of the second kind, and one those of the third.

    Args:
        model: built Functional or Sequential Keras model, channels last, compiled or not. It
            may have nested models and shared layers, and be of a class of its own, with another
            `train_step` for example, but without its own `call`. It is not changed.
        ratio: part of the filters to remove, 0 <= ratio < 1. The number of filters is rounded up,
            and at least one filter of each group stays. Give exactly one of `ratio`, `macs`,
            `parameters` and `bytes`.
        macs: the part of the full network's multiply-accumulates that may remain, above 0, at most
            1. Filters go until this holds; with one unit less it would not. If the ranking is
            `"uniform"`, the smallest ratio that reaches it is used, as `target_ratio` returns it.
        parameters: the part of the full network's parameters that may remain, in the same way.
        bytes: the float32 bytes of all weights that may remain: 4 times the parameters. A file is
            a little larger, because it describes the layers, too.
        layer_ratios: `{layer name or glob: ratio}`, used instead of `ratio`: `{"conv*": 0.3}`. A
            layer in a nested model is `"backbone/conv1"` or just `"conv1"`. The full path wins
            over the name, the name wins over a glob, and of several globs the last wins. The ratio
            holds for all layers of the group.
        criterion: the importance of a filter; those of lowest score are removed. From the weights:
            `"l1"`, `"l2"`, `"fpgm"` (the sum of the distances to the other filters), `"largest"`
            (the largest L1 norm is removed first) or `"random"`, see `pruning.criteria`. From the
            feature maps of `images`, before BatchNormalization and activation: `"mean-mean"`,
            `"mean-std"`, `"mean-l1"`, `"mean-l2"`, `"var-l2"`, see `pruning.feature_maps`. From the
            scale of the BatchNormalization that reads the layer: `"bn-scale"`, see
            `pruning.scales`. From the change of the loss of `images` with `labels`: `"taylor"`, see
            `pruning.taylor`. Or a function of a kernel, float array (..., in_channels, filters),
            that returns one score per filter; if it needs a second argument, it gets the layer. Or
            `{layer path: scores}`.
        strategy: `"independent"`: every group is ranked by itself, with all input channels.
            `"greedy"`: groups are ranked in the order of computation, and kernels are scored
            without the input channels that are already removed. It needs a criterion of kernels.
        coupled: what happens to groups of several convolutions, such as those joined by an Add.
            `"joint"`: units are ranked by the scores of all layers. `"shortcut"`: the
            1x1 projections on the shortcuts decide for the group, and a group without one is not
            pruned (Li et al. 2017, section 3.3). `"skip"`: the group is not pruned. A depthwise
            convolution has no filters of its own to remove and does not count.
        dense: whether hidden Dense layers on vectors are pruned, too, so those of a plain MLP or
            after Flatten. Their score is that of their kernel (in_channels, units). A Dense layer
            whose units reach the network's output is never pruned.
        combine: how the scores of the filters of a unit make its score. `"sum"`: their sum.
            `"mean"`: the scores of each layer are divided by the mean of their absolute values; of
            these the mean over the layers (Fang et al. 2023, DepGraph). `"max"`: the largest of the
            divided scores. A depthwise convolution counts. A unit of one filter has its score.
        round_to: every group keeps a multiple of so many filters, or all that it has: 8 suits many
            devices. The number that stays is rounded up. Then a layer that reads a concatenation
            reads a multiple, too, unless the size of a group that keeps all its filters is none.
        ranking: `"uniform"`: all groups lose the same ratio. `"global"`: the units of lowest score
            of all groups go first, one by one. With `ratio` it is that part of all units. The
            scores of the units of a group are divided by the mean of their absolute values (Fang et
            al. 2023, DepGraph). Or the result of `sensitivity.analyse`: the next unit to go is
            that of the layer which then has lost the least accuracy by itself; the criterion
            decides which unit of the layer it is. Groups that `layer_ratios` name are not ranked.
        keep: if the ranking is not `"uniform"`, the part of its units that each group keeps at
            least, rounded up. At least one unit stays.
        unsupported: what happens to filters whose channels reach a layer or operation that has no
            rule, or whose call does not fit its rule. `"keep"`: they stay, the rest of the network
            is pruned, and one logged warning names all of them, with type and reason. `"error"`:
            an error names all of them. `docs/teaching-a-layer.md` shows how to add a rule.
        only: None for all layers, or the layers to prune now: one list of those that `stages`
            returns.
        full: None, or the network before earlier prunings. The ratios are then parts of its
            filters, and the filters that are gone already are among those to remove. So a ratio is
            reached in steps: 0.1, 0.2 and 0.4 give the shape that 0.4 gives at once. `round_to`
            counts what stays of them, too. It goes with a ratio and `ranking="uniform"` only.
        compensate: whether the layers that read removed channels get, as a part of their bias, what
            these contributed on average, measured on `images`. All other weights are those of the
            copy without it. It helps if little is removed. See `pruning.compensation`.
        images: training images for `compensate`, for a criterion of feature maps and for
            `"taylor"`, float array (n, height, width, channels), or a list of arrays if the network
            has several inputs.
        labels: for `"taylor"`: the classes of the images, integer array (n,), or other labels that
            `loss` takes.
        loss: for `"taylor"`: function of (labels, outputs) that returns a loss for each image or
            their mean, such as a loss of Keras. By default cross-entropy, of probabilities or
            logits: outputs that are at least 0 and have the sum 1 for each image are probabilities.
        seed: whole number from 0, the seed of criterion `"random"`.

    Returns:
        Functional Keras model with the same layers and layer names, not compiled. Nested models
        are Functional, too. A class derived from `keras.Model` is kept if it is made of inputs and
        outputs, so if it has no `__init__` or one of `*args, **kwargs`; what was set on the object
        later is not. Of any other class, such as those of KerasHub, the copy is a plain
        `keras.Model` that computes the same.

    Raises:
        ValueError: an argument is out of range; a pattern matches no layer; a layer cannot be
            pruned, but `layer_ratios` name it or `unsupported` is `"error"`; or a layer cannot be
            copied because its config is not complete; or a ratio is above 0 but no filter can be
            removed, or `round_to` keeps all; or a target cannot be reached. The message names the
            layers and the reasons.
        TypeError: the model is a subclassed model with its own `call`, whose layers cannot be
            listed.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.
    """
    if strategy not in selection.STRATEGIES:
        names = " or ".join(selection.STRATEGIES)
        raise ValueError(f"strategy: expected {names}, got {strategy!r}")
    if strategy == "greedy" and not judging.is_of_kernels(criterion):
        raise ValueError(
            "strategy: expected independent for a criterion that does not score kernels, got "
            f"'greedy'; give a criterion of kernels: {', '.join(criteria.OF_KERNELS)}"
        )
    if compensate and images is None:
        raise ValueError("images: expected training images for compensate=True, got None")
    if dense and criterion in ["mean-std"]:
        raise ValueError(
            "criterion: expected one that tells single values apart, with dense=True, got "
            "'mean-std', which is 0 for every unit on vectors; use 'var-l2' or 'mean-l1'"
        )
    before = None if full is None else groups.find(full, dense=dense)
    wanted = request.request(
        ratio,
        layer_ratios,
        coupled,
        dense=dense,
        combine=combine,
        round_to=round_to,
        macs=macs,
        parameters=parameters,
        bytes=bytes,
        ranking=ranking,
        keep=keep,
        unsupported=unsupported,
        full=before,
    )
    if only is not None and (wanted.target or ranking != "uniform"):
        raise ValueError(
            "only: expected a ratio for all of these layers, got a target or another ranking; "
            "find the ratio of the whole network with target_ratio, then give it with each list"
        )
    structure = groups.find(model, dense=dense)
    judged = judging.judge(model, criterion, images=images, labels=labels, loss=loss, seed=seed)
    kept = selection.kept(structure, wanted, judged, strategy=strategy, only=only)
    plan.check_any_goes(structure, wanted, bool(kept))
    if kept:
        _warn_of_normalisations(structure)
        _warn_of_unsupported(structure, wanted, only)
    smaller = surgery.cut(structure, kept)
    if compensate and kept:
        compensation.compensate(smaller, structure, kept, images)
    return smaller


def stages(
    model: keras.Model,
    ratio: float | None = None,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    bytes: float | None = None,
    **options: Unpack[request.Options],
) -> list[list[str]]:
    """The stages of an iterative schedule: the layers that are pruned one after the other.

    Args:
        model: as `prune` takes it.
        ratio: as `prune` takes it.
        macs: as `prune` takes it.
        parameters: as `prune` takes it.
        bytes: as `prune` takes it.
        **options: `layer_ratios`, `coupled`, `dense`, `combine`, `round_to`, `unsupported`, as
            `prune` takes them.

    Returns:
        List of lists of layer paths, in the order of computation. Each list is an argument for
        `prune(..., only=)`. Layers that lose filters together are in one list. Layers that lose
        none are left out, unless all ratios are 0.

    Raises:
        ValueError, TypeError: as `prune`.
    """
    wanted = request.request(ratio, macs=macs, parameters=parameters, bytes=bytes, **options)
    structure = groups.find(model, dense=wanted.dense)
    return plan.stages(structure, target.as_ratio(structure, wanted))


def target_ratio(
    model: keras.Model,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    bytes: float | None = None,
    **options: Unpack[request.Options],
) -> float:
    """The smallest ratio with which the network is as small as the target says.

    Args:
        model: as `prune` takes it.
        macs: as `prune` takes it.
        parameters: as `prune` takes it.
        bytes: as `prune` takes it.
        **options: `layer_ratios`, `coupled`, `dense`, `combine`, `round_to`, `unsupported`, as
            `prune` takes them.

    Returns:
        The ratio for `prune`. Ratios a little below remove as many filters.

    Raises:
        ValueError, TypeError: as `prune`.
    """
    wanted = request.request(macs=macs, parameters=parameters, bytes=bytes, **options)
    structure = groups.find(model, dense=wanted.dense)
    return target.as_ratio(structure, wanted).ratio


def planned_sizes(
    model: keras.Model,
    ratios: list[float] | None = None,
    *,
    macs: list[float] | None = None,
    parameters: list[float] | None = None,
    bytes: list[float] | None = None,
    schedule: str = "one-shot",
    steps: int = 4,
    **options: Unpack[request.Options],
) -> dict[float, list[sizes.Cut]]:
    """Parameters and MACs after each cut, computed before any network is trained.

    The model is also cut once, at the largest ratio, to see whether its layers can be copied.

    Args:
        model: as `prune` takes it.
        ratios: list of ratios, each as `prune` takes it. Give exactly one of the four lists.
        macs: list of targets, each as `prune` takes it.
        parameters: list of targets, each as `prune` takes it.
        bytes: list of targets, each as `prune` takes it.
        schedule: `"one-shot"`: one cut. `"iterative"`: one cut for each list of layers that
            `stages` returns; each cut starts from the network that the previous cut returned.
            `"stepwise"`: the k-th of `steps` cuts is `prune(..., full=model)` of all layers, with
            the ratios times k / steps.
        steps: number of cuts of a stepwise schedule, from 1.
        **options: `layer_ratios`, `coupled`, `dense`, `combine`, `round_to`, `unsupported`, as
            `prune` takes them.

    Returns:
        `{ratio or target: list of sizes.Cut}`, one Cut for each cut: the layers that lose filters,
        and parameters and MACs of the network after the cut. With `ranking="global"` they depend
        on the weights that the network has now, as the filters that go are those of lowest L1 norm.

    Raises:
        ValueError, TypeError: as `prune`, or an iterative schedule has no layer to prune.
    """
    if schedule not in sizes.SCHEDULES:
        raise ValueError(f"schedule: expected {', '.join(sizes.SCHEDULES)}, got {schedule!r}")
    if not isinstance(steps, numbers.Integral) or steps < 1:
        raise ValueError(f"steps: expected a whole number from 1, got {steps!r}")
    lists = {"ratio": ratios, "macs": macs, "parameters": parameters, "bytes": bytes}
    given = [(name, amounts) for name, amounts in lists.items() if amounts is not None]
    if len(given) != 1:
        raise ValueError(
            f"ratios: expected exactly one list of ratios, macs, parameters or bytes, got "
            f"{len(given)}"
        )
    ((name, amounts),) = given
    requests: dict[float, Any] = {
        amount: request.request(**{name: amount}, **options) for amount in amounts
    }
    structure = groups.find(model, dense=options.get("dense", False))
    cuts = {
        amount: sizes.planned(structure, wanted, schedule=schedule, steps=steps)
        for amount, wanted in requests.items()
    }
    most: dict[str, Any] = {name: max(amounts) if name == "ratio" else min(amounts)}
    prune(model, **most, **options)
    return cuts


def _warn_of_normalisations(structure):
    silent = ("", channels.FROM_INPUT, channels.TO_OUTPUT)
    paths = {
        path: None
        for group in structure.groups
        if group.not_prunable not in silent and not group.unsupported
        for path in plan.prunable_paths(group)
    }
    if paths:
        _log.warning(
            "%s: these layers are not pruned, because their channels enter a normalisation over "
            "channels: %s",
            structure.model.name,
            patterns.listed(paths),
        )


def _warn_of_unsupported(structure, wanted, only):
    """Name the layers that a ratio above 0 is for, but that stay because no rule fits."""
    kept = plan.unsupported(
        each
        for each in plan.plans(structure, wanted)
        if (each.removed or (wanted.target and not each.fixed))
        and (only is None or not set(only).isdisjoint(plan.prunable_paths(each.group)))
    )
    if kept:
        _log.warning(
            "%s: these layers are not pruned, because no rule fits what their channels reach: %s; "
            "docs/teaching-a-layer.md shows how to add a rule",
            structure.model.name,
            plan.in_words(kept),
        )
