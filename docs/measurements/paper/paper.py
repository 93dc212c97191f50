"""MACs and weights of the configurations of Li et al. 2017, table 1, before and after pruning.

    python -m docs.measurements.paper.paper > docs/measurements/paper/paper.csv

Weights are those of convolutions and Dense layers, as in the paper.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

import scnnb
from experiment import layer_ratios
from pruning import macs, prune


def weights(model):
    """Number of weights in the kernels of a network."""
    return sum(np.prod(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel"))


if __name__ == "__main__":
    print("configuration,macs,pruned_macs,weights,pruned_weights")
    for name, ratios in layer_ratios.LAYER_RATIOS.items():
        model = scnnb.NETWORKS[name.split("-")[0]]((32, 32, 3), 10)
        pruned = prune(model, 0, layer_ratios=ratios)
        print(name, *(count(m) for count in (macs, weights) for m in (model, pruned)), sep=",")
