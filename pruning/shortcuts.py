"""The projections on the shortcuts of a residual network."""

import math

from pruning import graph


def projections(convolutions, structure):
    """The convolutions of a group that are 1x1 projections on a shortcut.

    A shortcut goes around another convolution of the group. That other convolution is computed from
    all convolutions that the projection is computed from, but not from the projection itself.

    Args:
        convolutions: list of channels.Member, the convolutions of a group.
        structure: groups.Structure.

    Returns:
        List of the members that are projections.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    computed_from = structure.computed_from
    outputs = {member.call.path: member.call.outputs[0] for member in convolutions}

    def is_around(projection, other):
        start = computed_from[projection] - {projection}
        return start <= computed_from[other] and projection not in computed_from[other]

    return [
        member
        for member in convolutions
        if math.prod(getattr(member.call.layer, "kernel_size", ())) == 1
        and any(is_around(outputs[member.call.path], other) for other in outputs.values())
    ]


def computed_from(structure):
    """`{tensor: frozenset of the outputs of convolutions that it is computed from}`.

    The output of a convolution is in its own set.
    """
    outputs = {m.call.outputs[0] for m in structure.members.values() if m.flow.filters.prunable}
    sources = {}
    for call in structure.calls:
        entering = [sources.get(tensor, frozenset()) for tensor in call.inputs]
        if graph.is_functional(call.layer):  # the calls inside it compute the outputs
            sources |= zip(call.outputs, entering, strict=True)
        else:
            all_of_them = frozenset().union(*entering)
            sources |= {tensor: all_of_them | ({tensor} & outputs) for tensor in call.outputs}
    return sources
