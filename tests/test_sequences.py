"""pruning/rules: recurrent layers, attention, EinsumDense and wrappers equal silenced ones."""

import keras
import numpy as np
import pytest
from keras import layers

from pruning import judge, prune
from tests.silenced import error, predict, randomise
from tests.test_rules import assert_equals_the_silenced_network, network

STEPS, VIDEO = (6, 5), (4, 6, 6, 3)  # without the images of a batch
EACH = layers.TimeDistributed


def conv(filters, x, size=3):
    return layers.Conv1D(filters, size, padding="same")(x)


def new(layer):
    return layer.from_config(layer.get_config())


def chain(*made):
    """A function that puts the layers one after the other, after a convolution."""

    def build(x):
        first = layers.Conv3D if len(x.shape) == 5 else layers.Conv1D
        x = first(8, 1)(x)
        for layer in made:
            x = new(layer)(x)
        return x

    return build


def side_by_side(*made):
    """A function that lets each layer read a convolution of its own."""
    return lambda x: layers.Concatenate()(
        [layers.Flatten()(new(layer)(conv(8, x))) for layer in made]
    )


def twice(layer):
    """A function that lets one layer read two convolutions."""

    def build(x):
        first = layers.Conv3D if len(x.shape) == 5 else layers.Conv1D
        shared = new(layer)
        return layers.Concatenate()(
            [shared(first(8, 1)(x)), shared(first(8, 2, padding="same")(x))]
        )

    return build


def nested_memory(x):
    inputs = keras.Input((6, 8))
    inner = keras.Model(inputs, layers.GRU(4, return_sequences=True)(conv(4, inputs)))
    return layers.SimpleRNN(3)(inner(conv(8, x)))


def masked_memory(x):
    mask = layers.GlobalMaxPooling1D(data_format="channels_first")(x) > 0.8
    state = layers.Dense(4)(layers.Flatten()(x))
    masked = layers.LSTM(4)(layers.Masking()(x))
    return masked + layers.GRU(4)(conv(8, x), initial_state=state, mask=mask)


def words(x):
    numbers = layers.GlobalMaxPooling1D(data_format="channels_first")(x) * 9
    return conv(4, layers.Embedding(9, 8)(numbers) + conv(8, x))


def heads(x, **settings):
    return layers.MultiHeadAttention(2, 3, **settings)(conv(8, x), conv(6, x), key=conv(4, x))


def residual(layer):
    def build(x):
        x = conv(8, x)
        return conv(4, new(layer)(x, x) + x)

    return build


def shared_heads(x):
    layer = layers.MultiHeadAttention(2, 3)
    x, y = conv(8, x), conv(8, x, 1)
    return layers.Concatenate()([layer(x, y), layer(query=y, value=x)])


def three(layer):
    return lambda x: new(layer)([conv(8, x), conv(6, x), conv(8, x, 1)])


