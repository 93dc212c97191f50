"""Copy a layer by its config, and check that the copy computes the same."""

import inspect
import warnings

import keras
import numpy as np

from pruning import graph
from pruning.rules.flow import as_array

_RANDOM = (  # initializers
    keras.initializers.VarianceScaling,  # Glorot's, He's and LeCun's are of this kind
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
    keras.initializers.Orthogonal,
)
_WITH_STATE = (keras.Layer, keras.random.SeedGenerator)  # a copy must not share these
OPEN_SIZE = 8  # used for a size that is not fixed, when a layer is compared to its copy


def copied(layer, changes):
    """A layer with the same config and the given changes; its weights are not built.

    The copy uses the same function objects, such as an activation or a regularizer that the user
    wrote. They are not stored as text, because text loses the variables that a function reads from
    its surroundings. If a layer does not change and has no usable config, its attributes are
    copied.

    Args:
        layer: Keras layer or operation.
        changes: dict of config values that differ in the copy.

    Raises:
        ValueError: the layer cannot be created from its config.
    """
    try:
        return _from_config(layer, changes)
    except Exception as error:  # the layer of a user may raise anything
        parts = keras.tree.flatten(list(vars(layer).values()))
        if changes or not _is_foreign(layer) or any(isinstance(p, _WITH_STATE) for p in parts):
            reason = str(error).rpartition("Exception encountered: ")[2]  # what follows the config
            raise ValueError(" ".join(reason.strip().partition("\n\n")[0].split())) from error
        return _as_object(layer)


class Recalled:
    """A plain operation whose calls get other constants, such as `x + array` with fewer values.

    Args:
        operation: Keras operation.
        constants: list of what takes the place of the constants, in their order.
    """

    def __init__(self, operation, constants):  # noqa: D107
        self.name, self.operation, self.constants = operation.name, operation, constants

    def __call__(self, *args, **kwargs):
        """The outputs of the operation."""
        constants = iter(self.constants)
        args, kwargs = keras.tree.map_structure(
            lambda a: a if isinstance(a, keras.KerasTensor) else next(constants), (args, kwargs)
        )
        return self.operation(*args, **kwargs)


def _from_config(layer, changes):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config = layer.get_config() | changes
    if type(layer) is keras.layers.Lambda:
        if isinstance(config.get("output_shape"), dict):  # from a function; Keras computes it again
            del config["output_shape"]
        live = {name: getattr(layer, name) for name in ("function", "mask", "arguments")}
        return type(layer)(**config | live | {"dtype": layer.dtype_policy})
    if not _is_foreign(layer):
        config |= {name: own for name in config if _is_function(own := getattr(layer, name, None))}
    inside = {type(part).__name__: type(part) for part in _foreign_parts(layer)}
    taken = _taken(layer, config)
    with keras.saving.custom_object_scope(inside):  # a wrapper finds its layer's class by name
        new = type(layer).from_config(taken)
    if "dtype" in config and "dtype" not in taken:
        new.dtype_policy = layer.dtype_policy
    new.name = layer.name  # the config that Keras derives for a layer without one lacks the name
    return new


def _taken(layer, config):
    """The config without what Keras adds for every layer, if `__init__` does not take that."""
    parameters = inspect.signature(type(layer)).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters) or not _is_foreign(layer):
        return config
    names = {each.name for each in parameters}
    added = {"name", "trainable", "dtype"} - names
    return {name: value for name, value in config.items() if name not in added}


def _as_object(layer):
    """A layer with the same attributes; its weights are created when it is built."""
    new = type(layer).__new__(type(layer))
    keras.Layer.__init__(new, name=layer.name, trainable=layer.trainable, dtype=layer.dtype_policy)
    new.supports_masking = layer.supports_masking
    for name, value in vars(layer).items():
        is_weight = any(isinstance(part, keras.Variable) for part in keras.tree.flatten(value))
        if (
            name not in vars(new) and not is_weight and not name.startswith("_self_")
        ):  # TensorFlow's
            setattr(new, name, value)
    return new


