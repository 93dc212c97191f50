"""Backbones of KerasHub with random weights, pruned. Slow, and only if keras-hub is installed.

It is not in requirements.txt: it needs tensorflow-text, 200 MB for one version of TensorFlow.
"""

import keras
import pytest
from keras import layers

from pruning import prune
from tests import fresh_process
from tests.silenced import error, images_for, kept_filters, predict, randomise, silenced

pytestmark = pytest.mark.slow
RESNET = {
    "input_conv_filters": [16],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 128],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_strides": [1, 2],
}
BACKBONES = {
    "VGG": {"stackwise_num_repeats": [2, 2], "stackwise_num_filters": [16, 32]},
    "ResNet": RESNET | {"block_type": "bottleneck_block"},
    "DenseNet": {"stackwise_num_repeats": [2, 2, 2], "growth_rate": 8},
    "Xception": {
        "stackwise_conv_filters": [[16, 32], [32, 48], [64, 64]],
        "stackwise_pooling": [True, True, False],
        "image_shape": (71, 71, 3),
    },
    "EfficientNet": {
        "stackwise_kernel_sizes": [3, 3, 3],
        "stackwise_num_repeats": [1, 2, 2],
        "stackwise_input_filters": [16, 16, 24],
        "stackwise_output_filters": [16, 24, 32],
        "stackwise_expansion_ratios": [1, 4, 4],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2],
        "stackwise_block_types": ["fused", "unfused", "unfused"],
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
    },
    "MobileNet": {
        "stackwise_expansion": [[40, 56], [64, 144]],
        "stackwise_num_blocks": [2, 2],
        "stackwise_num_filters": [[16, 16], [24, 24]],
        "stackwise_kernel_size": [[3, 3], [5, 5]],
        "stackwise_num_strides": [[2, 1], [2, 1]],
        "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
        "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish"]],
        "stackwise_padding": [[1, 1], [2, 2]],
        "output_num_filters": 64,
        "depthwise_filters": 8,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "last_layer_filter": 64,
        "squeeze_and_excite": 0.5,
    },
}


def expanded(model):
    """As docs/teaching-a-layer.md: the layers inside the blocks of KerasHub in their place."""

    def is_block(layer):
        of_hub = type(layer).__module__.startswith("keras_hub.")
        return of_hub and not isinstance(layer, keras.Model)

    def call(layer, *args, **kwargs):
        return (layer.call if is_block(layer) else layer)(*args, **kwargs)

    while any(map(is_block, model.layers)):
        model = keras.models.clone_model(
            model, clone_function=lambda layer: layer, call_function=call
        )
    return model


@pytest.mark.filterwarnings("ignore")  # of packages that keras-hub imports
@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbone_pruned_by_half_equals_the_silenced_one(name, tmp_path):
    hub = pytest.importorskip("keras_hub", reason="pip install keras-hub")
    settings = {"image_shape": (32, 32, 3)} | BACKBONES[name]
    backbone = getattr(hub.models, f"{name}Backbone")(**settings)
    features = backbone.output
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D()(features)
    model = keras.Model(backbone.input, layers.Dense(4)(features))
    model = randomise(expanded(model))
    images = images_for(model)
    pruned = prune(model, 0.5)
    expected = predict(silenced(model, kept_filters(model, 0.5)), images)
    answers = predict(pruned, images)
    assert error(answers, expected) < 1e-4 < 1e-3 < error(expected, predict(model, images))
    assert pruned.count_params() < 0.5 * model.count_params()
    assert (fresh_process.answers(pruned, images, tmp_path) == answers[0]).all()
