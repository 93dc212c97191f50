"""scnnb/backends/fused.py and precision.py: the results of Keras, with Keras' layers afterwards."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import data
import scnnb
from scnnb import precision, schedules, training
from scnnb.backends import fused
from scnnb.leaves import leaves
from scnnb.validation import Validation

OPTIONS = {"batch_size": 8, "optimizer": "adam", "learning_rate": 0.001, "augment": ""}
SLOW = {"learning_rate": 0.0001}


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    images = rng.random((80, 16, 16, 3), np.float32)
    labels = rng.integers(0, 10, 80).astype(np.int32)
    return SimpleNamespace(train_images=images, train_labels=labels)


def nested():
    """A network with BatchNormalization that is nested, shared, frozen and on vectors."""
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
    """Callback that appends the loss of every step; Keras logs the mean of the epoch so far."""
    sums = [0.0]

    def append(batch, logs):
        sums.append(logs["loss"] * (batch + 1))
        losses.append(sums[-1] - (sums[-2] if batch else 0.0))

    return keras.callbacks.LambdaCallback(on_train_batch_end=append)


def stock(model, dataset, *, epochs, optimizer, batch_size=8):
    """The losses of Keras' own training on the same batches, to compare with."""
    losses = []
    source = training.batches(
        dataset.train_images,
        dataset.train_labels,
        seed=np.random.randint(2**31),  # the same number as in training.train
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
    "name", ["nested", *(pytest.param(n, marks=pytest.mark.slow) for n in ("scnnb", "resnet20"))]
)
def test_the_first_50_losses_and_the_statistics_are_those_of_keras(dataset, name):
    # Adam makes rounding errors larger: if a gradient should be 0, as that of a bias before
    # BatchNormalization, it divides noise by the size of the noise. A low learning rate keeps the
    # errors small. The weights are compared after three steps of SGD: a few steps later, an error
    # has changed the sign of an input of a ReLU, and deep networks part.
    expected = stock(built(name), dataset, epochs=5, optimizer=keras.optimizers.Adam(0.0001))
    losses = []
    training.train(built(name), dataset, **OPTIONS | SLOW, epochs=5, callbacks=[watching(losses)])
    assert len(losses) == len(expected) == 50
    np.testing.assert_allclose(losses[:3], expected[:3], rtol=2e-5)
    np.testing.assert_allclose(losses, expected, rtol=1e-2)
    few = SimpleNamespace(**{key: values[:24] for key, values in vars(dataset).items()})
    sgd = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-6}
    training.train(one := built(name), few, **OPTIONS | sgd, epochs=1)
    same = keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=5e-6)
    stock(other := built(name), few, epochs=1, optimizer=same)
    for weight, same in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(weight, same, rtol=1e-4, atol=1e-5, err_msg=weight.path)


@pytest.mark.slow
def test_mean_accuracies_of_three_seeds_differ_from_those_of_keras_by_less_than_their_spread():
    dataset = data.load(Path(__file__).parent / "fashion_sample.npz")
    results = {"ours": [], "stock": []}
    options = OPTIONS | {"batch_size": 20, "epochs": 12}
    for seed in (0, 1, 2):
        for who, accuracies in results.items():
            keras.utils.set_random_seed(seed)
            model = scnnb.NETWORKS["scnnb"](dataset.image_shape, 10)
            if who == "ours":
                training.train(model, dataset, **options)
            else:
                adam = keras.optimizers.Adam(0.001)
                stock(model, dataset, epochs=12, optimizer=adam, batch_size=20)
            accuracies.append(training.accuracy(model, dataset.test_images, dataset.test_labels))
    means = {who: np.mean(accuracies) for who, accuracies in results.items()}
    spread = max(np.std(accuracies, ddof=1) for accuracies in results.values())
    assert min(means.values()) > 0.7
    assert abs(means["ours"] - means["stock"]) <= spread, results


