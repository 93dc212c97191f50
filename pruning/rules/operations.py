"""The rules of plain operations of Keras, by class name: Keras exports no name for their types."""

from pruning.rules import axes, products, shapes, slices, values
from pruning.rules.flow import ELEMENTWISE_NAMES, same_channels
from pruning.rules.operators import merged


def _named(names, rule):
    return dict.fromkeys(names.split(), rule)


ELEMENTWISE_OPERATIONS = [
    *("".join(map(str.capitalize, name.split("_"))) for name in ELEMENTWISE_NAMES),
    *"Absolute Abs Fabs Negative Square Sqrt Cbrt Rsqrt Reciprocal Exp Exp2 Expm1".split(),
    *"Log Log1p Log2 Log10 Sin Cos Tan Sinh Cosh Arcsin Arccos Arctan Arcsinh Arccosh".split(),
    *"Arctanh Floor Ceil Trunc Round Sign Signbit Sinc Erf Erfc Erfinv Isfinite Isinf".split(),
    *"Isnan LogicalNot NanToNum Threshold Cast SaturateCast Copy StopGradient ReLU".split(),
    *"OnesLike ZerosLike".split(),
]
BY_NAME = {
    **dict.fromkeys(ELEMENTWISE_OPERATIONS, same_channels),
    **_named("Add Subtract Multiply Divide TrueDivide DivideNoNan FloorDivide Mod Fmod", merged),
    **_named("Power Maximum Minimum Fmax Fmin Arctan2 Hypot Logaddexp Where", merged),
    **_named("Greater GreaterEqual Less LessEqual Equal NotEqual", merged),
    **_named("LogicalAnd LogicalOr LogicalXor", merged),
    "Clip": values.clip,
    **_named("Mean Sum Max Min Amax Amin Var Std Prod Median Logsumexp Norm", axes.reduction),
    **_named("All Any CountNonzero Argmax Argmin Average", axes.reduction),
    **_named("Softmax LogSoftmax Sparsemax Normalize Cumsum Cumprod Sort Roll", axes.along_axes),
    "Flip": axes.flip,
    "Tile": axes.tile,
    "Repeat": axes.repeat,
    "Transpose": axes.transpose,
    "Swapaxes": axes.swapaxes,
    "Moveaxis": axes.moveaxis,
    "ExpandDims": axes.expand_dims,
    "Squeeze": axes.squeeze,
    "Stack": axes.stack,
    "Reshape": shapes.reshape,
    "Concatenate": shapes.concatenate,
    "Pad": shapes.pad,
    "DepthToSpace": shapes.depth_to_space,
    "SpaceToDepth": shapes.space_to_depth,
    **_named("MaxPool AveragePool AdaptiveMaxPool AdaptiveAveragePool", shapes.within_channels),
    **_named("Resize PadImages CropImages", shapes.within_channels),
    **_named("Matmul Dot Einsum", products.product),
    "GetItem": slices.get_item,
    "Split": slices.split,
    "Unstack": slices.unstack,
    "Take": slices.take,
}
