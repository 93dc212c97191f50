"""How much each layer alone can lose: accuracies without some filters, nothing retrained."""

import keras
import numpy as np

from pruning import activations, criteria, graph, groups, selection, surgery

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def analyse(model, images, labels, *, criterion, coupled="joint", progress=None):
    """The accuracy when each layer alone loses filters, at every one of `RATIOS`.

    Args:
        model: built Functional or Sequential Keras model that ends in class probabilities. It is
            left untouched.
        images: float array (n, height, width, channels) to measure on.
        labels: integer array (n,).
        criterion: function of a kernel, or `{layer path: scores}`, as `judge` returns it.
        coupled: as `prune` takes it.
        progress: None, or a function that is called with the number of images done so far.

    Returns:
        `(accuracy of the whole network, list of {"layers": list of the layers that lose filters
        together, "pruning_ratio": ratio, "accuracy": accuracy without them})`, in the order of
        computation.

    Raises:
        ValueError: as `prune`.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, figures 2b and 8.
    """
    options = {"layer_ratios": {}, "coupled": coupled}
    channels = groups.find(surgery.cut(groups.find(model), {}))  # of a copy of our own
    rows = [
        {"layers": only, "pruning_ratio": ratio}
        for only in selection.stages(channels, RATIOS[-1], **options)
        for ratio in RATIOS
    ]
    if not rows:
        raise ValueError(f"{model.name}: it has no convolution that could lose a filter")
    cuts = [
        selection.independent(
            channels, row["pruning_ratio"], criterion=criterion, only=row["layers"], **options
        )
        for row in rows
    ]
    whole, *found = _accuracies(channels, [{}, *cuts], images, labels, progress)
    return whole, [row | {"accuracy": one} for row, one in zip(rows, found, strict=True)]


def largest_ratios(accuracy, rows, max_drop):
    """The largest ratio of each layer whose accuracy alone falls by no more than `max_drop`.

    Args:
        accuracy: of the whole network, 0..1.
        rows: list of dicts, as `analyse` returns them.
        max_drop: part of the images, 0 <= max_drop < 1.

    Returns:
        `{layer path: ratio}`, 0 where even the smallest ratio costs more.
    """
    ratios = {}
    for row in rows:
        holds = accuracy - row["accuracy"] <= max_drop + 1e-9  # 0.9 - 0.8 is above 0.1 in binary
        for layer in row["layers"]:
            ratios[layer] = max(ratios.get(layer, 0.0), row["pruning_ratio"] if holds else 0.0)
    return ratios


def norms(model):
    """The L1 norm of every filter of each convolution, figure 2a of the paper.

    Args:
        model: built Functional or Sequential Keras model.

    Returns:
        `{layer path: float64 array (filters,)}`, in the order of computation.
    """
    members = groups.find(model).members
    return {
        path: criteria.l1_norm(member.flow.kernel())
        for path, member in members.items()
        if member.flow.convolution
    }


def _accuracies(channels, cuts, images, labels, progress):
    """The accuracy without the filters of each cut.

    Nothing is cut or built anew for a cut: the weights that read removed channels are 0 while it is
    measured, and for each batch only what is computed from them is computed again.

    Args:
        channels: groups.Channels of a model whose weights may be changed for a while.
        cuts: list of `{layer path: indices of the filters that stay}`.
        images: float array (n, height, width, channels).
        labels: integer array (n,).
        progress: as `analyse` takes it.
    """
    network = _Network(channels)
    measured = [network.without(kept) for kept in cuts]
    correct = np.zeros(len(cuts), int)
    for batch in activations.batches(images):
        values = network.values(images[batch])
        for index, (silenced, part) in enumerate(measured):
            network.silence(silenced)
            probabilities = part([values[id(tensor)] for tensor in network.entering[part]])
            classes = np.argmax(keras.ops.convert_to_numpy(probabilities), axis=-1)
            correct[index] += np.sum(classes == labels[batch])
        if progress:
            progress(min(batch.stop, len(labels)))
    return (correct / len(labels)).tolist()


