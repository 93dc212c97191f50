"""Accuracy when a single layer is pruned, without retraining."""

import keras
import numpy as np

from pruning import (
    criteria,
    feature_maps,
    graph,
    groups,
    plan,
    request,
    selection,
    surgery,
    target,
)
from pruning.rules import rule_for

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def most_probable(outputs):
    """The class with the largest of the outputs, float array (n, classes): integer array (n,).

    Raises:
        ValueError: there is a single output, which would always be the largest.
    """
    if outputs.shape[-1] == 1:
        raise ValueError(
            "classes: expected an output for each class, got one output; give a function such as "
            "`lambda outputs: outputs[:, 0] > 0.5` for a sigmoid"
        )
    return np.argmax(outputs, axis=-1)


def analyse(
    model,
    images,
    labels,
    *,
    criterion,
    coupled="joint",
    dense=False,
    combine=request.DEFAULT_COMBINE,
    unsupported="keep",
    classes=most_probable,
    progress=None,
):
    """Accuracy when a single layer is pruned, for each layer and each of `RATIOS`.

    Args:
        model: built Functional or Sequential Keras model with one input and one output. It is not
            changed.
        images: float array (n, height, width, channels) to measure on.
        labels: integer array (n,).
        criterion: function of a kernel, or `{layer path: scores}`, as `judge` returns it.
        coupled: as `prune` takes it.
        dense: as `prune` takes it.
        combine: as `prune` takes it.
        unsupported: as `prune` takes it.
        classes: function of the outputs, float array (n, outputs), that returns the predicted
            classes, integer array (n,).
        progress: None, or a function that is called with the number of images done so far.

    Returns:
        `(accuracy of the full network, list of {"layers": paths, "pruning_ratio": ratio,
        "accuracy": accuracy when only these layers are pruned})`, in the order of computation.
        Layers that lose filters together are in one row.

    Raises:
        ValueError: as `measurable`, or as `prune` if the criterion does not fit.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, figures 2b and 8.
    """
    stages, _ = measurable(model, coupled, dense=dense, unsupported=unsupported)
    copy = surgery.cut(groups.find(model), {})  # our copy: its weights change
    structure = groups.find(copy, dense=dense)
    rows = [{"layers": only, "pruning_ratio": ratio} for only in stages for ratio in RATIOS]
    cuts = [
        selection.kept(
            structure,
            request.request(row["pruning_ratio"], coupled=coupled, dense=dense, combine=combine),
            criterion,
            only=row["layers"],
        )
        for row in rows
    ]
    full, *pruned = _accuracies(structure, [{}, *cuts], images, labels, classes, progress)
    return full, [row | {"accuracy": one} for row, one in zip(rows, pruned, strict=True)]


def measurable(model, coupled="joint", *, dense=False, unsupported="keep"):
    """The layers that can be measured, and why others cannot.

    Args:
        model: as `analyse` takes it.
        coupled: as `prune` takes it.
        dense: as `prune` takes it.
        unsupported: as `prune` takes it.

    Returns:
        `(list of lists of the layers that lose filters together, list of reasons)`.

    Raises:
        ValueError, TypeError: no layer can be measured, or the network cannot be.
    """
    structure = groups.find(model, dense=dense)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"model: expected one input and one output, got {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs of {model.name}"
        )
    wanted = request.request(RATIOS[-1], coupled=coupled, dense=dense, unsupported=unsupported)
    stages = plan.stages(structure, wanted)
    kept = plan.unsupported(plan.plans(structure, wanted))
    reasons = [f"{', '.join(paths)}: {reason}" for reason, paths in kept.items()]
    if not stages:
        nothing = f"{model.name}: it has no convolution that could lose a filter"
        raise ValueError("; ".join([nothing, *reasons]))
    _masks(structure, {})  # raises if a layer cannot be measured
    return stages, reasons


def largest_ratios(accuracy, rows, max_drop):
    """The largest ratio of each layer that costs at most `max_drop` accuracy.

    Args:
        accuracy: accuracy of the full network, 0..1.
        rows: list of dicts, as `analyse` returns them.
        max_drop: the largest drop in accuracy, 0 <= max_drop < 1.

    Returns:
        `{layer path: ratio}`; the ratio is 0 if even the smallest of `RATIOS` costs more.
    """
    ratios = {}
    for row in rows:
        holds = accuracy - row["accuracy"] <= max_drop + 1e-9  # 0.9 - 0.8 is above 0.1 in binary
        for layer in row["layers"]:
            ratios[layer] = max(ratios.get(layer, 0.0), row["pruning_ratio"] if holds else 0.0)
    return ratios