def without_drawing(layer):
    """Replace the random initializers of a layer that is not built yet by zeros.

    The weights of a copy are replaced anyway, and to draw them takes long. A layer that is not
    Keras' own is left unchanged: it may draw what is no weight.

    Returns:
        `{attribute: initializer}`. Give them back to the layer after it is built.
    """
    if _is_foreign(layer):
        return {}
    random = {name: value for name, value in vars(layer).items() if isinstance(value, _RANDOM)}
    random = {name: value for name, value in random.items() if not _is_foreign(value)}
    for name in random:
        setattr(layer, name, keras.initializers.Zeros())
    return random


def check(calls):
    """Raise ValueError if the copy of a layer that is not Keras' own computes something else.

    The config of such a layer may lack something it needs, and Keras does not notice that. So each
    layer and a copy with the same weights are called on the same random values. A layer is not
    compared if it does not accept random values, or if two calls give different results.

    Args:
        calls: list of graph.Call; the first call of each layer is compared. The layers are called,
            and their state is restored.
    """
    for call in {id(call.layer): call for call in reversed(calls)}.values():
        if graph.is_functional(call.layer):  # the layers inside it are in `calls`, too
            continue
        if _is_foreign(call.layer) or _foreign_parts(call.layer):
            _check(call)


def _check(call):
    rng = np.random.default_rng(0)
    try:
        args, kwargs = keras.tree.map_structure(lambda a: _values(a, rng), call.arguments)
        expected, again = (_outputs(call.layer, args, kwargs) for _ in range(2))
    except Exception:  # the layer of a user may raise anything
        return
    if not _same(expected, again):
        return
    try:
        other = copied(call.layer, {})
        other(*args, **kwargs)  # builds it
        pairs = zip(*(getattr(each, "variables", ()) for each in (call.layer, other)), strict=True)
        for own, new in pairs:
            new.assign(as_array(own))
        outputs = _outputs(other, args, kwargs)
    except Exception as error:
        raise ValueError(f"{call}: it cannot be copied: {error}") from error
    if not _same(expected, outputs):
        raise ValueError(
            f"{call}: it cannot be copied: a copy from its get_config() computes something else; "
            "return everything that it computes with from get_config()"
        )


def _outputs(layer, args, kwargs):
    """The outputs as a list of float arrays; the layer's state, such as seeds, is restored."""
    variables = getattr(layer, "non_trainable_variables", ())
    state = [(variable, as_array(variable)) for variable in variables]
    try:
        return [
            as_array(output).astype(float) for output in keras.tree.flatten(layer(*args, **kwargs))
        ]
    finally:
        for variable, value in state:
            variable.assign(value)


def _same(expected, outputs):
    return len(expected) == len(outputs) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(expected, outputs, strict=True)
    )


def _values(argument, rng):
    """Random values for a symbolic tensor: floats from 0 to 1, or integers 0 and 1."""
    if not isinstance(argument, keras.KerasTensor):
        return argument
    batch, *sizes = argument.shape
    shape = [batch or 2, *(size or OPEN_SIZE for size in sizes)]
    integers = not argument.dtype.startswith(("float", "bfloat"))
    values = rng.integers(0, 2, shape) if integers else rng.uniform(size=shape)
    return keras.ops.convert_to_tensor(values, argument.dtype)


def _is_foreign(layer):
    """Whether the layer is not Keras' own; the configs of Keras' own layers are complete."""
    return not type(layer).__module__.startswith("keras.")


def _foreign_parts(layer):
    """The layers inside a layer, such as a wrapper, that are not Keras' own."""
    parts = keras.tree.flatten(list(vars(layer).values()))  # on PyTorch they are in a nested dict
    return [part for part in parts if isinstance(part, keras.Layer) and _is_foreign(part)]


def _is_function(value):
    """Whether it is a function or callable object that is not Keras' own."""
    return (
        callable(value)
        and not isinstance(value, keras.Operation)
        and not (getattr(value, "__module__", None) or "").startswith("keras.")
    )