def pooling():
    """The usual model at each image of a video."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            *(layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization()),
            *(layers.MaxPooling2D(), layers.Conv2D(6, 2), layers.Flatten(), layers.Dense(5)),
        ]
    )


def keeping(shortcut=False):
    """A model whose maps are as many and as large as those that it gets."""
    images = keras.Input((6, 6, 8))
    x = layers.Conv2D(8, 3, padding="same")(images)
    inside = keras.Sequential([layers.Conv2D(8, 1), layers.ReLU()])
    return keras.Model(images, inside(x) + images if shortcut else inside(x))


def shared_model(x):
    shared, first = keeping(), layers.Conv3D(8, 1)(x)
    y, z = EACH(shared)(first), EACH(EACH(layers.Dense(8)))(first)
    return layers.Concatenate()([EACH(shared)(y), shared(z[:, 1])[:, None] * y])


SEQUENCES = {
    "recurrent": side_by_side(
        layers.LSTM(4, return_sequences=True),
        layers.GRU(4, reset_after=False, go_backwards=True),
        layers.SimpleRNN(4, use_bias=False, activation="softmax"),
        layers.RNN(layers.GRUCell(4)),
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
    ),
    "recurrent, both ways": side_by_side(
        layers.Bidirectional(layers.LSTM(4)),
        layers.Bidirectional(
            layers.GRU(4, return_sequences=True),
            merge_mode="sum",
            backward_layer=layers.SimpleRNN(4, return_sequences=True, go_backwards=True),
        ),
        layers.Bidirectional(layers.RNN(layers.LSTMCell(2))),
    ),
    "recurrent, one after the other": chain(layers.LSTM(4, return_sequences=True), layers.GRU(3)),
    "recurrent, shared": twice(layers.LSTM(3)),
    "recurrent, nested": nested_memory,
    "recurrent, with masks and a state": masked_memory,
    "an embedding loses what it is added to": words,
    "repeated": lambda x: layers.RepeatVector(3)(layers.GlobalMaxPooling1D()(conv(8, x))),
    "heads": heads,
    "heads, other settings": lambda x: heads(x, value_dim=5, use_bias=False, output_shape=7),
    "heads, residual": residual(layers.MultiHeadAttention(2, 3)),
    "heads, shared": shared_heads,
    "grouped heads": residual(layers.GroupQueryAttention(3, 4, 2)),
    "grouped heads, three inputs": lambda x: layers.GroupQueryAttention(3, 2, 1)(
        conv(8, x), conv(8, x), key=conv(6, x)
    ),
    "dot products": three(layers.Attention(use_scale=True)),
    "dot products with itself": lambda x: layers.Attention()([y := conv(8, x), y]),
    "sums": three(layers.Attention(score_mode="concat")),
    "additive": three(layers.AdditiveAttention()),
    "einsum": chain(
        layers.EinsumDense("abc,cd->abd", (6, 6), bias_axes="d", activation="relu"),
        layers.EinsumDense("abc,dc->abd", (6, 5)),
        layers.EinsumDense("...x,xy->...y", 5),
    ),
    "einsum, wider": side_by_side(
        layers.EinsumDense("abc,bcd->ad", 5, bias_axes="d"),
        layers.EinsumDense("abc,cde->abde", (6, 2, 3), bias_axes="de"),
    ),
    "einsum over steps": chain(
        layers.EinsumDense("abc,bd->adc", (4, 8), bias_axes="c"),
        layers.EinsumDense("...bc,bd->...cd", (8, 3), bias_axes="d"),
    ),
    "einsum, shared": twice(layers.EinsumDense("abc,cd->abd", (6, 6))),
    "unit norm over steps": chain(layers.UnitNormalization(axis=1)),
    "unit norm": lambda x: layers.UnitNormalization()(conv(4, conv(8, x))),
    "spectral norm": chain(
        layers.SpectralNormalization(layers.Conv1D(6, 3)),
        layers.SpectralNormalization(layers.Conv1DTranspose(6, 3)),
        layers.SpectralNormalization(layers.DepthwiseConv1D(3, depth_multiplier=2)),
        layers.SpectralNormalization(layers.Dense(5)),
    ),
    "spectral norm, shared": twice(layers.SpectralNormalization(layers.Conv1D(6, 3))),
}
VIDEOS = {
    "layers at each step": chain(
        EACH(layers.Conv2D(6, 3, activation="relu")),
        EACH(layers.BatchNormalization()),
        EACH(layers.MaxPooling2D()),
        EACH(layers.Flatten()),
        EACH(layers.Dense(5)),
        layers.LSTM(3),
    ),
    "reshape at each step": chain(
        EACH(layers.Reshape((-1, 8))), EACH(EACH(layers.Dense(4))), EACH(layers.PReLU())
    ),
    "spectral norm at each step": chain(EACH(layers.SpectralNormalization(layers.Conv2D(6, 3)))),
    "a model at each step": lambda x: layers.LSTM(3)(EACH(pooling())(x)),
    "a model at each step of a convolution": chain(EACH(keeping()), EACH(keeping(shortcut=True))),
    "a model at each step, shared": shared_model,
    "shared at each step": twice(EACH(layers.Conv2D(6, 3))),
    "recurrent convolutions": lambda x: layers.Concatenate()(
        [
            layers.Flatten()(layer(layers.Reshape(shape)(layers.Conv3D(8, 1)(x))))
            for layer, shape in [
                (layers.ConvLSTM1D(2, 3), (4, 36, 8)),
                (layers.ConvLSTM2D(2, 3), (4, 6, 6, 8)),
                (layers.ConvLSTM3D(2, 2), (4, 6, 3, 2, 8)),
            ]
        ]
    ),
    "recurrent convolutions, both ways": chain(
        layers.Bidirectional(layers.ConvLSTM2D(2, 3, return_sequences=True, use_bias=False))
    ),
    "attention over pixels": lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(2, 3))(
        y := layers.Conv3D(8, 1)(x), y
    ),
    "resized": chain(EACH(layers.Resizing(3, 4)), EACH(layers.CenterCrop(2, 2))),
}


@pytest.mark.parametrize("index, name", [*enumerate(SEQUENCES)])
def test_a_pruned_network_of_sequences_equals_the_silenced_network(index, name):
    ratio = (0.3, 0.5, 0.8)[index % 3]
    assert_equals_the_silenced_network(network(SEQUENCES[name], STEPS), ratio)


@pytest.mark.parametrize("name", VIDEOS)
def test_a_pruned_network_of_videos_equals_the_silenced_network(name):
    assert_equals_the_silenced_network(network(VIDEOS[name], VIDEO))


UNSUPPORTED = {
    r"memory \(LSTM\): it returns several tensors": lambda x: layers.LSTM(
        3, return_state=True, name="memory"
    )(conv(8, x))[0],
    r"memory \(LSTM\): its input channels are not on the last axis": chain(
        layers.Permute((2, 1)), layers.LSTM(3, name="memory")
    ),
    r"memory \(LSTM\): its units stay": lambda x: (
        conv(8, x) + layers.LSTM(8, return_sequences=True, name="memory")(x)
    ),
    r"memory \(GRU\): they are a mask or a state of it": lambda x: layers.GRU(8, name="memory")(
        x, initial_state=layers.GlobalMaxPooling1D()(conv(8, x))
    ),
    # a Masking layer computes its mask by an operation
    r"any.* \(Any\): it computes each value from all channels": chain(
        layers.Masking(name="gaps"), layers.LSTM(3)
    ),
    r"words \(Embedding\): it reads them as indices": chain(
        layers.GlobalMaxPooling1D(), layers.Embedding(9, 4, name="words")
    ),
    r"look \(MultiHeadAttention\): its output_shape has several sizes": lambda x: (
        layers.MultiHeadAttention(2, 3, output_shape=(2, 4), name="look")(y := conv(8, x), y)
    ),
    r"look \(MultiHeadAttention\): they are a mask": lambda x: layers.MultiHeadAttention(
        2, 3, name="look"
    )(x, x, attention_mask=conv(6, x)),
    r"look \(Attention\): its queries and keys have different numbers": lambda x: layers.Attention(
        score_mode="concat", name="look"
    )([conv(1, x), conv(8, x)]),
    r"mix \(EinsumDense\): its kernel has own values for each channel": chain(
        layers.EinsumDense("abc,c->abc", (6, 8), name="mix")
    ),
    r"mix \(EinsumDense\): it sums over the channels without a kernel": chain(
        layers.EinsumDense("abc,bd->ad", 3, name="mix")
    ),
    r"mix \(EinsumDense\): its kernel does not make the last axis": chain(
        layers.EinsumDense("abc,cd->adb", (4, 6), name="mix")
    ),
    r"mix \(EinsumDense\): its equation is ab\.\.\.,bd->ad\.\.\.; build it": chain(
        layers.EinsumDense("ab...,bd->ad...", 4, name="mix")
    ),
    r"each \(TimeDistributed\): there is no rule for the RandomFlip in it": lambda x: EACH(
        layers.RandomFlip(), name="each"
    )(conv(8, x)),
    r"each \(TimeDistributed\): a model is in it that gets a mask": lambda x: layers.LSTM(3)(
        EACH(keras.Sequential([keras.Input((8,)), layers.Dense(2)]), name="each")(
            conv(8, x), mask=layers.GlobalMaxPooling1D(data_format="channels_first")(x) > 0.8
        )
    ),
    r"steps \(Identity\): its weights or outputs do not have the shapes": chain(
        layers.Permute((2, 1)),
        EACH(keras.Sequential([keras.Input((6,)), layers.ReLU()]), name="steps"),
    ),
    r"each \(TimeDistributed\): its input channels are on the axis of the steps": chain(
        layers.Permute((2, 1)), EACH(layers.ReLU(), name="each")
    ),
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_a_form_that_cannot_be_cut_is_an_error_with_its_name_type_and_reason(message):
    with pytest.raises(ValueError, match=message):
        prune(network(UNSUPPORTED[message], STEPS), 0.5)


def test_a_cell_without_a_rule_is_an_error():
    class Cell(layers.SimpleRNNCell):
        """A cell that may compute something else."""

    with pytest.raises(ValueError, match=r"memory \(RNN\): its cell is a Cell, for which there is"):
        prune(network(lambda x: layers.RNN(Cell(3), name="memory")(conv(8, x)), STEPS), 0.5)


@pytest.mark.parametrize("criterion", ["mean-std", "taylor"])
def test_layers_of_a_model_at_each_step_have_the_scores_of_these_layers_at_each_step(criterion):
    videos, model = keras.Input(VIDEO), pooling()
    together, apart = EACH(model, name="each")(videos), videos
    for layer in model.layers:
        apart = EACH(layer, name=layer.name)(apart)
    shown, labels = np.random.default_rng(0).normal(size=(5, *VIDEO)), np.arange(5) % 3
    head = keras.Sequential([keras.Input((4, 5)), layers.LSTM(4), layers.Dense(3)])
    judged = [
        judge(randomise(keras.Model(videos, head(each))), criterion, images=shown, labels=labels)
        for each in (together, apart)
    ]
    for name in (layer.name for layer in model.layers if isinstance(layer, layers.Conv2D)):
        path = f"each/{model.name}/{name}"
        np.testing.assert_allclose(judged[0][path], judged[1][name], rtol=1e-5)


def test_a_frozen_model_at_each_step_stays_frozen():
    videos, model = keras.Input(VIDEO), pooling()
    model.trainable = False
    x = layers.Dense(2)(layers.LSTM(3)(EACH(model, name="each")(videos)))
    pruned = prune(keras.Model(videos, x), 0.5)
    assert not pruned.get_layer("each").trainable_weights
    assert not pruned.get_layer("each").layer.trainable


def test_a_pruned_network_of_all_these_layers_is_saved_loaded_and_trained(tmp_path):
    videos, x = (keras.Input(shape) for shape in (VIDEO, STEPS))
    each_step = EACH(layers.Flatten())(
        EACH(layers.SpectralNormalization(layers.Conv2D(4, 3)))(videos)
    )
    memory = layers.Bidirectional(layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]))(each_step)
    tokens = layers.EinsumDense("abc,cd->abd", (6, 8))(heads(x, output_shape=8))
    tokens = layers.GRU(3)(layers.Attention()([tokens, conv(8, x), tokens]))
    seen = layers.LSTM(3)(EACH(pooling())(videos))
    outputs = layers.Dense(2)(layers.Concatenate()([memory, tokens, seen]))
    pruned = prune(keras.Model([videos, x], outputs), 0.5)
    pruned.save(tmp_path / "pruned.keras")
    loaded = keras.models.load_model(tmp_path / "pruned.keras")
    batch = [np.random.default_rng(0).normal(size=(2, *shape)) for shape in (VIDEO, STEPS)]
    assert error(predict(loaded, batch), predict(pruned, batch)) < 1e-5
    before = [weight.copy() for weight in loaded.get_weights()]
    loaded.compile("sgd", "mse", run_eagerly=True)  # compiling takes longer
    assert np.isfinite(loaded.train_on_batch(batch, np.ones((2, 2))))
    assert any((a != b).any() for a, b in zip(before, loaded.get_weights(), strict=True))