class _Network:
    """A network, and the part of it that lies behind some of its layers.

    Attributes:
        entering: `{model of a part: list of the tensors of the network that it is given}`.
    """

    def __init__(self, channels):
        self.channels, self.entering = channels, {}
        self._needed, self._prefix = [], None
        self._full = {}  # id of a weight that holds zeros: (the weight, its values without them)
        self._calls = []  # (layer, (args, kwargs), list of tensors that come out)
        self._parts = {}  # frozenset of ids of layers: model of what lies behind
        self._reading = list(_reading_weights(channels))
        self._whole = keras.models.clone_model(
            channels.model, clone_function=lambda layer: layer, call_function=self._call
        )

    def _call(self, layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        self._calls.append((layer, (args, kwargs), keras.tree.flatten(outputs)))
        return outputs

    def without(self, kept):
        """`([(weight, its mask of what stays), ...], model of all behind these weights)`."""
        staying = surgery.staying_bundles(self.channels, kept)
        silenced, layers = [], set()
        for layer, weight, axis, numbers in self._reading:
            mask = staying[self.channels.bundle_of[numbers]]
            if not mask.all():
                shape = np.ones(len(weight.shape), int)
                shape[axis] = len(mask)
                silenced.append((weight, mask.reshape(shape).astype("float32")))
                layers.add(id(layer))
        return silenced, self._behind(frozenset(layers))

    def silence(self, silenced):
        """Set to 0 what these weights read of removed channels, and no others."""
        for weight, full in [*self._full.values()]:
            if not any(weight is other for other, _ in silenced):
                weight.assign(full)
                del self._full[id(weight)]
        for weight, mask in silenced:
            _, full = self._full.setdefault(id(weight), (weight, weight.numpy()))
            weight.assign(full * mask)

    def _behind(self, layers):
        """A model of the calls of these layers, or of all if there are none, and all behind."""
        if layers not in self._parts:
            entering, inputs, computed = [], {}, {}

            def given(tensor):
                if not isinstance(tensor, keras.KerasTensor) or id(tensor) in computed:
                    return computed.get(id(tensor), tensor)
                if id(tensor) not in inputs:
                    entering.append(tensor)
                    inputs[id(tensor)] = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
                return inputs[id(tensor)]

            for layer, arguments, outputs in self._calls:
                reads = [id(t) for t in keras.tree.flatten(arguments)]
                if not layers or id(layer) in layers or not computed.keys().isdisjoint(reads):
                    args, kwargs = keras.tree.map_structure(given, arguments)
                    found = keras.tree.flatten(layer(*args, **kwargs))
                    computed |= {id(t): new for t, new in zip(outputs, found, strict=True)}
            part = keras.Model(list(inputs.values()), computed[id(self._whole.outputs[0])])
            self._parts[layers], self.entering[part] = part, entering
        return self._parts[layers]

    def values(self, images):
        """`{id of a tensor: its value for these images}` of all that enter a part."""
        if self._prefix is None:
            given = {id(t) for t in self._whole.inputs}
            needed = {id(t): t for part in self.entering.values() for t in part}
            self._needed = [t for t in needed.values() if id(t) not in given]
            self._prefix = keras.Model(self._whole.inputs, self._needed)
        self.silence([])
        values = keras.tree.flatten(self._prefix([images]))
        found = {id(t): value for t, value in zip(self._needed, values, strict=True)}
        return found | {id(self._whole.inputs[0]): keras.ops.convert_to_tensor(images)}


def _reading_weights(channels):
    """`(layer of the network, weight, axis, channels along it)` where a weight reads channels.

    There no channel along the axis comes out of the layer.
    """
    for layer in channels.model.layers:
        for inner in graph.layers(layer) if graph.is_functional(layer) else [layer]:
            flow = channels.flows.get(id(inner))
            for weight, axes in zip(inner.weights, flow.weights, strict=True) if flow else ():
                for axis, numbers in axes.items():
                    if not np.isin(numbers, flow.channels).any():
                        yield layer, weight, axis, numbers
