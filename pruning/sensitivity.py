"""How much each layer alone can lose: accuracies without some filters, nothing retrained."""

import functools
from typing import NamedTuple

import keras
import numpy as np

from pruning import activations, criteria, graph, groups, selection, surgery
from pruning.rules import rule_for
from pruning.rules.flow import as_array

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def analyse(model, images, labels, *, criterion, coupled="joint", progress=None):
    """The accuracy when each layer alone loses filters, at every one of `RATIOS`.

    Args:
        model: built Functional or Sequential Keras model of one input that ends in class
            probabilities. It is left untouched.
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
        ValueError: as `measurable`, or as `prune` of the criterion.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, figures 2b and 8.
    """
    stages, _ = measurable(model, coupled)
    channels = groups.find(surgery.cut(groups.find(model), {}))  # of a copy of our own
    rows = [{"layers": only, "pruning_ratio": ratio} for only in stages for ratio in RATIOS]
    options = {"layer_ratios": {}, "criterion": criterion, "coupled": coupled}
    cuts = [
        selection.independent(channels, row["pruning_ratio"], only=row["layers"], **options)
        for row in rows
    ]
    whole, *found = _accuracies(channels, [{}, *cuts], images, labels, progress)
    return whole, [row | {"accuracy": one} for row, one in zip(rows, found, strict=True)]


def measurable(model, coupled="joint"):
    """The layers that can be measured, and why others cannot.

    Args:
        model: as `analyse` takes it.
        coupled: as `prune` takes it.

    Returns:
        `(list of lists of the layers that lose filters together, list of reasons)`.

    Raises:
        ValueError, TypeError: there is no such layer, or the network cannot be measured.
    """
    channels = groups.find(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"{model.name}: it has several inputs or outputs; give one of each")
    refused = {m.call.path: g.refused for g in channels.groups if g.refused for m in g.members}
    stages = selection.stages(channels, RATIOS[-1], layer_ratios={}, coupled=coupled)
    reasons = [
        f"{', '.join(stage)}: {refused[path]}"
        for stage in stages
        for path in stage
        if path in refused
    ]
    stages = [stage for stage in stages if refused.keys().isdisjoint(stage)]
    if not stages:
        more = [f"; {reason}" for reason in reasons]
        raise ValueError(
            f"{model.name}: it has no convolution that could lose a filter{''.join(more)}"
        )
    list(_reading_weights(channels))
    return stages, list(dict.fromkeys(reasons))


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
    measured = [network.without(kept) for kept in cuts]  # all parts, before values are asked for
    correct = np.zeros(len(cuts), int)
    for batch in activations.batches(images):
        values = network.values(images[batch])
        for index, (silenced, part) in enumerate(measured):
            network.silence(silenced)
            given = [values[id(tensor)] for tensor in part.entering]
            probabilities = part.model(given, training=False)
            classes = np.argmax(keras.ops.convert_to_numpy(probabilities), axis=-1)
            correct[index] += np.sum(classes == labels[batch])
        if progress:
            progress(min(batch.stop, len(labels)))
    return (correct / len(labels)).tolist()


class _Part(NamedTuple):
    """What of a network is computed from some layers on: a model, and the tensors it is given."""

    model: keras.Model
    entering: list


class _Network:
    """A network whose weights can be silenced, and the parts of it that lie behind them.

    Its layers are called anew for each part. That leaves traces in them: it must be a copy.
    """

    def __init__(self, channels):
        self.channels = channels
        self._calls = []  # (layer, (args, kwargs), list of tensors that come out)
        self._parts = {}  # frozenset of ids of layers: what lies behind them
        self._full = {}  # id of a weight that holds zeros: (the weight, its values without them)
        self._reading = list(_reading_weights(channels))
        self._whole = keras.models.clone_model(
            channels.model, clone_function=lambda layer: layer, call_function=self._call
        )

    def _call(self, layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        self._calls.append((layer, (args, kwargs), keras.tree.flatten(outputs)))
        return outputs

    def without(self, kept):
        """`([(weight, its mask of what stays), ...], part behind these weights)`."""
        staying = surgery.staying_bundles(self.channels, kept)
        silenced, layers = {}, set()
        for layer, weight, axis, numbers in self._reading:
            mask = staying[self.channels.bundle_of[numbers]]
            if not mask.all():
                shape = np.ones(len(weight.shape), int)
                shape[axis] = len(mask)
                _, others = silenced.get(id(weight), (weight, np.float32(1)))
                silenced[id(weight)] = weight, others * mask.reshape(shape).astype("float32")
                layers.add(id(layer))
        return list(silenced.values()), self._behind(frozenset(layers))

    def silence(self, silenced):
        """Set to 0 what these weights read of removed channels, and no others."""
        for weight, full in [*self._full.values()]:
            if not any(weight is other for other, _ in silenced):
                weight.assign(full)
                del self._full[id(weight)]
        for weight, mask in silenced:
            _, full = self._full.setdefault(id(weight), (weight, as_array(weight)))
            weight.assign(full * mask)

    def _behind(self, layers):
        """The calls of these layers, or of all if there are none, and all behind."""
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
            self._parts[layers] = _Part(part, entering)
        return self._parts[layers]

    @functools.cached_property
    def _before(self):
        """What is computed for all parts: a model or None, and the tensors that come out."""
        images = self._whole.inputs[0]
        needed = {id(t): t for part in self._parts.values() for t in part.entering}
        needed.pop(id(images), None)
        tensors = list(needed.values())
        return (keras.Model(images, tensors) if tensors else None), tensors

    def values(self, images):
        """`{id of a tensor: its value for these images}` of all that enter a part."""
        self.silence([])
        model, tensors = self._before
        values = keras.tree.flatten(model(images, training=False)) if model else []
        found = {id(t): value for t, value in zip(tensors, values, strict=True)}
        return found | {id(self._whole.inputs[0]): keras.ops.convert_to_tensor(images)}


def _reading_weights(channels):
    """`(layer of the network, weight, axis, channels along it)` where a weight reads channels.

    There no channel along the axis comes out of the layer. What a rule of one's own hands on might
    be read as well: that cannot be told.
    """
    for layer in channels.model.layers:
        for inner in graph.layers(layer) if graph.is_functional(layer) else [layer]:
            flow = channels.flows.get(id(inner))
            for weight, axes in zip(inner.weights, flow.weights, strict=True) if flow else ():
                for axis, numbers in axes.items():
                    if not np.isin(numbers, flow.channels).any():
                        yield layer, weight, axis, numbers
                    elif axis != -1 and not rule_for(inner).__module__.startswith("pruning."):
                        raise ValueError(
                            f"{inner.name} ({type(inner).__name__}): its weights may read the "
                            "channels it hands on, so that it cannot be measured; prune instead"
                        )
