"""Rules for layers with filters: convolutions and Dense."""

import numpy as np

from pruning.rules.flow import (
    Filters,
    Flow,
    as_array,
    bias,
    count,
    last,
    mixed_by_activation,
)


def convolution(call, incoming, new):
    """New channels, one per filter; the kernel loses the removed input channels."""
    layer, entering = call.layer, last(call.layer, incoming[0])
    if layer.groups > 1:
        return _grouped_convolution(layer, entering, new)
    filters = new(layer.filters)
    return Flow(
        filters,
        weights=({-2: entering, -1: filters}, *bias(layer, filters)),
        config=lambda stays: {"filters": count(stays, filters)},
        filters=Filters(lambda: as_array(layer.kernel), entering),
        not_prunable=mixed_by_activation(layer, filters),
    )


def _grouped_convolution(layer, entering, new):
    per_group = len(entering) // layer.groups
    if per_group == 1:  # as in a depthwise convolution, a group is removed with its only channel
        filters = np.repeat(entering, layer.filters // layer.groups)
        axes, coupled, limit = {-1: filters}, (), 1  # a single group is a plain convolution
    else:  # every group must lose the same number of channels, so those at equal index are coupled
        filters = new(layer.filters)
        inside, outside = (c.reshape(layer.groups, -1) for c in (entering, filters))
        axes = {-2: inside[0], -1: filters}
        coupled = tuple((rows[0], row) for rows in (inside, outside) for row in rows[1:])
        limit = layer.groups  # one channel per group
    return Flow(
        filters,
        weights=(axes, *bias(layer, filters)),
        config=lambda stays: {
            "filters": count(stays, filters),
            "groups": count(stays, entering) if per_group == 1 else layer.groups,
        },
        filters=Filters(lambda: as_array(layer.kernel), axes.get(-2), prunable=per_group > 1),
        coupled=coupled,
        not_prunable=mixed_by_activation(layer, filters),
        changes_at=((entering, limit),),
    )


def transposed_convolution(call, incoming, new):
    """New channels, one per filter; the kernel is (..., filters, in_channels)."""
    layer, entering = call.layer, last(call.layer, incoming[0])
    filters = new(layer.filters)
    return Flow(
        filters,
        weights=({-1: entering, -2: filters}, *bias(layer, filters)),
        config=lambda stays: {"filters": count(stays, filters)},
        filters=Filters(lambda: np.swapaxes(as_array(layer.kernel), -1, -2), entering),
        not_prunable=mixed_by_activation(layer, filters),
    )


def depthwise_convolution(call, incoming, new):
    """The input channels, each `depth_multiplier` times; each has its own kernels."""
    layer, entering = call.layer, last(call.layer, incoming[0])
    outgoing = np.repeat(entering, layer.depth_multiplier)  # output k reads input k // multiplier

    def kernel():
        array = as_array(layer.kernel)  # (..., in_channels, multiplier)
        return array.reshape(*array.shape[:-2], 1, -1)

    return Flow(
        outgoing,
        weights=({-2: entering}, *bias(layer, outgoing)),
        filters=Filters(kernel, prunable=False),
        not_prunable=mixed_by_activation(layer, outgoing),
    )


def separable_convolution(call, incoming, new):
    """A depthwise convolution, then a 1x1 convolution whose filters are the channels."""
    layer, entering = call.layer, last(call.layer, incoming[0])
    between, filters = np.repeat(entering, layer.depth_multiplier), new(layer.filters)
    return Flow(
        filters,
        weights=({-2: entering}, {-2: between, -1: filters}, *bias(layer, filters)),
        config=lambda stays: {"filters": count(stays, filters)},
        filters=Filters(lambda: as_array(layer.pointwise_kernel), between),
        not_prunable=mixed_by_activation(layer, filters),
    )


def dense(call, incoming, new):
    """New channels, one per unit; the kernel loses the rows of the removed input channels."""
    layer, entering = call.layer, last(call.layer, incoming[0])
    units, on_vectors = new(layer.units), len(incoming[0].shape) == 2
    return Flow(
        units,
        weights=({0: entering, 1: units}, *bias(layer, units)),
        config=lambda stays: {"units": count(stays, units)},
        # on feature maps it is a 1x1 convolution
        filters=Filters(
            lambda: as_array(layer.kernel),
            entering,
            prunable=not on_vectors,
            on_vectors=on_vectors,
        ),
        not_prunable=mixed_by_activation(layer, units),
    )