def cheapest_ratios(
    model,
    accuracy,
    rows,
    *,
    coupled="joint",
    dense=False,
    round_to=1,
    macs=None,
    parameters=None,
    bytes=None,
):
    """The ratios that reach a target where the measured accuracy falls least.

    With them as `layer_ratios`, `prune` cuts as with the target and `ranking=(accuracy, rows)`. If
    the filters of a layer are in several groups, all these groups get the largest of their ratios.

    Args:
        model: Keras model, as `analyse` took it.
        accuracy: accuracy of the full network, 0..1.
        rows: list of dicts, as `analyse` returns them.
        coupled: as `analyse` took it.
        dense: as `analyse` took it.
        round_to: as `prune` takes it.
        macs: as `prune` takes it; exactly one of this and the next two is given.
        parameters: as `prune` takes it.
        bytes: as `prune` takes it.

    Returns:
        `{layer path: ratio}`.

    Raises:
        ValueError: as `prune`, such as for a target that cannot be reached.
    """
    structure = groups.find(model, dense=dense)
    wanted = request.request(
        coupled=coupled,
        dense=dense,
        round_to=round_to,
        ranking=(accuracy, rows),
        macs=macs,
        parameters=parameters,
        bytes=bytes,
    )
    parts = [
        (set(plan.prunable_paths(each.group)), each.removed / len(each.group.units))
        for each in target.plans(structure, wanted, criteria.l1_norm)
    ]
    together = {tuple(row["layers"]) for row in rows}
    return {
        layer: max(part for paths, part in parts if paths & set(layers))
        for layers in sorted(together)
        for layer in layers
    }


def norms(model, *, dense=False):
    """L1 norm of every filter of each convolution, as in figure 2a of Li et al. 2017.

    Args:
        model: built Functional or Sequential Keras model.
        dense: as `prune` takes it.

    Returns:
        `{layer path: float64 array (filters,)}`, in the order of computation.
    """
    return {
        path: criteria.l1_norm(member.flow.filters.kernel())
        for path, member in groups.find(model, dense=dense).members.items()
        if member.flow.filters.prunable
    }


def _accuracies(structure, cuts, images, labels, classes, progress):
    """Accuracy after each cut. The weights of the network change while it runs.

    No network is really cut. The weights that read removed channels are masked, which gives the
    same outputs. So one network is enough for all cuts, and it is compiled only once.
    """
    network = keras.Model(structure.model.inputs[0], structure.model.outputs[0])  # returns no dict
    masks = [_masks(structure, kept) for kept in cuts]
    correct = np.zeros(len(cuts), int)
    for batch in feature_maps.batches(images):
        given = images[batch]
        for index, masked in enumerate(masks):
            full = [(weight, keras.ops.copy(weight)) for weight, _ in masked]
            for weight, mask in masked:
                weight.assign(weight * mask)
            answers = classes(network.predict_on_batch(given))
            for weight, values in full:
                weight.assign(values)
            correct[index] += np.sum(answers == labels[batch])
        if progress:
            progress(min(batch.stop, len(labels)))
    return (correct / len(labels)).tolist()


def _masks(structure, kept):
    """`[(weight, mask)]` of the weights that read removed channels; a mask is a bool array.

    A weight reads the channels along an axis if none of them is an output channel of its layer. If
    the channels are output channels, a rule that is not this library's does not say whether the
    weight reads them, too; such a layer is an error.
    """
    stays = surgery.staying_units(structure, kept)[structure.unit_of]
    masks = []
    for layer in graph.layers(structure.model):
        flow = structure.channels.flows.get(id(layer))
        for weight, axes in zip(layer.weights, flow.weights, strict=True) if flow else ():
            for axis, channels in axes.items():
                if not np.isin(channels, flow.channels).any():
                    after = len(weight.shape[axis:]) - 1
                    masks.append((weight, stays[channels].reshape(-1, *[1] * after)))
                elif axis != -1 and not rule_for(layer).__module__.startswith("pruning."):
                    raise ValueError(
                        f"{layer.name} ({type(layer).__name__}): it cannot be measured, because "
                        "its weights may read its own output channels; prune it without measuring"
                    )
    return [(weight, mask) for weight, mask in masks if not mask.all()]
