"""Kernels of ours and bfloat16: the training of stock Keras, and stock layers after it."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import data
import scnnb
from scnnb import precision, training
from scnnb.backends import fused
from scnnb.leaves import leaves

HOW = {"batch_size": 8, "optimizer": "adam", "learning_rate": 0.001, "augment": False}
SLOW = {"learning_rate": 0.0001}


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    images = rng.random((80, 16, 16, 3), np.float32)
    labels = rng.integers(0, 10, 80).astype(np.int32)
    return SimpleNamespace(train_images=images, train_labels=labels)


def nested():
    """A network that holds another one, a shared and a frozen BatchNormalization and one more."""
    images = keras.Input((16, 16, 3))
    inner = keras.Sequential([keras.Input((16, 16, 4)), layers.BatchNormalization(scale=False)])
    shared = layers.BatchNormalization(momentum=0.8, center=False)
    x = shared(layers.ReLU()(shared(inner(layers.Conv2D(4, 3, padding="same")(images)))))
    frozen = layers.BatchNormalization()
    frozen.trainable = False
    x = layers.Flatten()(layers.MaxPooling2D(4)(frozen(x)))
    x = layers.BatchNormalization()(layers.Dense(12)(x))
    return keras.Model(images, layers.Dense(10, "softmax")(x))


NETWORKS = {"nested": nested} | {
    name: lambda build=build: build((16, 16, 3), 10)
    for name, build in scnnb.NETWORKS.items()
    if name in ("scnnb", "resnet20")
}


def built(name):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    return NETWORKS[name]()


def watching(losses):
    """Callback that lists the loss of every step: Keras tells the mean of an epoch's so far."""
    sums = [0.0]

    def tell(batch, logs):
        sums.append(logs["loss"] * (batch + 1))
        losses.append(sums[-1] - (sums[-2] if batch else 0.0))

    return keras.callbacks.LambdaCallback(on_train_batch_end=tell)


