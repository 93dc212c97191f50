"""A network as the list of its layer calls, those inside nested models included."""

import inspect
from dataclasses import dataclass
from typing import NamedTuple

import keras


@dataclass(frozen=True, eq=False)
class Tensor:
    """The output of a call. Two tensors of the same shape are not equal.

    Attributes:
        shape: `(batch, ..., channels)`, with None for a size that is not fixed.
    """

    shape: tuple


class Call(NamedTuple):
    """One call of a layer or plain operation.

    Attributes:
        path: the names of the nested models the layer is in, and its name: `"backbone/conv1"`.
        layer: Keras layer, operation or nested model. The outputs of a nested model's call are the
            inputs of the calls inside it, which come next.
        inputs: list of Tensor.
        constants: list of the other arguments, such as the 3.0 of `x + 3.0`.
        outputs: list of Tensor.
        arguments: `(args, kwargs)` of the call, a keras.KerasTensor for each tensor.
        times: how often it is computed for one image: more than once inside a model that a
            TimeDistributed calls at each step, None if the number of steps is not fixed.
    """

    path: str
    layer: keras.Operation
    inputs: list
    constants: list
    outputs: list
    arguments: tuple
    times: int | None = 1

    def __str__(self):
        """The name for messages: `backbone/conv1 (Conv2D)`."""
        return f"{self.path} ({type(self.layer).__name__})"


class Graph(NamedTuple):
    """The calls of a network in the order of computation, from its inputs to its outputs."""

    inputs: list
    calls: list
    outputs: list


def trace(model, shapes=None):
    """The calls of a network; a layer that is called twice is listed twice.

    Keras' `clone_model` visits the calls. In place of each layer it calls an object that only
    computes shapes. So nothing is computed, no weight is copied, and the model does not change.

    Args:
        model: Functional model, as `functional` returns it.
        shapes: None for the shapes of `model.inputs`, or `(batch, ..., channels)` of each of them,
            to fix the sizes that are None there.

    Returns:
        Graph.
    """
    inputs = [Tensor(shape) for shape in shapes or (symbol.shape for symbol in model.inputs)]
    calls = []
    return Graph(inputs, calls, _follow(model, "", inputs, calls))


