"""A network as the list of its layer calls, nested models opened up."""

from dataclasses import dataclass
from typing import NamedTuple

import keras


@dataclass(frozen=True, eq=False)
class Tensor:
    """What one call hands to the next; equal only to itself.

    Attributes:
        shape: `(batch, ..., channels)`, None where the size is not fixed.
    """

    shape: tuple


class Call(NamedTuple):
    """One layer or plain operation at work in one place.

    Attributes:
        path: the layer's name, after those of the nested models it is in: `"backbone/conv1"`.
        layer: Keras layer or operation. A nested model stands here too: it hands its inputs on to
            the calls inside it.
        inputs: list of Tensor.
        constants: list of the other arguments, such as the 3.0 of `x + 3.0`.
        outputs: list of Tensor.
        arguments: `(args, kwargs)` of the call, with keras.KerasTensor of the sizes that enter.
    """

    path: str
    layer: keras.Operation
    inputs: list
    constants: list
    outputs: list
    arguments: tuple

    def __str__(self):
        """As messages name it: `backbone/conv1 (Conv2D)`."""
        return f"{self.path} ({type(self.layer).__name__})"


class Graph(NamedTuple):
    """The calls of a network in the order of computation, from its inputs to its outputs."""

    inputs: list
    calls: list
    outputs: list


def trace(model, shapes=None):
    """The calls of a network; a layer used twice is there twice.

    Keras' own cloning walks through the graph, with stand-ins that know only shapes in the place
    of the layers: nothing is computed, no weight is copied, and the model's layers are not called.

    Args:
        model: Functional model, as `functional` returns it.
        shapes: `(batch, ..., channels)` of each of `model.inputs`, which fix sizes that these
            leave open; without them, those of the inputs.

    Returns:
        Graph.
    """
    inputs = [Tensor(shape) for shape in shapes or (symbol.shape for symbol in model.inputs)]
    calls = []
    return Graph(inputs, calls, _follow(model, "", inputs, calls))


def functional(model):
    """The same network as a plain, uncompiled Functional model that shares all layers.

    Raises:
        TypeError: it is a subclassed model, whose layers cannot be followed.
        ValueError: it is not built yet.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model is a {type(model).__name__}; give a Keras model")
    if not model.built:
        raise ValueError(f"{model.name}: it is not built; call it on an input once")
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if is_functional(model):
        return keras.Model(model.input, model.output, name=model.name)
    raise TypeError(f"{model.name}: it is a subclassed model; give a Functional or Sequential")


def flat(model):
    """The model with one input and one output, or with lists of them, where it has dicts.

    They are in the order of `model.inputs` and `model.outputs`; all layers are shared.
    """
    ends = ([*each] if len(each) > 1 else each[0] for each in (model.inputs, model.outputs))
    return keras.Model(*ends, name=model.name)


def is_functional(layer):
    """Whether it is a model whose layers can be followed; a subclass may have a call of its own."""
    return type(layer) in (keras.Sequential, _FUNCTIONAL)


def layers(model):
    """Every layer of a network, those of nested models in their place."""
    for layer in model.layers:
        yield from layers(layer) if is_functional(layer) else [layer]


def _follow(model, prefix, inputs, calls):
    symbols = [  # of the sizes that enter, which a nested model may have left open
        keras.Input(batch_shape=tensor.shape, dtype=symbol.dtype, name=symbol.name)
        for symbol, tensor in zip(model.inputs, inputs, strict=True)
    ]
    tensors = {id(symbol): tensor for symbol, tensor in zip(symbols, inputs, strict=True)}

    def call(stand_in, *args, **kwargs):
        symbol = stand_in(*args, **kwargs)
        layer, path = stand_in.layer, prefix + stand_in.layer.name
        arguments = keras.tree.flatten((args, kwargs))
        if is_functional(layer):
            nested = functional(layer)
            arguments = _inputs_of(path, nested, args[0] if args else kwargs["inputs"])
        entering = [tensors[id(a)] for a in arguments if isinstance(a, keras.KerasTensor)]
        constants = [a for a in arguments if not isinstance(a, keras.KerasTensor)]
        if is_functional(layer):
            starts = [Tensor(tensor.shape) for tensor in entering]
            calls.append(Call(path, layer, entering, [], starts, (args, kwargs)))
            leaving = _follow(nested, f"{path}/", starts, calls)
        else:
            leaving = [Tensor(output.shape) for output in keras.tree.flatten(symbol)]
            calls.append(Call(path, layer, entering, constants, leaving, (args, kwargs)))
        tensors.update((id(s), t) for s, t in zip(keras.tree.flatten(symbol), leaving, strict=True))
        return symbol

    walked = keras.models.clone_model(
        model,
        input_tensors=keras.tree.pack_sequence_as(model.input, symbols),
        clone_function=_StandIn,
        call_function=call,
    )
    return [tensors[id(symbol)] for symbol in walked.outputs]


def _inputs_of(path, model, given):
    """The tensors for `model.inputs`, in their order; masks and other arguments are left out."""
    by_name = [sorted(s) if isinstance(s, dict) else None for s in (given, model.input)]
    if by_name[0] != by_name[1]:  # Keras then matches them by name
        raise ValueError(
            f"{path} (Functional): call it with its inputs in the form it was built of"
        )
    return keras.tree.flatten(given)


class _StandIn(keras.Operation):
    """A layer as far as shapes go."""

    def __init__(self, layer):
        super().__init__(name=layer.name)
        self.layer = layer

    def compute_output_spec(self, *args, **kwargs):
        return self.layer.compute_output_spec(*args, **kwargs)


def _functional_type():
    x = keras.Input((1,), name="in")
    return type(keras.Model(x, keras.layers.Identity(name="out")(x), name="any"))


_FUNCTIONAL = _functional_type()  # Keras exports no name for what `keras.Model` returns