def test_moving_variance_takes_the_biased_variance_of_the_batch():
    """By hand: 1 and 3 have variance 1, or 2 if the sum is divided by count - 1."""
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
    [(8, "float32", True), (6, "float32", True), (8, "mixed_bfloat16", True)]
    + [(16, "bfloat16", False), (16, "float64", False)],
)
def test_the_kernel_is_used_for_variables_in_float32(channels, dtype, fuses):
    images = keras.Input((4, 4, channels))
    norm = layers.BatchNormalization(dtype=dtype)
    model = keras.Model(images, norm(images))
    with fused.fused(model):
        graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(
            tf.TensorSpec((2, 4, 4, channels), tf.float32)
        )
    operations = {operation.type for operation in graph.graph.get_operations()}
    assert ("FusedBatchNormV3" in operations) == fuses


@pytest.mark.parametrize(
    ("channels", "dtype", "tolerance"), [(6, "float32", 1e-5), (19, "mixed_bfloat16", 0.03)]
)
def test_numbers_of_channels_that_the_kernel_is_slow_for_get_the_values_of_keras(
    channels, dtype, tolerance
):
    rng = np.random.default_rng(0)
    values, given = (rng.normal(1, 2, (4, 5, 5, channels)).astype("float32") for _ in range(2))
    found = []
    for way in (fused.fused, lambda model: contextlib.nullcontext()):
        keras.utils.set_random_seed(0)
        images = keras.Input((None, None, channels))
        norm = layers.BatchNormalization(
            dtype=dtype, gamma_initializer="random_normal", beta_initializer="random_normal"
        )
        model, maps = keras.Model(images, norm(images)), tf.constant(values)
        with way(model), tf.GradientTape() as tape:
            tape.watch(maps)
            answers = tf.cast(model(maps, training=True), tf.float32)
        sources = [maps, norm.gamma.value, norm.beta.value]
        gradients = tape.gradient(answers, sources, output_gradients=tf.constant(given))
        found.append([answers, *gradients, norm.moving_mean.value, norm.moving_variance.value])
    for ours, keras_values in zip(*found, strict=True):
        scale = np.abs(keras_values).max()
        np.testing.assert_allclose(ours / scale, keras_values / scale, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fused_adam_changes_a_variable_as_keras_adam_does(dtype):
    values = np.random.default_rng(0).normal(size=(20, 2, 3)).astype(dtype)
    variables = [keras.Variable(values[0], dtype=dtype) for _ in range(2)]
    for variable, make in zip(variables, (fused.FusedAdam, keras.optimizers.Adam), strict=True):
        optimizer = make(0.01)
        optimizer.build([variable])
        for gradient in values[1:]:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)])
    np.testing.assert_allclose(variables[0], variables[1], rtol=1e-5)
    assert np.abs(np.asarray(variables[0]) - values[0]).min() > 0.001


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fused_adam_of_16_bits_takes_nearly_the_steps_of_float32(dtype):
    """In 16 bits 0.999 is 1 or nearly so: the kernel would divide by almost 0."""
    gradients = np.random.default_rng(0).normal(size=(20, 2, 3)).astype("float32")
    ended = []
    for kind in (dtype, "float32"):
        variable = keras.Variable(np.zeros((2, 3)), dtype=kind)
        optimizer = fused.FusedAdam(0.01)
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([keras.ops.cast(gradient, kind)])
        ended.append(keras.ops.convert_to_numpy(variable).astype("float32"))
    np.testing.assert_allclose(*ended, atol=0.01)
    assert np.abs(ended[1]).max() > 0.05


class Stop(BaseException):
    """An exception that no code catches."""


@pytest.mark.parametrize("policy", ["float32", "bfloat16"])
@pytest.mark.usefixtures("eager")
def test_an_interrupted_training_leaves_keras_layers_and_float32_weights(dataset, policy):
    model = built("nested")
    before = [(layer, type(layer), layer.dtype_policy) for layer in leaves(model)]
    inside = []

    def look(batch, logs):
        parts = leaves(model)
        inside.append(({type(layer) for layer in parts}, {x.compute_dtype for x in parts}))
        if len(inside) == 12:
            raise Stop

    watch = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    with pytest.raises(Stop):
        training.train(model, dataset, **OPTIONS, epochs=2, precision=policy, callbacks=[watch])
    types, dtypes = inside[-1]
    assert fused.FusedBatchNormalization in types
    assert layers.BatchNormalization not in types
    assert dtypes == {"float32", policy}
    assert [(x, type(x), x.dtype_policy) for x in leaves(model)] == before
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.layers[-1].output is model.output  # the graph of layers is the same


