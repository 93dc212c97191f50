"""Multiply-accumulates (MACs) of one call of a layer, by its type.

Products of tensors are counted: inputs and kernels, and in attention queries and keys, weights and
values. Biases, normalisations, activations, gates and look-ups are not counted.
"""

import inspect
import math

import keras
from keras import layers

from pruning import graph
from pruning.rules import attention, convolutions, einsum, products, rule_for


def values(weight):
    """Number of values of a weight."""
    return math.prod(weight.shape)


def macs(call, size=values, shape=lambda tensor: tensor.shape):
    """MACs of one call for one image; 0 for a nested model, whose layers have their own calls.

    Args:
        call: graph.Call.
        size: function that returns the number of values of a weight; fewer, if it will be cut.
        shape: function that returns the shape of a graph.Tensor; smaller, if it will be cut.

    Raises:
        ValueError: the layer has weights and its type is not known, or a size is not fixed.
    """
    if graph.is_functional(call.layer):
        return 0
    rule = rule_for(call.layer)
    if rule in BY_RULE_OF_SEVERAL:
        once = BY_RULE_OF_SEVERAL[rule](call, size, shape)
    else:
        entering, leaving = (shape(ts[0]) if ts else () for ts in (call.inputs, call.outputs))
        once = _of_layer(call.layer, entering, leaving, call, size)
    return once and _product((once, call.times), call)


def _of_layer(layer, entering, leaving, call, size):
    """MACs of a layer that is called itself, or is inside a wrapper that is called."""
    rule = rule_for(layer)
    if rule in BY_RULE:
        positions = (_product(shape[1:-1], call) for shape in (entering, leaving))
        return BY_RULE[rule](layer, *positions, size)
    if type(layer) in BY_TYPE:
        return BY_TYPE[type(layer)](layer, entering, leaving, call, size)
    of_a_part = rule in BY_RULE_OF_SEVERAL  # inside a wrapper
    if of_a_part or (rule is None and getattr(layer, "weights", ())):
        raise ValueError(
            f"{call}: its MACs cannot be counted, because there is no formula for a "
            f"{type(layer).__name__}"
        )
    return 0


def _product(sizes, call):
    if None in sizes:
        raise ValueError(f"{call}: its MACs cannot be counted, because its input size is not fixed")
    return math.prod(sizes)


def _per_output(layer, entering, leaving, size):
    return leaving * size(layer.kernel)


def _per_input(layer, entering, leaving, size):
    return entering * size(layer.kernel)


def _separable(layer, entering, leaving, size):
    return leaving * (size(layer.depthwise_kernel) + size(layer.pointwise_kernel))


def _none(layer, entering, leaving, call, size):
    return 0


def _wrapped(layer, entering, leaving, call, size):
    return _of_layer(layer.layer, entering, leaving, call, size)


def _at_every_step(layer, entering, leaving, call, size):
    inner = (shape[:1] + shape[2:] for shape in (entering, leaving))
    return _product(entering[1:2], call) * _of_layer(layer.layer, *inner, call, size)


def _both_ways(layer, entering, leaving, call, size):
    both = (layer.forward_layer, layer.backward_layer)
    return sum(_of_layer(each, entering, leaving, call, size) for each in both)


def _recurrent(layer, entering, leaving, call, size):
    """MACs of a recurrent layer: steps * gates * units * (inputs + units).

    At every step all gates read the input and the state.

    Source: Hochreiter, Schmidhuber 1997, Long Short-Term Memory (4 gates, as of Gers et al. 2000);
    Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder, section 2.3 (3).
    """
    cells = layer.cell.cells if type(layer.cell) is layers.StackedRNNCells else [layer.cell]
    if unknown := [type(c).__name__ for c in cells if type(c) not in CELLS]:
        raise ValueError(
            f"{call}: its MACs cannot be counted, because there is no formula for a {unknown[0]}"
        )
    return _product(entering[1:2], call) * sum(_kernels(cell, size) for cell in cells)


def _recurrent_convolution(layer, entering, leaving, call, size):
    """MACs of a ConvLSTM: at every step and position 4 gates read the input and the state.

    Source: Shi et al. 2015, Convolutional LSTM Network, formula 3, without its peepholes.
    """
    positions = _product(leaving[2 if layer.return_sequences else 1 : -1], call)
    return _product(entering[1:2], call) * positions * _kernels(layer.cell, size)


def _kernels(cell, size):
    return size(cell.kernel) + size(cell.recurrent_kernel)


