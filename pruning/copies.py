"""A layer made again from its config, and whether it computes the same as before."""

import warnings

import keras
import numpy as np

from pruning.rules.flow import as_array

_WITH_STATE = (keras.Layer, keras.random.SeedGenerator)  # of which a copy needs its own
OPEN_SIZE = 8  # stands for a size that is not fixed, where values are drawn to compare by


def copied(layer, changes):
    """A layer of the same config, its weights not built yet.

    Functions and other objects of the caller, such as an activation or a regularizer, are those of
    the layer itself: through text they would lose what they look up where they were written. A
    layer that does not change and whose config cannot carry it is copied as an object.

    Args:
        layer: Keras layer or operation.
        changes: dict of what is to differ in the config.

    Raises:
        ValueError: it cannot be made again.
    """
    try:
        return _from_config(layer, changes)
    except Exception as error:  # the layer of a user may raise anything
        parts = keras.tree.flatten(list(vars(layer).values()))
        if changes or not _is_foreign(layer) or any(isinstance(p, _WITH_STATE) for p in parts):
            reason = str(error).rpartition("Exception encountered: ")[2]  # behind the config
            raise ValueError(" ".join(reason.strip().partition("\n\n")[0].split())) from error
        return _as_object(layer)


def _from_config(layer, changes):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config = layer.get_config() | changes
    if type(layer) is keras.layers.Lambda:
        if isinstance(config.get("output_shape"), dict):  # of a function; Keras finds it, too
            del config["output_shape"]
        live = {name: getattr(layer, name) for name in ("function", "mask", "arguments")}
        return type(layer)(**config | live | {"dtype": layer.dtype_policy})
    if not _is_foreign(layer):
        config |= {name: own for name in config if _is_function(own := getattr(layer, name, None))}
    inside = {type(part).__name__: type(part) for part in _foreign_parts(layer)}
    with keras.saving.custom_object_scope(inside):  # of a wrapper, which looks up by name
        new = type(layer).from_config(config)
    new.name = layer.name  # which is not in the config that Keras makes up for a layer without one
    return new


def _as_object(layer):
    """A layer of the same attributes; its weights are made when it is built."""
    new = type(layer).__new__(type(layer))
    keras.Layer.__init__(new, name=layer.name, trainable=layer.trainable, dtype=layer.dtype_policy)
    new.supports_masking = layer.supports_masking
    for name, value in vars(layer).items():
        made = any(isinstance(part, keras.Variable) for part in keras.tree.flatten(value))
        if name not in vars(new) and not made and not name.startswith("_self_"):  # TensorFlow's
            setattr(new, name, value)
    return new


def check(calls):
    """Raise ValueError if a layer that is not Keras' own computes something else once copied.

    What such a layer needs may be missing from its config, of which nothing else would tell. Each
    is called by itself on random values, and so is a copy with the same weights. One that does not
    take such values, or draws random numbers that nobody can repeat, cannot be compared.

    Args:
        calls: list of graph.Call, of which the first of each layer is compared. Layers are called
            and keep their state.
    """
    for call in {id(call.layer): call for call in reversed(calls)}.values():
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
        found = _outputs(other, args, kwargs)
    except Exception as error:
        raise ValueError(f"{call}: it cannot be copied: {error}") from error
    if not _same(expected, found):
        raise ValueError(
            f"{call}: it cannot be copied: made again from its get_config() it computes something "
            "else; let that hold all that it computes with"
        )


def _outputs(layer, args, kwargs):
    """What comes out, as float arrays; state that is no weight to train, as of seeds, is kept."""
    variables = getattr(layer, "non_trainable_variables", ())
    state = [(variable, as_array(variable)) for variable in variables]
    try:
        return [
            as_array(output).astype(float) for output in keras.tree.flatten(layer(*args, **kwargs))
        ]
    finally:
        for variable, value in state:
            variable.assign(value)


def _same(expected, found):
    return len(expected) == len(found) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(expected, found, strict=True)
    )


def _values(argument, rng):
    """Random values in the place of a symbolic tensor: 0..1, or whole numbers 0 and 1."""
    if not isinstance(argument, keras.KerasTensor):
        return argument
    batch, *sizes = argument.shape
    shape = [batch or 2, *(size or OPEN_SIZE for size in sizes)]
    whole = not argument.dtype.startswith(("float", "bfloat"))
    values = rng.integers(0, 2, shape) if whole else rng.uniform(size=shape)
    return keras.ops.convert_to_tensor(values, argument.dtype)


def _is_foreign(layer):
    """Whether it is not Keras' own, whose config is known to be complete."""
    return not type(layer).__module__.startswith("keras.")


def _foreign_parts(layer):
    """The layers held by a layer, such as a wrapper, that are not Keras' own."""
    parts = keras.tree.flatten(list(vars(layer).values()))  # PyTorch's are in a dict among them
    return [part for part in parts if isinstance(part, keras.Layer) and _is_foreign(part)]


def _is_function(value):
    """Whether it is a function, or an object used as one, that is not Keras' own."""
    return (
        callable(value)
        and not isinstance(value, keras.Operation)
        and not (getattr(value, "__module__", None) or "").startswith("keras.")
    )
