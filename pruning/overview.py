"""The groups of a network: which layers lose filters together, and which are not pruned."""

import keras

from pruning import groups, plan, request
from pruning.table import Table


def layer_groups(model: keras.Model, *, coupled: str = "joint", dense: bool = False) -> Table:
    """Table of the layers that lose filters together, and why others are not pruned.

        print(layer_groups(model))

    Args:
        model: as `prune` takes it.
        coupled: as `prune` takes it.
        dense: as `prune` takes it.

    Returns:
        Table with a row for each group, in the order of computation. `layers` are the paths of its
        layers with filters. `units` is the number of units of the group; of a plain convolution it
        is the number of its filters. `not_pruned_because` is the reason why the group is not
        pruned, or `""`. A layer is in several rows if only some of its filters are coupled to
        those of other layers.

    Raises:
        ValueError, TypeError: as `prune`.
    """
    wanted = request.request(0, coupled=coupled, dense=dense)
    return Table([_row(each) for each in plan.plans(groups.find(model, dense=dense), wanted)])


def _row(each: plan.Plan):
    return {
        "layers": ", ".join(member.call.path for member in each.group.members),
        "units": len(each.group.units),
        "not_pruned_because": each.why or each.group.not_prunable,
    }
