"""A second implementation of pruning: the full network reads zeros from the removed filters.

Nothing is cut here, and there are no groups. Every layer of the full network is copied unchanged.
For each tensor there is a mask of the same shape. It is 1 for values from a removed filter. Keras'
own layers move the masks as they move the tensors. A layer with a kernel reads 0 if the mask is 1.
"""

import sys

import keras
import numpy as np
from keras import layers

from pruning import criteria, graph, groups, request, selection

sys.setrecursionlimit(10_000)  # Keras visits graphs recursively, and these are deeper than usual
OPEN_SIZE = 16  # of images if the network takes any
READERS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.Dense),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
    *(layers.LSTM, layers.GRU, layers.SimpleRNN, layers.RNN, layers.Bidirectional),
    *(layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D, layers.Embedding),
    *(layers.MultiHeadAttention, layers.GroupQueryAttention),
)
PRODUCTS = ("Dot", "Matmul", "Einsum")  # they read zeros, and one axis may hold channels
MIXERS = (layers.Attention, layers.AdditiveAttention)  # they read zeros, and the values come out
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
MOVERS = (layers.Flatten, layers.Reshape, layers.Permute, layers.Concatenate)
MOVES = (  # plain operations
    *("Pad Concatenate Stack Reshape Transpose Swapaxes Moveaxis ExpandDims Squeeze").split(),
    *("GetItem Take Split Unstack Tile Repeat Flip DepthToSpace SpaceToDepth").split(),
)
REDUCTIONS = ("Mean", "Sum", "Max", "Min", "Var", "Std", "Prod", "Median", "Logsumexp", "Argmax")
MEETINGS = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "CustomScaleLayer")
MEETINGS += ("Divide", "TrueDivide", "Power", "Where", "Greater", "Less")


