"""All 40 architectures of keras.applications, pruned."""

import keras
import numpy as np
import pytest

from tests import applications, fresh_process
from tests.silenced import images_for, predict

NOT_PRUNED = dict.fromkeys(
    ["MobileNet", "MobileNetV3Large", "MobileNetV3Small"], 1
)  # the classifier
FAST = ("MobileNetV2",)


def _slow_unless_fast(name):
    return pytest.param(name, marks=() if name in FAST else pytest.mark.slow)


def test_keras_has_40_architectures():
    assert len(applications.NAMES) == 40


@pytest.mark.parametrize("name", [_slow_unless_fast(name) for name in applications.NAMES])
def test_an_architecture_pruned_by_half_equals_the_silenced_network(name):
    pruned, row = applications.prove(name)
    assert float(row["relative_error"]) < 1e-4
    assert float(row["effect"]) > 1e-3
    assert float(row["relative_error"]) < 0.01 * float(row["response"])
    if name.startswith("ConvNeXt"):  # LayerNormalization reads all filters outside of the blocks
        blocks = sum("pointwise_conv_1" in layer.name for layer in pruned.layers)
        assert row["convolutions"] - row["not_pruned"] == blocks
    else:
        assert row["not_pruned"] == NOT_PRUNED.get(name, 0)
    assert row["pruned_parameters"] < 0.65 * row["parameters"]
    keras.utils.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("name", applications.NAMES)
def test_a_pruned_architecture_trains_and_loads_in_a_process_that_knows_only_keras(name, tmp_path):
    pruned = applications.prune(applications.build(name), applications.RATIO)
    images = images_for(pruned, n=2)
    before = predict(pruned, images)[0]
    small_step = keras.optimizers.SGD(0.001, clipnorm=1)  # random weights have huge gradients
    pruned.compile(small_step, "mse", run_eagerly=True)
    pruned.fit(images, np.zeros((2, 10)), batch_size=2, verbose=0)
    after = predict(pruned, images)[0]
    assert np.isfinite(after).all()
    assert (after != before).any()
    np.testing.assert_array_equal(fresh_process.answers(pruned, images, tmp_path), after)
    keras.utils.clear_session()
