"""Filter importance from the gradient of the loss: the first-order Taylor expansion."""

import functools

import keras
import numpy as np

from pruning import feature_maps, graph, groups
from pruning.gradients import gradients
from pruning.rules.flow import as_array

BATCH_PIXELS = 50 * 28 * 28  # in one batch; a gradient needs the maps of all layers at once
SMALLEST = 1e-37  # probability; smaller numbers of float32 have fewer digits


def scores(model, images, labels, loss=None):
    """The mean over the images of the squared change of the loss if a filter is removed.

    The change is that of first order. Every value that a layer reads from the filter is multiplied
    by a gate g. The loss of an image at g = 0 is about its loss at g = 1 minus its derivative, and
    the score is the mean square of the derivatives. This is what pruning removes. If the filter is
    followed by ReLU or nothing, the derivative is the sum of weight times gradient over its weights
    and its bias. After BatchNormalization it is not, because a filter of zeros gives a constant
    there. Filters that are removed together have one gate and the same score.

    Layers compute as in inference. The score does not depend on the size of a batch.

    Args:
        model: built Functional or Sequential Keras model. It is not changed.
        images: training images, as `feature_maps.scores` takes them.
        labels: array of n labels, for the default loss integers from 0.
        loss: as `prune` takes it.

    Returns:
        `{layer path: float64 array (filters,)}` of all layers with filters.

    Raises:
        ValueError: there are no images, or not as many labels; the outputs do not fit the default
            loss; a layer reads several inputs.

    Source: Molchanov et al. 2019, Importance Estimation for Neural Network Pruning (arXiv
    1906.10771), section 3; of the variants in tables 1 and 2, the gate with a gradient for each
    image (FO-FG).
    """
    first = feature_maps.first_of(images)
    if not hasattr(labels, "shape") or len(labels) != len(first):
        got = getattr(labels, "shape", labels)
        raise ValueError(f"labels: expected an array of {len(first)} labels, got {got}")
    structure = groups.find(feature_maps.to_watch(groups.find(model)))
    batches = feature_maps.batches(first, BATCH_PIXELS)
    if loss is None:
        loss = _default_loss(
            structure.model(feature_maps.at(images, batches[0]), training=False), labels
        )
    reading, gates = _reading(structure), {}
    for layer, features in reading.items():
        _add_gate(layer, features, gates)
    squares = np.zeros(len(structure.unit_of))
    for batch in batches:
        changes = np.zeros((len(squares), len(labels[batch])))  # of the loss of each image
        of_layers = _derivatives(
            structure.model, reading, gates, feature_maps.at(images, batch), labels[batch], loss
        )
        for features, of_layer in zip(reading.values(), of_layers, strict=True):
            np.add.at(changes, structure.unit_of[features.channels], of_layer.T)
        squares += np.square(changes).sum(axis=1)
    return {
        path: squares[structure.unit_of[member.flow.channels]] / len(first)
        for path, member in structure.members.items()
    }


def _reading(structure):
    """`{layer: Features that it reads}`; other layers pass each of their channels on.

    A layer reads channels if they are along an axis of a weight, and are not its own outputs.
    """
    reading = {}
    for layer in graph.layers(structure.model):
        flow = structure.channels.flows.get(id(layer))
        of_weights = [each for axes in flow.weights for each in axes.values()] if flow else []
        if all(np.isin(channels, flow.channels).any() for channels in of_weights):
            continue
        entering = structure.channels.entering[id(layer)]
        if len(entering) > 1:
            raise ValueError(
                f"{layer.name} ({type(layer).__name__}): criterion 'taylor' expects a layer that "
                f"reads one input, got {len(entering)}; take another criterion"
            )
        (reading[layer],) = entering
    return reading


def _add_gate(layer, features, gates):
    """Change a layer of our copy: its input is multiplied by its gate, float32 (n, channels)."""
    call, shape = layer.call, [-1] + [1] * (len(features.shape) - 1)
    shape[features.axis] = len(features.channels)

    def gated(inputs, *args, **kwargs):
        gate = keras.ops.cast(keras.ops.reshape(gates[layer], shape), inputs.dtype)
        return call(inputs * gate, *args, **kwargs)

    layer.call = gated


def _derivatives(model, reading, gates, images, labels, loss):
    """For each layer, the derivatives of the loss of each image, float32 arrays (n, channels)."""

    def total(tensors):
        gates.update(zip(reading, tensors, strict=True))
        losses = loss(labels, model(images, training=False))
        return keras.ops.mean(losses) * len(labels)  # of all images, if it is a mean, too

    ones = [np.ones((len(labels), len(each.channels)), np.float32) for each in reading.values()]
    return gradients(total, ones)


def _default_loss(outputs, labels):
    """Cross-entropy of probabilities, if these outputs are such, or of logits."""
    shapes = [tuple(each.shape) for each in keras.tree.flatten(outputs)]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] == 1:
        raise ValueError(
            "loss: expected a function of (labels, outputs), because the network has not one "
            f"output for each class, got None and outputs {', '.join(map(str, shapes))}"
        )
    (values,) = (as_array(each).astype(float) for each in keras.tree.flatten(outputs))
    labels = np.asarray(labels)
    whole = labels.size == len(labels) and np.issubdtype(labels.dtype, np.integer)
    if not whole or labels.min() < 0 or labels.max() >= values.shape[1]:
        raise ValueError(
            f"labels: expected whole numbers from 0 to {values.shape[1] - 1} for the default loss, "
            f"got {labels.dtype} {labels.shape} from {labels.min()} to {labels.max()}"
        )
    sums = values.sum(axis=1)
    probabilities = values.min() >= 0 and np.allclose(sums, 1, atol=0.01)  # of 16 bits, too
    return functools.partial(_cross_entropy, probabilities)


def _cross_entropy(probabilities, labels, outputs):
    (logits,) = (keras.ops.cast(each, "float32") for each in keras.tree.flatten(outputs))
    if probabilities:  # their logarithms are logits; Keras' loss of probabilities ends at 1e-7
        logits = keras.ops.log(keras.ops.maximum(logits, SMALLEST))
    labels = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