def randomise(model, gain=1.0, seed=0):
    """Give every weight a new random value: a fresh network's zeros and ones hide wrong slices.

    Args:
        model: Keras model, changed in place and returned.
        gain: above 1 if the network has many layers without normalisation, in which the values
            would get too small after pruning.
        seed: whole number from 0, another one for other values.
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if not weight.dtype.startswith("float"):
            continue
        if "kernel" in weight.name:
            fan_in = np.prod(weight.shape[:-1])  # close enough to keep the values in range
            weight.assign(rng.normal(0, gain * (2 / fan_in) ** 0.5, weight.shape))
        elif "gamma" in weight.name or "variance" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        else:
            weight.assign(rng.normal(0, 0.2, weight.shape))
    _finalize(model)
    return model


def images_for(model, n=2):
    rng = np.random.default_rng(1)
    images = [rng.uniform(size=_shape(i, n)).astype("float32") for i in model.inputs]
    return images if len(images) > 1 else images[0]


def predict(model, images):
    outputs = keras.tree.flatten(model(images, training=False))  # augmentation is off
    return [keras.ops.convert_to_numpy(output).astype("float32") for output in outputs]


def kept_filters(model, ratio, coupled="joint", **options):
    """`{layer path: indices of the filters that stay}` after `prune`."""
    wanted = request.request(ratio, coupled=coupled, **options)
    return selection.kept(groups.find(model, dense=wanted.dense), wanted, criteria.l1_norm)


def silenced(model, kept):
    """The network whose kernels read 0 from the removed filters.

    Args:
        model: Functional or Sequential model.
        kept: `{layer path: indices of the filters that stay}`.
    """
    calls = graph.trace(graph.functional(model)).calls
    kept_of = {id(call.layer): kept[call.path] for call in calls if call.path in kept}
    return _silenced(
        graph.functional(model),
        {c.path: kept_of[id(c.layer)] for c in calls if id(c.layer) in kept_of},
        "",
        [np.zeros((1, *_shape(i, 1)[1:]), "float32") for i in model.inputs],
    )[0]


def error(found, expected):
    """The largest difference, relative to the largest value."""
    pairs = list(zip(found, expected, strict=True))
    assert all(f.shape == e.shape for f, e in pairs)
    return max(np.abs(f - e).max() / np.abs(e).max() for f, e in pairs)


def _shape(symbol, n):
    """The shape of n images, or of as many as the network takes; open sizes are `OPEN_SIZE`."""
    return (symbol.shape[0] or n, *(size or OPEN_SIZE for size in symbol.shape[1:]))


def _silenced(model, kept, prefix, dead_inputs):
    sizes = iter(dead.shape[1:] for dead in dead_inputs)  # none is open, unlike those of the model
    inputs = keras.tree.map_structure(
        lambda s: keras.Input(batch_shape=(s.shape[0], *next(sizes)), dtype=s.dtype, name=s.name),
        model.input,
    )
    dead = {id(s): d for s, d in zip(keras.tree.flatten(inputs), dead_inputs, strict=True)}
    kernels = {}

    def copy(layer):
        if isinstance(getattr(layer, "layer", layer), keras.Model):
            return _Nested(layer)
        kernels[layer.name] = layer
        if isinstance(layer, layers.Lambda):  # Keras does not load the code of a lambda
            return layers.Lambda(layer.function, arguments=layer.arguments, name=layer.name)
        try:
            return type(layer).from_config(layer.get_config())
        except TypeError:  # a layer of one's own without get_config and without weights
            return layers.Lambda(layer.call, name=layer.name)

    def call(layer, *args, **kwargs):
        given = keras.tree.flatten((args, kwargs))
        masks = [dead[id(a)] for a in given if id(a) in dead]
        path = prefix + layer.name
        if isinstance(layer, _Nested):
            nested = getattr(layer.model, "layer", layer.model)
            at_each_step = nested is not layer.model  # a TimeDistributed
            if at_each_step:
                path, masks = f"{path}/{nested.name}", [mask[:, 0] for mask in masks]
            if isinstance(nested, keras.Sequential):
                nested = keras.Model(nested.inputs[0], nested.outputs[0])
            else:  # with a new name, because every call has its own copy
                nested = keras.Model(nested.input, nested.output)
            inner, after = _silenced(nested, kept, f"{path}/", masks)
            output = (layers.TimeDistributed(inner) if at_each_step else inner)(*args, **kwargs)
            if at_each_step:
                after = [np.repeat(mask[:, None], output.shape[1], 1) for mask in after]
            dead.update((id(o), d) for o, d in zip(keras.tree.flatten(output), after, strict=True))
            return output
        if _reads(layer):
            args, kwargs = keras.tree.map_structure(
                lambda a: a * (1 - dead[id(a)]) if id(a) in dead and dead[id(a)].any() else a,
                (args, kwargs),
            )
        given = args, kwargs
        output = layer(*args, **kwargs)
        if type(layer).__name__ in PRODUCTS:
            after = [_after_product(layer, given, masks)]
        elif isinstance(layer, MOVERS) or type(layer).__name__ in MOVES:
            moved = keras.tree.map_structure(
                lambda a: keras.ops.convert_to_tensor(dead[id(a)]) if id(a) in dead else a,
                (args, kwargs),
            )
            after = [
                keras.ops.convert_to_numpy(m) for m in keras.tree.flatten(_called(layer, moved))
            ]
        else:
            after = [_after(layer, path, masks, (1, *output.shape[1:]), kept)]
        dead.update((id(o), d) for o, d in zip(keras.tree.flatten(output), after, strict=True))
        return output

    copied = keras.models.clone_model(
        model, input_tensors=inputs, clone_function=copy, call_function=call
    )
    for layer in copied.layers:
        if layer.name in kernels and layer.weights:
            layer.set_weights(kernels[layer.name].get_weights())
    _finalize(copied)
    return copied, [dead[id(output)] for output in copied.outputs]


def _after_product(layer, arguments, masks):
    """1 for the sums that have no value which is not from a removed filter."""
    alive = iter([1 - mask for mask in masks])
    alive = keras.tree.map_structure(
        lambda a: (
            next(alive)
            if isinstance(a, keras.KerasTensor)
            else np.ones_like(a)
            if hasattr(a, "shape")
            else a
        ),
        arguments,
    )
    return (keras.ops.convert_to_numpy(_called(layer, alive)) == 0).astype("float32")


def _called(layer, arguments):
    return layer(*arguments[0], **arguments[1])


def _finalize(model):
    """Update the copy of their weights that preprocessing layers compute with."""
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


class _Nested(keras.Operation):
    def __init__(self, model):
        super().__init__(name=model.name)
        self.model = model


def _reads(layer):
    if isinstance(layer, layers.Wrapper):
        return _reads(layer.layer)
    if isinstance(layer, layers.EinsumDense):
        given, result = layer.equation.split("->")
        return given.split(",")[0][-1] not in result
    if type(layer).__name__ in PRODUCTS:
        return True
    return isinstance(layer, (*READERS, *DEPTHWISE, *MIXERS))


def _after(layer, path, masks, shape, kept):
    if isinstance(layer, layers.TimeDistributed):
        step = [mask[:, 0] for mask in masks]
        after = _after(layer.layer, path, step, (1, *shape[2:]), kept)
        return np.broadcast_to(np.expand_dims(after, 1), shape)
    if isinstance(layer, layers.SpectralNormalization):
        return _after(layer.layer, path, masks, shape, kept)
    if isinstance(layer, READERS) or (isinstance(layer, layers.EinsumDense) and _reads(layer)):
        after = np.zeros(shape, "float32")
        if path in kept:
            after[..., np.setdiff1d(np.arange(shape[-1]), kept[path])] = 1
        return after
    if not any(mask.any() for mask in masks):
        return np.zeros(shape, "float32")
    if isinstance(layer, MOVERS):
        return keras.ops.convert_to_numpy(layer(masks if len(masks) > 1 else masks[0]))
    if type(layer).__name__ in REDUCTIONS:
        axis, keepdims = (tuple(np.ravel(layer.axis).tolist()), layer.keepdims)
        return masks[0].max(axis=axis, keepdims=keepdims)
    if type(layer).__name__ in MEETINGS:
        return np.broadcast_to(np.max(np.broadcast_arrays(*masks), axis=0), shape)
    if not isinstance(layer, keras.Layer) and masks[0].shape == shape:
        return masks[0]
    if isinstance(layer, layers.EinsumDense):
        return np.einsum(layer.equation, masks[0], np.ones(layer.kernel.shape)) > 0
    if isinstance(layer, MIXERS):
        masks = masks[1:]
    channels = masks[0].max(axis=tuple(range(masks[0].ndim - 1)))
    if isinstance(layer, DEPTHWISE):
        channels = np.repeat(channels, layer.depth_multiplier)
    return np.broadcast_to(channels, shape)
