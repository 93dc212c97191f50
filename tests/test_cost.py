"""pruning/cost.py: MACs counted by hand, for each layer type."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from pruning import cost, macs, prune
from scnnb.model import build_scnnb


@pytest.mark.parametrize(
    ("image_shape", "parameters", "macs", "pruned_parameters"),
    [
        ((28, 28, 1), 4_047_370, 7_865_344, 2_404_404),
        ((32, 32, 3), 5_276_746, 10_859_008, 3_134_346),
    ],
)
def test_scnnb_has_the_parameters_and_macs_of_the_paper(
    image_shape, parameters, macs, pruned_parameters
):
    model = build_scnnb(image_shape, 10)
    assert cost.parameters(model) == parameters
    assert cost.macs(model) == macs
    assert cost.parameters(prune(model, 0.4)) == pruned_parameters


COUNTED = {  # one layer on 5x4x6 maps: its MACs
    "Conv2D, valid": (lambda: layers.Conv2D(2, 3), 3 * 2 * (9 * 6 * 2)),
    "Conv2D, strides": (lambda: layers.Conv2D(7, 1, strides=2), 3 * 2 * (6 * 7)),
    "Conv2D, groups": (lambda: layers.Conv2D(9, 3, groups=3), 3 * 2 * (9 * 2 * 9)),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(2, 3, strides=2), 5 * 4 * (9 * 6 * 2)),
    "DepthwiseConv2D": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), 3 * 2 * 9 * 6 * 2),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(7, 3), 3 * 2 * (9 * 6 + 6 * 7)),
    "SeparableConv2D, multiplier": (
        lambda: layers.SeparableConv2D(7, 3, depth_multiplier=2),
        3 * 2 * (9 * 12 + 12 * 7),
    ),
    "Dense on maps": (lambda: layers.Dense(3), 5 * 4 * 6 * 3),
    "BatchNormalization": (lambda: layers.BatchNormalization(), 0),
    "LayerNormalization": (lambda: layers.LayerNormalization(), 0),
    "PReLU": (lambda: layers.PReLU(), 0),
    "UpSampling2D": (lambda: layers.UpSampling2D(2), 0),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_macs_of_a_layer_equal_those_counted_by_hand(name):
    build, macs = COUNTED[name]
    assert cost.macs(keras.Sequential([keras.Input((5, 4, 6)), build()])) == macs


def test_a_network_of_one_dimension_is_counted():
    stack = [keras.Input((10, 2)), layers.Conv1D(3, 4), layers.Conv1DTranspose(5, 2)]
    assert cost.macs(keras.Sequential(stack)) == 7 * (4 * 2 * 3) + 7 * (2 * 3 * 5)


def test_nested_models_count_and_a_shared_layer_counts_at_every_call():
    shared = layers.Dense(4)
    nested = keras.Sequential([keras.Input((4,)), shared, layers.Dense(5)])
    inputs = keras.Input((4,))
    assert cost.macs(keras.Model(inputs, nested(shared(shared(inputs))))) == 3 * 16 + 20


def test_a_nested_model_of_any_image_size_is_counted_at_the_size_it_gets():
    inputs, images = keras.Input((None, None, 3)), keras.Input((5, 4, 3))
    nested = keras.Model(inputs, layers.Conv2D(2, 3)(inputs))
    assert cost.macs(keras.Model(images, nested(images))) == 3 * 2 * (9 * 3 * 2)


class _Own(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=shape[-1:], name="kernel")

    def call(self, x, states=None):
        return x * self.kernel if states is None else (x * self.kernel, states)

    def compute_output_shape(self, shape):
        return shape


SEQUENCES = {  # one layer on 5 steps of 4 values: its MACs
    "SimpleRNN": (lambda: layers.SimpleRNN(3), 5 * (4 * 3 + 3 * 3)),
    "LSTM": (lambda: layers.LSTM(3), 5 * 4 * (4 * 3 + 3 * 3)),
    "GRU": (lambda: layers.GRU(3, return_sequences=True), 5 * 3 * (4 * 3 + 3 * 3)),
    "Bidirectional": (lambda: layers.Bidirectional(layers.LSTM(3)), 2 * 5 * 4 * (4 * 3 + 3 * 3)),
    "RNN of cells": (
        lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
        5 * (4 * (4 * 3 + 3 * 3) + 3 * (3 * 2 + 2 * 2)),
    ),
    "TimeDistributed": (lambda: layers.TimeDistributed(layers.Dense(3)), 5 * 4 * 3),
    "a model at every step": (
        lambda: layers.TimeDistributed(
            keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
        ),
        5 * (4 * 3 + 3 * 2),
    ),
    "a model in a model at every step": (
        lambda: layers.TimeDistributed(
            keras.Sequential(
                [
                    *(keras.Input((4,)), layers.Reshape((2, 2))),
                    layers.TimeDistributed(keras.Sequential([keras.Input((2,)), layers.Dense(3)])),
                ]
            )
        ),
        5 * 2 * 2 * 3,
    ),
    "SpectralNormalization": (
        lambda: layers.SpectralNormalization(layers.Conv1D(3, 2)),
        4 * 2 * 4 * 3,
    ),
    "EinsumDense": (lambda: layers.EinsumDense("abc,cd->abd", (5, 3)), 5 * 4 * 3),
    "EinsumDense, over steps": (lambda: layers.EinsumDense("abc,bd->adc", (6, 4)), 5 * 4 * 6),
    "EinsumDense, heads": (
        lambda: layers.EinsumDense("...x,xhd->...hd", (2, 3)),
        5 * 4 * 2 * 3,
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_macs_of_a_layer_of_sequences_equal_those_counted_by_hand(name):
    build, macs = SEQUENCES[name]
    assert cost.macs(keras.Sequential([keras.Input((5, 4)), build()])) == macs


@pytest.mark.parametrize("return_sequences", [False, True])
def test_a_recurrent_convolution_is_counted_at_every_step_and_position(return_sequences):
    layer = layers.ConvLSTM2D(2, 3, return_sequences=return_sequences)
    macs = 7 * (3 * 2) * 4 * 9 * (6 * 2 + 2 * 2)  # steps, positions, gates, kernel
    assert cost.macs(keras.Sequential([keras.Input((7, 5, 4, 6)), layer])) == macs


def test_the_macs_of_attention_equal_those_counted_by_hand():
    query, value = keras.Input((5, 4)), keras.Input((7, 6))
    mask = keras.Input((5, 7), dtype="bool")
    attention = layers.MultiHeadAttention(2, key_dim=3, value_dim=8)
    output = attention(attention_mask=mask, value=value, query=query)
    projections = 5 * 4 * 2 * 3 + 7 * 6 * 2 * 3 + 7 * 6 * 2 * 8 + 5 * 2 * 8 * 4
    assert cost.macs(keras.Model([query, value, mask], output)) == (
        projections + 2 * 5 * 7 * 3 + 2 * 5 * 7 * 8
    )
    output = layers.GroupQueryAttention(3, 4, 2)(query, query)  # 4 heads, 2 of keys and values
    projections = 5 * 4 * 4 * 3 + 2 * (5 * 4 * 2 * 3) + 5 * 4 * 3 * 4
    assert cost.macs(keras.Model(query, output)) == projections + 2 * (4 * 5 * 5 * 3)
    for layer in (layers.Attention(), layers.Attention(use_scale=True), layers.AdditiveAttention()):
        values = keras.Input((7, 4))
        model = keras.Model([query, values], layer([query, values]))
        assert cost.macs(model) == 5 * 7 * 4 + 5 * 7 * 4


PRODUCTS = {  # a product of tensors of these shapes: its MACs
    "Dot, over channels": (layers.Dot(2), [(5, 4), (7, 4)], 5 * 7 * 4),
    "Dot, over steps": (layers.Dot(1), [(5, 4), (5, 6)], 4 * 6 * 5),
    "Dot, axes from the end": (layers.Dot((-1, -2)), [(5, 4), (4, 6)], 5 * 6 * 4),
    "Dot, vectors": (layers.Dot(1), [(4,), (4,)], 4),
    "matmul": (lambda xs: ops.matmul(*xs), [(3, 5, 4), (3, 4, 6)], 3 * 5 * 6 * 4),
    "matmul, one for all": (lambda xs: xs[0] @ xs[1], [(3, 5, 4), (1, 4, 6)], 3 * 5 * 6 * 4),
    "matmul, an array": (lambda xs: xs[0] @ np.ones((4, 6)), [(5, 4)], 5 * 6 * 4),
    "dot, an array": (lambda xs: ops.dot(xs[0], np.ones((4, 6))), [(2, 5, 4)], 2 * 5 * 6 * 4),
    "einsum": (
        lambda xs: ops.einsum("bhwc,bhwd->bcd", *xs),
        [(5, 4, 3), (5, 4, 2)],
        5 * 4 * 3 * 2,
    ),
    "einsum, of one": (lambda xs: ops.einsum("b...c->bc", xs[0]), [(5, 4, 3)], 0),
    "einsum, of three": (
        lambda xs: ops.einsum("b...c,bc,...d->b...d", *xs, np.ones((1, 5, 4, 6))),
        [(5, 4, 3), (3,)],
        2 * 5 * 4 * 3 * 6,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_macs_of_a_product_of_tensors_equal_those_counted_by_hand(name):
    multiply, shapes, macs = PRODUCTS[name]
    tensors = [keras.Input(shape) for shape in shapes]
    assert cost.macs(keras.Model(tensors, multiply(tensors))) == macs


def test_attention_over_rows_is_counted_row_by_row():
    maps = keras.Input((5, 7, 4))
    output = layers.MultiHeadAttention(1, 3, attention_axes=2)(maps, maps)
    assert cost.macs(keras.Model(maps, output)) == 4 * (35 * 4 * 3) + 2 * 5 * (7 * 7 * 3)


def test_an_embedding_has_no_macs():
    stack = [keras.Input((5,)), layers.Embedding(9, 4), layers.Dense(3)]
    assert cost.macs(keras.Sequential(stack)) == 5 * 4 * 3


def test_a_layer_that_cannot_be_counted_is_an_error_with_its_name():
    model = keras.Sequential([keras.Input((5, 4)), _Own(name="own")])
    with pytest.raises(
        ValueError, match=r"own \(_Own\): its MACs cannot be counted, .* for a _Own"
    ):
        cost.macs(model)
    wrapped = layers.TimeDistributed(_Own(), name="steps")
    model = keras.Sequential([keras.Input((5, 4)), wrapped])
    with pytest.raises(ValueError, match=r"steps \(TimeDistributed\): .*no formula for a _Own"):
        cost.macs(model)
    cell = _Own()
    cell.state_size = cell.output_size = 4
    model = keras.Sequential([keras.Input((5, 4)), layers.RNN(cell, name="steps")])
    with pytest.raises(ValueError, match=r"steps \(RNN\): .*no formula for a _Own"):
        cost.macs(model)
    inside = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="inside")], name="one")
    distributed = layers.TimeDistributed(inside, name="steps")
    model = keras.Sequential([keras.Input((None, 4)), distributed])
    with pytest.raises(ValueError, match=r"steps/one/inside \(Dense\): .* size is not fixed"):
        cost.macs(model)
    assert cost.macs(model, (5, 4)) == 5 * 4 * 3
    model = keras.Sequential([keras.Input((None, 4)), layers.LSTM(3, name="memory")])
    with pytest.raises(ValueError, match=r"memory \(LSTM\): .* its input size is not fixed"):
        cost.macs(model)
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3, name="conv1")])
    with pytest.raises(ValueError, match=r"conv1 \(Conv2D\): .* its input size is not fixed"):
        cost.macs(model)


def shapeless(height, width):
    """Convolutions and a Dense layer on images of this size."""
    images = keras.Input((height, width, 3))
    x = layers.Conv2D(4, 3, strides=2, name="conv1")(images)
    x = layers.Conv2DTranspose(5, 2, strides=2)(x)
    inside = keras.Input((None, None, 5))
    nested = keras.Model(inside, layers.DepthwiseConv2D(3)(inside))
    return keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(nested(x))))


@pytest.mark.parametrize("size", [(9, 9), (12, 31), [8, 224]])
def test_a_network_of_any_image_size_counts_as_the_same_network_of_that_size(size):
    fixed = macs(shapeless(*size))
    assert macs(shapeless(None, None), (*size, 3)) == fixed
    assert macs(shapeless(None, size[1]), [*size, 3]) == fixed
    assert macs(shapeless(*size), (*size, 3)) == fixed


def test_several_inputs_need_a_shape_each():
    def build(*sizes):
        images = [keras.Input((size, size, 3)) for size in sizes]
        maps = [layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(each)) for each in images]
        return keras.Model(images, layers.Add()(maps))

    assert macs(build(None, None), [(5, 5, 3), (9, 9, 3)]) == macs(build(5, 9))
    with pytest.raises(
        ValueError, match=r"expected \(None, None, 3\), \(7, 7, 3\) with whole numb"
    ):
        macs(build(None, 7), (5, 5, 3))


def test_a_sequence_of_any_length_is_counted_at_the_length_given():
    model = keras.Sequential([keras.Input((None, 4)), layers.LSTM(3)])
    assert macs(model, (5, 4)) == 5 * 4 * (4 * 3 + 3 * 3)
    model = keras.Sequential([keras.Input((None,)), layers.Embedding(9, 4), layers.LSTM(3)])
    assert macs(model, (5,)) == 5 * 4 * (4 * 3 + 3 * 3)


@pytest.mark.parametrize(
    "shape", [(9, 9, 4), (9, 9), (9, None, 3), (0, 9, 3), (9.0, 9, 3), [(9, 9, 3)] * 2, ()]
)
def test_an_input_shape_that_the_network_does_not_take_is_an_error(shape):
    message = r"input_shape: expected \(None, None, 3\) with whole numbers from 1 .*, got "
    with pytest.raises(ValueError, match=message):
        macs(shapeless(None, None), shape)


def test_images_too_small_for_the_network_are_an_error_of_one_line():
    with pytest.raises(ValueError, match=r"got \(2, 9, 3\): Computed output s") as caught:
        macs(shapeless(None, None), (2, 9, 3))
    assert "\n" not in str(caught.value) and "_StandIn" not in str(caught.value)
