"""What each layer type does to channels: one small rule per type, in a dict.

Every filter of every layer has a number. A tensor is described by the numbers along its channel
axis. A rule is a function of

    call      graph.Call: one call of a layer, with `call.layer`
    incoming  list of Features: the input tensors
    new       function of n that returns n new channel numbers, the same at every call of a layer

It returns a Flow: the output channels, the channels that each axis of each weight holds, and the
channels that are coupled. The library finds groups and cuts networks by these answers alone.
`docs/teaching-a-layer.md` shows how to write a rule for your own layer.
"""

from keras import layers

from pruning.rules import (
    attention,
    convolutions,
    einsum,
    operations,
    products,
    sequences,
    shapes,
    values,
    wrappers,
)
from pruning.rules.flow import (
    ELEMENTWISE,
    Features,
    Filters,
    Flow,
    NotPrunable,
    per_channel,
    same_channels,
)
from pruning.rules.operators import merged

__all__ = [
    "ELEMENTWISE",
    "RULES",
    "Features",
    "Filters",
    "Flow",
    "NotPrunable",
    "merged",
    "per_channel",
    "rule_for",
    "same_channels",
]


def _in_all_dimensions(*names):
    types = [getattr(layers, name.format(d), None) for name in names for d in "123"]
    return [layer_type for layer_type in types if layer_type]  # not all exist in every version


RULES = {
    **dict.fromkeys(_in_all_dimensions("Conv{}D"), convolutions.convolution),
    **dict.fromkeys(_in_all_dimensions("Conv{}DTranspose"), convolutions.transposed_convolution),
    **dict.fromkeys(_in_all_dimensions("DepthwiseConv{}D"), convolutions.depthwise_convolution),
    **dict.fromkeys(_in_all_dimensions("SeparableConv{}D"), convolutions.separable_convolution),
    layers.Dense: convolutions.dense,
    layers.EinsumDense: einsum.einsum_dense,
    layers.Embedding: sequences.embedding,
    **dict.fromkeys(
        [layers.LSTM, layers.GRU, layers.SimpleRNN, layers.RNN, layers.Bidirectional],
        sequences.recurrent,
    ),
    **dict.fromkeys(_in_all_dimensions("ConvLSTM{}D"), sequences.recurrent),
    layers.MultiHeadAttention: attention.multi_head_attention,
    layers.GroupQueryAttention: attention.grouped_query_attention,
    layers.Attention: attention.attention,
    layers.AdditiveAttention: attention.attention,
    layers.Dot: products.product,
    layers.TimeDistributed: wrappers.time_distributed,
    layers.SpectralNormalization: wrappers.spectral_normalization,
    layers.BatchNormalization: values.batch_normalization,
    layers.LayerNormalization: values.mixing_normalization,
    layers.RMSNormalization: values.mixing_normalization,
    layers.GroupNormalization: values.group_normalization,
    layers.UnitNormalization: values.mixing_normalization,
    layers.Masking: sequences.masking,
    layers.Normalization: values.fixed_normalization,
    layers.Rescaling: values.rescaling,
    layers.Activation: values.activation,
    layers.Lambda: values.function_of_a_lambda,
    layers.Softmax: values.softmax,
    layers.PReLU: values.parametric_relu,
    layers.ReLU: same_channels,
    layers.LeakyReLU: same_channels,
    layers.ELU: same_channels,
    layers.Identity: same_channels,
    layers.ActivityRegularization: same_channels,
    layers.Dropout: values.dropout,
    layers.AlphaDropout: values.dropout,
    layers.GaussianDropout: same_channels,
    layers.GaussianNoise: same_channels,
    **dict.fromkeys(
        _in_all_dimensions(
            "SpatialDropout{}D",
            "MaxPooling{}D",
            "AveragePooling{}D",
            "AdaptiveMaxPooling{}D",
            "AdaptiveAveragePooling{}D",
            "GlobalMaxPooling{}D",
            "GlobalAveragePooling{}D",
            "ZeroPadding{}D",
            "Cropping{}D",
            "UpSampling{}D",
        ),
        shapes.within_channels,
    ),
    layers.RepeatVector: shapes.within_channels,
    layers.Resizing: shapes.within_channels,
    layers.CenterCrop: shapes.within_channels,
    layers.Flatten: shapes.flatten,
    layers.Reshape: shapes.reshape,
    layers.Permute: shapes.permute,
    layers.Concatenate: shapes.concatenate,
    layers.Add: merged,
    layers.Subtract: merged,
    layers.Multiply: merged,
    layers.Average: merged,
    layers.Maximum: merged,
    layers.Minimum: merged,
}
_UNEXPORTED = {  # class name of types of Keras that have no public name: plain operations, and
    # layers of keras.applications
    **operations.BY_NAME,
    "LayerScale": values.layer_scale,
    "CustomScaleLayer": merged,  # InceptionResNetV2: x + scale * y
}


def rule_for(layer):
    """The rule of the layer's exact type, or None. A subclass may compute something else."""
    if type(layer) in RULES:
        return RULES[type(layer)]
    if type(layer).__module__.startswith("keras."):
        return _UNEXPORTED.get(type(layer).__name__)
    return None
