"""Which convolutions are the projections on the shortcuts of a residual network."""

import math

from pruning import graph


def projections(convolutions, structure):
    """Of coupled convolutions, those of size 1x1 on a shortcut around another one of them.

    Such another one is computed from all convolutions that the projection is computed from, but not
    from the projection.

    Args:
        convolutions: list of channels.Member, the convolutions of a group.
        structure: groups.Structure.

    Returns:
        List of those members.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.3.
    """
    computed_from = _computed_from(structure)
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


def _computed_from(structure):
    """`{tensor: frozenset of the outputs of convolutions that it follows from}`, its own too."""
    made = {m.call.outputs[0] for m in structure.members.values() if m.flow.filters.prunable}
    found = {}
    for call in structure.calls:
        entering = [found.get(tensor, frozenset()) for tensor in call.inputs]
        if graph.is_functional(call.layer):  # hands each input on to the calls inside it
            found |= zip(call.outputs, entering, strict=True)
        else:
            all_of_them = frozenset().union(*entering)
            found |= {tensor: all_of_them | ({tensor} & made) for tensor in call.outputs}
    return found