def _einsum(layer, entering, leaving, call, size):
    """MACs of EinsumDense: values of the kernel times the sizes of the input's other axes.

    Source: the definition of Einstein's summation: one product for each choice of all indices.
    """
    given, kernel, _ = einsum.letters(layer.equation, len(entering))
    own = [n for letter, n in zip(given, entering, strict=True) if letter not in kernel]
    return _product(own[1:], call) * size(layer.kernel)


def _multi_head_attention(call, size, shape):
    """MACs of the four projections, and of each query with each key and value.

    A causal mask saves no MACs.

    Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.
    """
    layer = call.layer
    axes = layer.get_config()["attention_axes"]
    of_a_pair = layer.num_heads * (layer.key_dim + layer.value_dim)
    return _projected(call, of_a_pair, axes, size)


def _grouped_query_attention(call, size, shape):
    """MACs as in `_multi_head_attention`, with fewer heads of keys and values than of queries.

    Source: Ainslie et al. 2023, GQA: Training Generalized Multi-Query Transformer Models.
    """
    return _projected(call, call.layer.num_query_heads * 2 * call.layer.head_dim, None, size)


def _projected(call, of_a_pair, axes, size):
    """MACs of the projections (a gate is one of the queries), and of the pairs."""
    given = _arguments(call)
    query, value = given["query"].shape, given["value"].shape
    queries, values = (_product(shape[1:-1], call) for shape in (query, value))
    attended = _product([value[axis] for axis in axes] if axes else value[1:-1], call)
    at = {"query": queries, "gate": queries, "attention_output": queries}  # others are of values
    names = {attention.names_of(weight): weight for weight in call.layer.weights}
    projections = sum(
        at.get(name, values) * size(weight)
        for (name, kind), weight in names.items()
        if kind == "kernel"
    )
    return projections + queries * attended * of_a_pair


def _attention(call, size, shape):
    """MACs of each query with each key and value; there are no projections.

    Source: Luong et al. 2015, Effective Approaches to Attention-based Neural Machine Translation,
    section 3.1; Bahdanau et al. 2015, Neural Machine Translation by Jointly Learning to Align and
    Translate, appendix A.1.2, for AdditiveAttention.
    """
    query, value = (shape(tensor) for tensor in call.inputs[:2])
    pairs = _product(query[1:-1], call) * _product(value[-2:-1], call)
    return pairs * (query[-1] + value[-1])


def _product_of_tensors(call, size, shape):
    """MACs of Dot, matmul, dot and einsum: the product of the sizes of all axes, each once.

    A product of three tensors is two products for each choice of all indices.

    Source: the definition of Einstein's summation.
    """
    tensors, sizes = iter(call.inputs), {}
    shapes = [
        shape(next(tensors)) if isinstance(each, keras.KerasTensor) else each.shape
        for each in products.inputs_of(call)
    ]
    try:
        sources, result = products.labels(call)
    except ValueError as error:
        raise ValueError(f"{call}: its MACs cannot be counted, because {error}") from error
    for source, its in zip(sources, shapes, strict=True):
        for label, n in zip(source, its, strict=True):
            sizes[label] = max(n, sizes.get(label) or 1) if n else None
    del sizes[result[0]]  # of the images
    return len(sources) > 1 and (len(sources) - 1) * _product(sizes.values(), call)


def _arguments(call):
    args, kwargs = call.arguments
    return inspect.signature(call.layer.call).bind(*args, **kwargs).arguments


BY_RULE = {  # functions of the layer, its numbers of input and output positions, and `size`
    convolutions.convolution: _per_output,
    convolutions.depthwise_convolution: _per_output,
    convolutions.dense: _per_output,
    convolutions.transposed_convolution: _per_input,
    convolutions.separable_convolution: _separable,
}
BY_TYPE = {  # functions of the layer, its input and output shapes, the call, and `size`
    layers.Embedding: _none,
    layers.SpectralNormalization: _wrapped,  # it normalises its kernel in training only
    layers.TimeDistributed: _at_every_step,
    layers.Bidirectional: _both_ways,
    **dict.fromkeys([layers.LSTM, layers.GRU, layers.SimpleRNN, layers.RNN], _recurrent),
    **dict.fromkeys(
        [layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D], _recurrent_convolution
    ),
    layers.EinsumDense: _einsum,
}
BY_RULE_OF_SEVERAL = {  # of layers with several inputs: functions of the call, `size` and `shape`
    attention.multi_head_attention: _multi_head_attention,
    attention.grouped_query_attention: _grouped_query_attention,
    attention.attention: _attention,
    products.product: _product_of_tensors,
}
CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)