@pytest.mark.usefixtures("eager")
def test_losses_in_bfloat16_are_close_to_float32_and_the_last_layer_is_in_float32(dataset):
    losses = {}
    for policy in ("float32", "bfloat16"):
        of_steps = []
        options = OPTIONS | {"epochs": 1, "precision": policy}
        training.train(built("nested"), dataset, **options, callbacks=[watching(of_steps)])
        losses[policy] = np.array(of_steps)
    difference = np.abs(losses["bfloat16"] - losses["float32"])
    assert 0 < difference[0] < 0.05
    model = built("scnnb")
    with precision.computing_in("bfloat16", model):
        assert model(dataset.train_images[:1]).dtype == "float32"
        assert model.get_layer("fc1").compute_dtype == "bfloat16"


def test_validation_is_measured_in_float32_while_the_layers_are_trained_in_bfloat16():
    model, seen = built("nested"), []

    def policies():
        seen.append({layer.dtype_policy.name for layer in leaves(model)})
        return 0.5

    with precision.computing_in("bfloat16", model) as lowered:
        logs = {}
        Validation(lambda: policies, lowered).on_epoch_end(0, logs)
        policies()
    assert seen == [{"float32"}, {"float32", "mixed_bfloat16"}]  # the last layer is in float32
    assert logs == {"validation_accuracy": 0.5}


def test_layers_in_another_precision_than_float32_are_not_changed():
    images = keras.Input((4,))
    x = layers.Dense(2, dtype="float64")(layers.Dense(2)(images))
    model = keras.Model(images, layers.Dense(2)(x))
    with precision.computing_in("bfloat16", model):
        assert [x.compute_dtype for x in model.layers[1:]] == ["bfloat16", "float64", "float32"]
    assert [x.compute_dtype for x in model.layers[1:]] == ["float32", "float64", "float32"]


@pytest.mark.parametrize("flags", ["flags\t\t: fpu avx2 avx512f", "Features\t: fp asimd"])
def test_bfloat16_is_an_error_if_the_processor_has_no_instructions_for_it(
    tmp_path, monkeypatch, flags
):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    precision.check("bfloat16")  # accepted, because there is no file of flags
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\nbugs\t: bf16\n")
    precision.check("float32")
    with pytest.raises(ValueError, match="--precision: expected float32 .* got bfloat16; it has"):
        precision.check("bfloat16")
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags} avx512_bf16 bf16\n")
    precision.check("bfloat16")


def test_on_a_gpu_nothing_is_fused(monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    model = built("scnnb")
    with fused.fused(model):
        assert type(model.get_layer("norm1")) is layers.BatchNormalization
    assert type(training.OPTIMIZERS["adam"](0.1, None, 0.0, False)) is keras.optimizers.Adam


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
@pytest.mark.parametrize("decay", [None, 0.1])
def test_fused_adam_changes_weights_as_keras_does_with_schedule_and_weight_decay(schedule, decay):
    gradients = np.random.default_rng(0).normal(size=(6, 3, 4)).astype("float32")
    ended = []
    for optimizer in (fused.FusedAdam, keras.optimizers.Adam):
        weight = keras.Variable(np.arange(12, dtype="float32").reshape(3, 4))
        rate = schedules.learning_rate(schedule, 0.5, steps=6, warmup_steps=2)
        adam = optimizer(rate, weight_decay=decay)
        adam.build([weight])
        for gradient in gradients:
            adam.apply([tf.constant(gradient)], [weight])
        ended.append(weight.numpy())
    np.testing.assert_allclose(*ended, rtol=1e-5, atol=1e-5)
    assert abs(ended[0] - np.arange(12).reshape(3, 4)).max() > 1
