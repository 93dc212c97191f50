"""What a network ends in: probabilities or logits, of all classes or of one."""

import contextlib
from dataclasses import dataclass

import keras
import numpy as np
from keras import activations, layers

ACCEPTED = (
    "class probabilities by softmax, logits by a layer without activation, or for two classes one "
    "output by sigmoid or by a layer without activation"
)
SMALLEST = 1e-37  # probability; smaller numbers of float32 have fewer digits


def _unchanged(values, mask=None):
    return values


_NAMES = {
    activations.softmax: "softmax",
    keras.ops.softmax: "softmax",
    activations.sigmoid: "sigmoid",
    keras.ops.sigmoid: "sigmoid",
    activations.linear: "",
    _unchanged: "",  # inside `in_logits`
    None: "",
}
_SAME_VALUES = (layers.Flatten, layers.Reshape, layers.Identity, layers.Dropout)
_ACTIVATIONS = (layers.Activation, layers.Softmax)
_POOLING = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.AveragePooling2D)


@dataclass(frozen=True)
class Ending:
    """What the outputs of a network are.

    Attributes:
        outputs: their number: one for each class, or 1 if there are two classes.
        logits: whether they are logits; if not, they are probabilities. A single output is that of
            class 1.
    """

    outputs: int
    logits: bool

    def classes(self, outputs):
        """The predicted classes, integer array (n,), of outputs, float array (n, outputs)."""
        if self.outputs > 1:
            return outputs.argmax(axis=-1)
        return (outputs[:, 0] > (0.0 if self.logits else 0.5)).astype(int)

    def as_logits(self, outputs):
        """Logits of the same probabilities as outputs, float array (n, outputs).

        Of several classes, logarithms of probabilities are logits, too.
        """
        return outputs if self.logits else np.log(np.maximum(outputs, SMALLEST))

    def possible(self, outputs):
        """Whether a network with this ending can return the outputs, float array (n, outputs)."""
        if self.logits:
            return bool(np.isfinite(outputs).all())
        sums = outputs.sum(axis=-1) if self.outputs > 1 else 1.0
        return bool(outputs.min() >= 0 and outputs.max() < 1.01 and np.all(abs(sums - 1) < 0.01))


def of(model):
    """The Ending of a network, by its last operation.

    If nothing is known of the last operation, several outputs are taken as probabilities.

    Args:
        model: built Keras model with one output (n, outputs). The last one of nested models counts.

    Raises:
        ValueError: the network ends in something else than `ACCEPTED`.
    """
    _, activation = _last(model)
    outputs = model.outputs[0].shape[-1]
    if (outputs == 1 and activation not in ("", "sigmoid")) or (
        outputs > 1 and activation == "sigmoid"
    ):
        raise ValueError(f"expected {ACCEPTED}, got {_described(model)}")
    return Ending(outputs, activation == "")


def check(model, outputs):
    """Check that the network ends in what its last operation says.

    Args:
        model: as `of` takes it.
        outputs: float array (n, outputs), the answers to some images.

    Raises:
        ValueError: as `of`, or the outputs are not such.
    """
    if not of(model).possible(outputs):
        values = f"from {outputs.min():.3g} to {outputs.max():.3g}"
        raise ValueError(f"expected {ACCEPTED}, got {_described(model)}, {values}")


@contextlib.contextmanager
def in_logits(model):
    """Inside the `with`, a network that ends in softmax or sigmoid returns logits; after it, not.

    A training needs the logits: a probability of almost 1 is 1 in float32, and the gradient of
    sigmoid is 0 there. Trace graphs inside the `with`. Other networks are not changed.

    Args:
        model: built Keras model.
    """
    last, activation = _last(model)
    if not activation:
        yield
        return
    usual = getattr(last, "activation", None)
    try:
        setattr(last, "activation" if usual else "call", _unchanged)
        yield
    finally:
        if usual:
            last.activation = usual
        else:
            del last.call  # that of the class is found again


def _last(model):
    """The last operation that changes values, and the name of its activation function.

    The name is "" for none, and None if the operation is not known.
    """
    last, pooled = None, False
    for last in reversed([*_operations(model)]):
        activation = _activation(last)
        pooled = pooled or isinstance(last, _POOLING)
        only_activation = isinstance(last, _ACTIVATIONS) or not isinstance(last, keras.Layer)
        if isinstance(last, _SAME_VALUES + _POOLING) or (activation == "" and only_activation):
            continue
        return last, None if pooled and activation else activation
    return last, None


def _operations(model):
    """Layers and plain operations of a model and of its nested models, in order."""
    for each in getattr(model, "operations", model.layers):
        yield from _operations(each) if hasattr(each, "layers") else [each]


def _activation(operation):
    if operation.call is _unchanged:
        return ""
    if isinstance(operation, layers.Softmax):
        return "softmax"
    if isinstance(operation, keras.Layer):
        return _NAMES.get(getattr(operation, "activation", "not known"))
    # a plain operation has no public class: keras.ops.softmax gives one of class Softmax
    name = type(operation).__name__.lower()
    return name if name in ("softmax", "sigmoid") else None


def _described(model):
    last, _ = _last(model)
    function = getattr(getattr(last, "activation", None), "__name__", "")
    kind = type(last).__name__ + (f", activation {function}" if function else "")
    count = model.outputs[0].shape[-1]
    return f"{count} output{'s' if count > 1 else ''} of {last.name} ({kind})"