def functional(model):
    """The same network as a plain Functional model, not compiled, that shares all layers.

    Raises:
        TypeError: it is a subclassed model with its own `call`, whose layers cannot be listed.
        ValueError: it is not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: expected a Keras model, got a {type(model).__name__}")
    if not model.built:
        raise ValueError(f"model: expected a built model, got {model.name}; call it on images once")
    if is_functional(model):
        if isinstance(model, keras.Sequential):
            return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        return keras.Model(model.input, model.output, name=model.name)
    has_layers = isinstance(model, _CLASSES)
    raise TypeError(
        "model: expected a Functional or Sequential model, got the subclassed model "
        f"{model.name}, which computes by a `call` of its own; "
        + (
            "keras.Model(m.input, m.output) is the same network without what that call adds"
            if has_layers
            else "keras.Model(x, m.call(x)) with x = keras.Input(...) is a Functional model of the "
            "same layers, if that call uses layers and keras.ops only"
        )
    )


def like(model, plain):
    """A plain Functional model as one of the class of `model`, if that class takes any layers.

    It does if it is made of inputs and outputs: its `__init__` is that of `keras.Model`, or takes
    `*args, **kwargs` and needs no others. If it does not, the plain model is returned.
    """
    if isinstance(model, keras.Sequential) or type(model) is type(plain):
        return plain
    takes = [each.kind.name for each in inspect.signature(type(model)).parameters.values()]
    if takes != ["VAR_POSITIONAL", "VAR_KEYWORD"]:
        return plain
    try:
        return type(model)(plain.input, plain.output, name=plain.name)
    except Exception:  # the class of a user may need other arguments
        return plain


def flat(model):
    """The same network with lists of inputs and outputs in place of dicts; it shares all layers.

    They are in the order of `model.inputs` and `model.outputs`. A single one is not in a list.
    """
    ends = ([*each] if len(each) > 1 else each[0] for each in (model.inputs, model.outputs))
    return keras.Model(*ends, name=model.name)


def is_functional(layer):
    """Whether it is a model whose layers can be listed, because its class has no own `call`.

    Such a class may have its own `train_step`, or create the layers, as those of KerasHub do.
    """
    return any(isinstance(layer, each) and type(layer).call is each.call for each in _CLASSES)


def model_of_each_step(layer):
    """The model that a TimeDistributed calls at each step, or None if it is another layer."""
    distributed = type(layer) is keras.layers.TimeDistributed and is_functional(layer.layer)
    return layer.layer if distributed else None


def nested(layer):
    """The model that a layer is, or calls at each step; None if it is another layer."""
    return layer if is_functional(layer) else model_of_each_step(layer)


def layers(model):
    """Every layer of a network; in place of a nested model, the layers inside it."""
    for layer in model.layers:
        inside = nested(layer)
        yield from [layer] if inside is None else layers(inside)


def _follow(model, prefix, inputs, calls, times=1):
    symbols = [  # with the sizes of the tensors; those of a nested model's own inputs may be None
        keras.Input(batch_shape=tensor.shape, dtype=symbol.dtype, name=symbol.name)
        for symbol, tensor in zip(model.inputs, inputs, strict=True)
    ]
    tensors = {id(symbol): tensor for symbol, tensor in zip(symbols, inputs, strict=True)}

    def call(stand_in, *args, **kwargs):
        symbol = stand_in(*args, **kwargs)
        layer, path = stand_in.layer, prefix + stand_in.layer.name
        arguments = keras.tree.flatten((args, kwargs))
        if is_functional(layer):
            inside = functional(layer)
            arguments = _inputs_of(path, inside, args[0] if args else kwargs["inputs"])
        entering = [tensors[id(a)] for a in arguments if isinstance(a, keras.KerasTensor)]
        constants = [a for a in arguments if not isinstance(a, keras.KerasTensor)]
        if is_functional(layer):
            starts = [Tensor(tensor.shape) for tensor in entering]
            calls.append(Call(path, layer, entering, [], starts, (args, kwargs)))
            leaving = _follow(inside, f"{path}/", starts, calls, times)
        elif model_of_each_step(layer) and len(entering) == 1:  # without a mask
            leaving = [Tensor(symbol.shape)]
            _follow_each_step(path, layer, (*entering, *leaving), calls, (args, kwargs), times)
        else:
            leaving = [Tensor(output.shape) for output in keras.tree.flatten(symbol)]
            calls.append(Call(path, layer, entering, constants, leaving, (args, kwargs), times))
        tensors.update((id(s), t) for s, t in zip(keras.tree.flatten(symbol), leaving, strict=True))
        return symbol

    walked = keras.models.clone_model(
        model,
        input_tensors=keras.tree.pack_sequence_as(model.input, symbols),
        clone_function=_StandIn,
        call_function=call,
    )
    return [tensors[id(symbol)] for symbol in walked.outputs]


def _follow_each_step(path, layer, ends, calls, arguments, times):
    """The calls inside a TimeDistributed, between two that only remove and add the steps."""
    model, (entering, leaving) = layer.layer, ends
    times = times and entering.shape[1] and times * entering.shape[1]
    step = Tensor((entering.shape[0], *entering.shape[2:]))
    start, path_inside = Tensor(step.shape), f"{path}/{model.name}"
    to_step, from_steps = (keras.layers.Identity(name=layer.name) for _ in ends)
    calls.append(Call(path, to_step, [entering], [], [step], arguments))
    calls.append(Call(path_inside, model, [step], [], [start], arguments))
    last = _follow(functional(model), f"{path_inside}/", [start], calls, times)
    calls.append(Call(path, from_steps, last, [], [leaving], arguments))


def _inputs_of(path, model, given):
    """The tensors for `model.inputs`, in their order, without masks and other arguments."""
    by_name = [sorted(s) if isinstance(s, dict) else None for s in (given, model.input)]
    if by_name[0] != by_name[1]:  # Keras then matches them by name
        raise ValueError(
            f"{path} (Functional): its inputs are a dict in its definition but not in its call, or "
            "the other way round, or have other keys; call it as it is defined"
        )
    return keras.tree.flatten(given)


class _StandIn(keras.Operation):
    """Computes the output shapes of a layer, nothing else."""

    def __init__(self, layer):
        super().__init__(name=layer.name)
        self.layer = layer

    def compute_output_spec(self, *args, **kwargs):
        return self.layer.compute_output_spec(*args, **kwargs)


def _functional_type():
    x = keras.Input((1,), name="in")
    return type(keras.Model(x, keras.layers.Identity(name="out")(x), name="any"))


# Keras exports no name for what `keras.Model` returns
_CLASSES = (keras.Sequential, _functional_type())
