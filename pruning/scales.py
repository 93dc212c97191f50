"""Filter importance from the scale of the BatchNormalization after a layer."""

from collections import defaultdict

import keras
import numpy as np

from pruning import graph, groups
from pruning.rules.flow import as_array

NO_SCALE = (
    "its output is not read by BatchNormalization with a scale alone; give it ratio 0, or take "
    "another criterion"
)


def scores(model):
    """The absolute scale (gamma) that BatchNormalization gives to the output of each filter.

    Only BatchNormalization that reads the output of the layer itself counts. If the output is read
    by several (of the branches of a network, or of the calls of a shared layer), the score is the
    sum. An activation inside the layer does not matter.

    Args:
        model: built Functional or Sequential Keras model.

    Returns:
        `{layer path: float64 array (filters,)}` of all layers with filters. If something else reads
        the output too, or nothing has a scale, there is a text with the reason in place of the
        array. In a group, such a layer does not count, as long as another one has scores.

    Source: Liu et al. 2017, Learning Efficient Convolutional Networks through Network Slimming
    (arXiv 1708.06519), section 3.
    """
    structure = groups.find(model)
    outputs = defaultdict(list)  # id of a layer: outputs of all its calls
    readers = defaultdict(list)  # tensor: layers that read it
    for call in reversed(structure.calls):  # the calls inside a nested model before its own
        outputs[id(call.layer)] += call.outputs
        for place, tensor in enumerate(call.inputs):
            nested = graph.is_functional(call.layer)  # its outputs are what the layers in it read
            readers[tensor] += readers[call.outputs[place]] if nested else [call.layer]
    return {
        path: _of_readers([r for out in outputs[id(member.call.layer)] for r in readers[out]])
        for path, member in structure.members.items()
    }


def _of_readers(readers):
    scaled = [isinstance(r, keras.layers.BatchNormalization) and r.scale for r in readers]
    if not scaled or not all(scaled):
        return NO_SCALE
    norms = {id(reader): reader for reader in readers}  # one that is called twice counts once
    return sum(np.abs(as_array(norm.gamma).astype(np.float64)) for norm in norms.values())
