"""What a network was and what it is after pruning, layer by layer."""

from collections.abc import Sequence
from typing import Any

import keras

from pruning import cost, counts, graph
from pruning.table import Table


def summary(
    before: keras.Model,
    after: keras.Model,
    *,
    input_shape: Sequence[Any] | None = None,
) -> Table:
    """Filters, parameters and MACs of each layer before and after pruning, and the totals.

    A row for each layer with weights or MACs in the order of computation, those of nested models
    one by one. A layer that is called several times has one row, with the MACs of all calls.

        print(summary(model, prune(model, 0.4)))

    Args:
        before: built Functional or Sequential Keras model.
        after: one of the same layers, such as `prune` returns it.
        input_shape: `(height, width, channels)`, as `macs` takes it, if MACs cannot be counted
            without.

    Returns:
        Table. `layer` is the layer's name, with those of the nested models it is in before it:
        `backbone/conv1`; the last row is `total`. `filters_before` and `filters_after` are the
        filters of a convolution, or of a Dense layer on maps, which is one of size 1; else None.
        `macs_before` and `macs_after` are for one image, None if they cannot be counted.
        `parameters_removed_%` and `macs_removed_%` are 0..100, None if there were none.

    Raises:
        ValueError: the networks do not have the same layers, `input_shape` does not fit, or a
            model is not built.
        TypeError: a model is not built from layers that can be listed.
    """
    layers = [_layers(model, input_shape) for model in (before, after)]
    _check_same(*layers)
    rows = [_row(path, *(each[path] for each in layers)) for path in layers[0]]
    return Table([*rows, _row("total", *map(_total, (before, after), layers))])


def _layers(model, input_shape):
    """`{path: {what: number or None}}` of the layers with weights or MACs, also their `type`."""
    paths, layers = {}, {}
    for call in cost.calls(model, input_shape):
        if graph.is_functional(call.layer):
            continue
        macs, parameters = _macs(call), _parameters(call.layer)
        if parameters or macs != 0:
            # under the path of the first call, wherever the same layer is called again
            path = paths.setdefault(id(call.layer), call.path)
            layer = layers.setdefault(path, _of_call(call, parameters))
            layer["macs"] = _sum([layer["macs"], macs])
    return layers


def _of_call(call, parameters):
    name = type(call.layer).__name__
    return {"type": name, "filters": _filters(call), "parameters": parameters, "macs": 0}


def _filters(call):
    on_maps = type(call.layer) is keras.layers.Dense and len(call.inputs[0].shape) > 2
    return call.layer.units if on_maps else getattr(call.layer, "filters", None)


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
                f"{missing[0]} ({one[missing[0]]['type']}) is not in the network {which} pruning; "
                "give two networks of the same layers, such as a model and what prune returns"
            )
    for path, layer in before.items():
        types = layer["type"], after[path]["type"]
        if len(set(types)) > 1:
            raise ValueError(
                f"{path} is a {types[0]} before and a {types[1]} after pruning; give two networks "
                "of the same layers"
            )


def _row(path, before, after):
    row = {"layer": path}
    for what in ("filters", "parameters", "macs"):
        row |= {f"{what}_before": before[what], f"{what}_after": after[what]}
        if what != "filters":
            row[f"{what}_removed_%"] = _removed(before[what], after[what])
    return row


def _removed(before, after):
    return None if not before or after is None else round(100 * (1 - after / before), 1)
