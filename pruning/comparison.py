"""A network before and after pruning, layer by layer."""

from collections.abc import Sequence
from typing import Any

import keras

from pruning import cost, counts, graph, groups, plan, request
from pruning.table import Table


def summary(
    before: keras.Model,
    after: keras.Model,
    *,
    input_shape: Sequence[Any] | None = None,
) -> Table:
    """Filters, parameters and MACs of each layer before and after pruning, and the totals.

    There is a row for each layer with weights or MACs, in the order of computation; the layers of
    nested models are included. A layer that is called several times has one row, with the MACs of
    all its calls.

        print(summary(model, prune(model, 0.4)))

    Args:
        before: built Functional or Sequential Keras model.
        after: Keras model with the same layers, such as `prune` returns.
        input_shape: `(height, width, channels)`, as `macs` takes it; needed only if the networks
            take images of any size.

    Returns:
        Table. `layer` is the path of the layer, `backbone/conv1` in a nested model; the last row is
        `total`. `filters_before` and `filters_after` are the numbers of filters of a convolution,
        or of a Dense layer on feature maps, which is a 1x1 convolution. Of a Dense layer on vectors
        they are its units if it lost some; None for all other layers.
        `macs_before` and `macs_after` are for one image, None if they cannot be counted.
        `parameters_removed_%` and `macs_removed_%` are 0..100, None if there was nothing to remove.
        The notes name the layers that kept all filters because no rule fits what these reach.

    Raises:
        ValueError: the networks do not have the same layers, `input_shape` does not fit, or a
            model is not built.
        TypeError: a model is a subclassed model, whose layers cannot be listed.
    """
    layers = [_layers(model, input_shape) for model in (before, after)]
    _check_same(*layers)
    _show_lost_units(*layers)
    rows = [_row(path, *(each[path] for each in layers)) for path in layers[0]]
    total = _row("total", *map(_total, (before, after), layers))
    return Table([*rows, total], _notes(before, rows))


def _notes(before, rows):
    """`not pruned: conv1, conv2 [reason]`, a text for each reason."""
    unchanged = {row["layer"] for row in rows if row["filters_before"] == row["filters_after"]}
    plans = plan.plans(groups.find(before), request.request(0))
    reasons = {
        reason: [path for path in paths if path in unchanged]
        for reason, paths in plan.unsupported(plans).items()
    }
    return tuple(f"not pruned: {plan.in_words({r: p})}" for r, p in reasons.items() if p)


def _layers(model, input_shape):
    """`{path: {"type", "filters", "parameters", "macs"}}` of the layers with weights or MACs."""
    paths, layers = {}, {}
    for call in cost.calls(model, input_shape):
        if graph.is_functional(call.layer):
            continue
        macs, parameters = _macs(call), _parameters(call.layer)
        if parameters or macs != 0:
            # all calls of a layer count under the path of its first call
            path = paths.setdefault(id(call.layer), call.path)
            layer = layers.setdefault(path, _of_call(call, parameters))
            layer["macs"] = _sum([layer["macs"], macs])
    return layers


def _of_call(call, parameters):
    return {
        "type": type(call.layer).__name__,
        "filters": _filters(call),
        "units": call.layer.units if type(call.layer) is keras.layers.Dense else None,
        "parameters": parameters,
        "macs": 0,
    }


def _filters(call):
    on_maps = type(call.layer) is keras.layers.Dense and len(call.inputs[0].shape) > 2
    return call.layer.units if on_maps else getattr(call.layer, "filters", None)


def _show_lost_units(before, after):
    """Give a Dense layer on vectors that lost units these as its filters, in place of None."""
    for path, layer in before.items():
        if layer["units"] != after[path]["units"]:
            layer["filters"], after[path]["filters"] = layer["units"], after[path]["units"]


def _parameters(layer):
    return sum(map(counts.values, getattr(layer, "weights", ())))


def _macs(call):
    try:
        return counts.macs(call)
    except ValueError:
        return None


def _sum(numbers):
    return None if None in numbers else sum(numbers)


def _total(model, layers):
    macs = _sum([layer["macs"] for layer in layers.values()])
    return {"filters": None, "parameters": cost.parameters(model), "macs": macs}


def _check_same(before, after):
    for one, other, which in ((before, after, "after"), (after, before, "before")):
        if missing := [path for path in one if path not in other]:
            raise ValueError(
                f"{which}: expected the same layers as in the other network, got no layer "
                f"{missing[0]} ({one[missing[0]]['type']})"
            )
    for path, layer in before.items():
        types = layer["type"], after[path]["type"]
        if len(set(types)) > 1:
            raise ValueError(f"after: expected a {types[0]} as layer {path}, got a {types[1]}")


def _row(path, before, after):
    row = {"layer": path}
    for what in ("filters", "parameters", "macs"):
        row |= {f"{what}_before": before[what], f"{what}_after": after[what]}
        if what != "filters":
            row[f"{what}_removed_%"] = _removed(before[what], after[what])
    return row


def _removed(before, after):
    return None if not before or after is None else round(100 * (1 - after / before), 1)
