"""A network for a device: in float32, without layers that only training uses."""

import math

import keras
import numpy as np
from keras import layers

from pruning import graph

OTHER_FLOATS = {"float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"}
_NAMES = (  # layers that return their input at inference; RandomCrop does not
    "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout1D "
    "SpatialDropout2D SpatialDropout3D AugMix CutMix MixUp RandAugment RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomElasticTransform RandomErasing "
    "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective "
    "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
    "RandomTranslation RandomZoom"
)
# not all exist in every version of Keras
TRAINING_ONLY = [getattr(layers, name) for name in _NAMES.split() if hasattr(layers, name)]


def for_inference(model):
    """The same network for inference, in float32, without the layers of `TRAINING_ONLY`.

    A layer of another float type is copied in float32 with the same weights. Normalization of the
    last axis becomes Rescaling: it keeps its numbers in tensors that are no weights, which a
    converter to ONNX takes for inputs of the network. Inputs and outputs are
    in the order of `model.inputs` and `model.outputs`, even if the model has dicts.

    Args:
        model: built Functional or Sequential Keras model. It is not changed.

    Returns:
        Functional model. It shares all layers with the given model if no layer has to change.

    Raises:
        ValueError: a layer cannot be copied, or the model is not built.
        TypeError: the model is a subclassed model, whose layers cannot be listed.
    """
    model = graph.functional(model)
    if any(map(_changes, graph.layers(model))):
        copies = {}  # id of the model's layer: (the layer, its copy)
        model = _copied(model, copies)
        for layer, copy in copies.values():
            if isinstance(layer, keras.Layer) and not graph.nested(layer):
                _hand_over(layer, copy)
    return graph.flat(model)


def _changes(layer):
    if isinstance(layer, layers.InputLayer):
        return layer.output.dtype in OTHER_FLOATS
    return (
        type(layer) in TRAINING_ONLY
        or layer.dtype_policy.name in OTHER_FLOATS
        or _normalizes_channels(layer)
    )


def _normalizes_channels(layer):
    if type(layer) is not layers.Normalization:
        return False
    shape = layer.mean.shape
    return math.prod(shape) == shape[-1]


def _copied(model, copies):
    def copy(layer):
        if id(layer) not in copies:
            if graph.model_of_each_step(layer):
                new = layers.TimeDistributed(copy(layer.layer), name=layer.name, dtype="float32")
            else:
                make = _copied_model if graph.is_functional(layer) else _copied_layer
                new = make(layer, copies)
            copies[id(layer)] = layer, new
        return copies[id(layer)][1]

    inputs = [
        keras.Input(
            batch_shape=symbol.shape,
            dtype="float32" if symbol.dtype in OTHER_FLOATS else symbol.dtype,
            name=symbol.name,
        )
        for symbol in model.inputs
    ]
    return keras.models.clone_model(
        model,
        input_tensors=keras.tree.pack_sequence_as(model.input, inputs),
        clone_function=copy,
        call_function=_call,
    )


def _copied_model(model, copies):
    return _copied(graph.functional(model), copies)


def _copied_layer(layer, copies):
    if _normalizes_channels(layer):
        return _as_rescaling(layer)
    # the user built this Lambda in this process, so its code is safe to run
    options = {"safe_mode": False} if isinstance(layer, layers.Lambda) else {}
    try:
        return type(layer).from_config(_in_float32(layer.get_config()), **options)
    except Exception as error:  # the layer of a user may raise anything
        raise ValueError(
            f"{layer.name} ({type(layer).__name__}): it cannot be copied: {error}"
        ) from error


def _as_rescaling(layer):
    """The Rescaling that computes what Normalization of the last axis does."""
    mean, variance = (
        keras.ops.convert_to_numpy(keras.ops.cast(values, "float32")).reshape(-1)
        for values in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return layers.Rescaling(scale.tolist(), offset.tolist(), name=layer.name)


def _call(layer, *args, **kwargs):
    if type(layer) not in TRAINING_ONLY:
        return layer(*args, **kwargs)
    given = [*args, *kwargs.values()][0]
    return keras.tree.map_structure(_as_float, given)


def _as_float(symbol):
    return symbol if "float" in symbol.dtype else keras.ops.cast(symbol, "float32")


def _in_float32(config):
    """The config with float32 in place of every other float type."""
    if isinstance(config, list):
        return [_in_float32(each) for each in config]
    if not isinstance(config, dict):
        return config
    return {
        key: "float32" if key == "dtype" and _name(value) in OTHER_FLOATS else _in_float32(value)
        for key, value in config.items()
    }


def _name(dtype):
    """The name of a type, or of the dtype policy in a config."""
    return dtype["config"].get("name") if isinstance(dtype, dict) else dtype


def _hand_over(layer, copy):
    if type(copy) is not type(layer):  # Rescaling has no weights
        return
    for weight, new in zip(layer.weights, copy.weights, strict=True):
        new.assign(keras.ops.cast(weight, new.dtype))
    if hasattr(copy, "finalize_state"):  # preprocessing layers compute with a copy of the weights
        copy.finalize_state()