def stock(model, dataset, *, epochs, optimizer, batch_size=8):
    """Keras' own training on the same batches: the second implementation."""
    losses = []
    source = training.batches(
        dataset.train_images,
        dataset.train_labels,
        seed=np.random.randint(2**31),  # as training.train draws it
        batch_size=batch_size,
        epochs=epochs,
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(
        source,
        shuffle=False,
        steps_per_epoch=-(-len(dataset.train_labels) // batch_size),
        epochs=epochs,
        verbose=0,
        callbacks=[watching(losses)],
    )
    return losses


@pytest.mark.parametrize(
    "name", ["nested", "scnnb", pytest.param("resnet20", marks=pytest.mark.slow)]
)
def test_the_first_50_losses_and_the_statistics_are_those_of_stock_keras(dataset, name):
    # Adam makes rounding grow: where a gradient should be 0, as that of a bias that
    # BatchNormalization takes away again, it divides noise by the size of noise. Small steps keep
    # it small; the weights are compared after SGD.
    expected = stock(built(name), dataset, epochs=5, optimizer=keras.optimizers.Adam(0.0001))
    found = []
    training.train(built(name), dataset, **HOW | SLOW, epochs=5, callbacks=[watching(found)])
    assert len(found) == len(expected) == 50
    np.testing.assert_allclose(found[:3], expected[:3], rtol=2e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-2)
    training.train(one := built(name), dataset, **HOW | {"optimizer": "sgd"}, epochs=1)
    stock(other := built(name), dataset, epochs=1, optimizer=training.OPTIMIZERS["sgd"](0.001))
    for weight, same in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-4, atol=1e-5, err_msg=weight.path)


@pytest.mark.slow
def test_final_accuracies_of_three_seeds_agree_with_stock_keras_within_their_spread():
    dataset = data.load(Path(__file__).parent / "fashion_sample.npz")
    found = {"ours": [], "stock": []}
    how = HOW | {"batch_size": 20, "epochs": 12}
    for seed in (0, 1, 2):
        for who, accuracies in found.items():
            keras.utils.set_random_seed(seed)
            model = scnnb.NETWORKS["scnnb"](dataset.image_shape, 10)
            if who == "ours":
                training.train(model, dataset, **how)
            else:
                adam = keras.optimizers.Adam(0.001)
                stock(model, dataset, epochs=12, optimizer=adam, batch_size=20)
            accuracies.append(training.accuracy(model, dataset.test_images, dataset.test_labels))
    means = {who: np.mean(accuracies) for who, accuracies in found.items()}
    spread = max(np.std(accuracies, ddof=1) for accuracies in found.values())
    assert min(means.values()) > 0.7
    assert abs(means["ours"] - means["stock"]) <= spread, found


def test_moving_variance_takes_the_biased_variance_of_the_batch():
    """By hand: 1 and 3 have variance 1, or 2 where the sum is divided by count - 1."""
    images = keras.Input((1, 1, 1))
    norm = layers.BatchNormalization(momentum=0.75)
    model = keras.Model(images, norm(images))
    with fused.fused(model):
        answers = model(np.array([1, 3], np.float32).reshape(2, 1, 1, 1), training=True)
    np.testing.assert_allclose(np.ravel(answers), [-1, 1], atol=1e-3)
    np.testing.assert_allclose(norm.moving_mean, [0.25 * 2])
    np.testing.assert_allclose(norm.moving_variance, [0.75 + 0.25 * 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "dtype", "fuses"),
    [(8, "float32", True), (6, "float32", False), (8, "mixed_bfloat16", False)]
    + [(16, "mixed_bfloat16", True), (16, "bfloat16", False), (16, "float64", False)],
)
def test_only_where_the_kernel_is_quick_it_is_used(channels, dtype, fuses):
    """Measured: 128 maps of 28x28x19 take 18.7 ms in the kernel, 9.9 ms in Keras' operations."""
    images = keras.Input((4, 4, channels))
    norm = layers.BatchNormalization(dtype=dtype)
    model = keras.Model(images, norm(images))
    with fused.fused(model):
        graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(
            tf.TensorSpec((2, 4, 4, channels), tf.float32)
        )
    found = {operation.type for operation in graph.graph.get_operations()}
    assert ("FusedBatchNormV3" in found) == fuses


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_keras_own(dtype):
    values = np.random.default_rng(0).normal(size=(20, 2, 3)).astype(dtype)
    variables = [keras.Variable(values[0], dtype=dtype) for _ in range(2)]
    for variable, make in zip(variables, (fused.FusedAdam, keras.optimizers.Adam), strict=True):
        optimizer = make(0.01)
        optimizer.build([variable])
        for gradient in values[1:]:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    np.testing.assert_allclose(variables[0], variables[1], rtol=1e-5)
    assert np.abs(np.asarray(variables[0]) - values[0]).min() > 0.001


class Stop(BaseException):
    """What no code catches."""


@pytest.mark.parametrize("how", ["float32", "bfloat16"])
def test_the_network_has_its_own_layers_and_float32_weights_whatever_happens(dataset, how):
    model = built("nested")
    before = [(layer, type(layer), layer.dtype_policy) for layer in leaves(model)]
    inside = []

    def look(batch, logs):
        found = leaves(model)
        inside.append(({type(layer) for layer in found}, {x.compute_dtype for x in found}))
        if len(inside) == 12:
            raise Stop

    watch = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    with pytest.raises(Stop):
        training.train(model, dataset, **HOW, epochs=2, precision=how, callbacks=[watch])
    types, dtypes = inside[-1]
    assert fused.FusedBatchNormalization in types
    assert layers.BatchNormalization not in types
    assert dtypes == {"float32", how}
    assert [(x, type(x), x.dtype_policy) for x in leaves(model)] == before
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.layers[-1].output is model.output  # each layer is called where it was


def test_bfloat16_trains_nearly_as_float32_and_the_last_layer_answers_in_it(dataset):
    losses = {}
    for how in ("float32", "bfloat16"):
        found = []
        how_many = HOW | {"epochs": 1, "precision": how}
        training.train(built("nested"), dataset, **how_many, callbacks=[watching(found)])
        losses[how] = np.array(found)
    difference = np.abs(losses["bfloat16"] - losses["float32"])
    assert 0 < difference[0] < 0.05
    model = built("scnnb")
    with precision.computing_in("bfloat16", model):
        assert model(dataset.train_images[:1]).dtype == "float32"
        assert model.get_layer("fc1").compute_dtype == "bfloat16"


def test_layers_of_another_precision_keep_it():
    images = keras.Input((4,))
    x = layers.Dense(2, dtype="float64")(layers.Dense(2)(images))
    model = keras.Model(images, layers.Dense(2)(x))
    with precision.computing_in("bfloat16", model):
        assert [x.compute_dtype for x in model.layers[1:]] == ["bfloat16", "float64", "float32"]
    assert [x.compute_dtype for x in model.layers[1:]] == ["float32", "float64", "float32"]


@pytest.mark.parametrize("told", ["flags\t\t: fpu avx2 avx512f", "Features\t: fp asimd"])
def test_bfloat16_is_refused_where_the_processor_has_no_instructions_for_it(
    tmp_path, monkeypatch, told
):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    precision.check("bfloat16")  # not told
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{told}\nbugs\t: bf16\n")
    precision.check("float32")
    with pytest.raises(ValueError, match="--precision bfloat16 came, but .* leave it out"):
        precision.check("bfloat16")
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{told} avx512_bf16 bf16\n")
    precision.check("bfloat16")


def test_on_a_gpu_nothing_is_fused(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    model = built("scnnb")
    with fused.fused(model):
        assert type(model.get_layer("norm1")) is layers.BatchNormalization
    assert type(training.OPTIMIZERS["adam"](0.1)) is keras.optimizers.Adam
