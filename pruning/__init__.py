"""Filters out of a trained Keras model: `prune` is the one public door."""

import keras

from pruning import criteria, selection, surgery


def prune(model, ratio):
    """A smaller copy of a trained network, without its filters of lowest L1 norm.

    One-shot, each convolution independently. With a filter go its bias, its entries in the
    BatchNormalization behind it, the input channels of the next convolution, and the rows of a
    Dense layer behind Flatten; every other weight keeps its value. At ratio 0 the copy holds
    bit-identical weights.

    Args:
        model: built Functional or Sequential Keras model, channels last. It is left untouched.
        ratio: part of each convolution's filters to remove, 0 <= ratio < 1; the number is
            rounded up, and at least one filter stays.

    Returns:
        Functional Keras model of the same stock layers and layer names, not compiled.

    Raises:
        ValueError: the ratio is out of range, a layer cannot be pruned, which the message names,
            or nothing would be pruned.
        TypeError: the model is not built from layers that can be listed.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.
    """
    model = surgery.functional(model)
    surgery.check(model)
    scores = {
        layer.name: criteria.l1_norm(layer.get_weights()[0])
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    kept = selection.independent(scores, ratio)
    if ratio and all(len(kept[name]) == len(scores[name]) for name in scores):
        raise ValueError(f"{model.name}: no Conv2D has a filter to spare; nothing would be pruned")
    return surgery.cut(model, kept)
