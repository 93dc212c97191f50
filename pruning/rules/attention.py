"""Rules for attention: queries, keys and values are read; the heads stay."""

from pruning.rules.flow import (
    Filters,
    Flow,
    arguments,
    as_array,
    count,
    last,
    others_stay,
    single_output,
)


def multi_head_attention(call, incoming, new):
    """New channels, one per unit of the output projection; not pruned itself."""
    query, key, value = _read(call, incoming)
    outgoing = new(call.outputs[0].shape[-1])
    if len(call.layer.get_config()["output_shape"] or (1,)) > 1:
        raise ValueError("its output_shape has several sizes; build it with one")
    return Flow(
        outgoing,
        weights=_projections(call.layer, query, key, value, outgoing),
        config=lambda stays: {"output_shape": (count(stays, outgoing),)},
        filters=_output_filters(call.layer),
        not_prunable=others_stay(incoming, (query, key, value)),
    )


def grouped_query_attention(call, incoming, new):
    """As multi-head attention, but outputs and values have as many channels as the queries."""
    query, key, value = _read(call, incoming)
    outgoing = new(call.outputs[0].shape[-1])
    return Flow(
        outgoing,
        weights=_projections(call.layer, query, key, value, outgoing),
        filters=_output_filters(call.layer),
        coupled=((query.channels, outgoing), (query.channels, value.channels)),
        not_prunable=others_stay(incoming, (query, key, value)),
    )


def attention(call, incoming, new):
    """The channels of the values; channel i of the queries meets channel i of the keys."""
    single_output(call)
    query, value, *more = arguments(call, incoming)["inputs"]
    key = more[0] if more else value
    for features in (query, key, value):
        last(call.layer, features)
    if len(query.channels) != len(key.channels):
        raise ValueError("its queries and keys have different numbers of channels")
    scales = [{0: query.channels} if len(w.shape) else {} for w in call.layer.weights]
    return Flow(
        value.channels,
        weights=tuple(scales),
        coupled=((query.channels, key.channels),),
        not_prunable=others_stay(incoming, (query, key, value)),
    )


def _read(call, incoming):
    """Features of queries, keys and values."""
    single_output(call)
    given = arguments(call, incoming)
    query, value = given["query"], given["value"]
    key = value if given.get("key") is None else given["key"]
    for features in (query, key, value):
        last(call.layer, features)
    return query, key, value


def _projections(layer, query, key, value, outgoing):
    """`Flow.weights`: a kernel (in_channels, heads, size) each, and (heads, size, outputs)."""
    of_output = {-1: outgoing}
    axes = {
        ("query", "kernel"): {0: query.channels},
        ("gate", "kernel"): {0: query.channels},
        ("key", "kernel"): {0: key.channels},
        ("value", "kernel"): {0: value.channels},
        **{(name, "bias"): {} for name in ("query", "gate", "key", "value")},
        ("attention_output", "kernel"): of_output,
        ("attention_output", "bias"): of_output,
    }
    names = [names_of(weight) for weight in layer.weights]
    return tuple(axes[name] for name in names if name in axes)


def names_of(weight):
    """Names of the projection and of its weight: `("query", "kernel")`."""
    return tuple(weight.path.split("/")[-2:])


def _output_filters(layer):
    def kernel():
        name = ("attention_output", "kernel")
        (weight,) = [weight for weight in layer.weights if names_of(weight) == name]
        return as_array(weight)

    return Filters(kernel, prunable=False)
