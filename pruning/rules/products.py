"""The rule for products of tensors: Dot, and matmul, dot and einsum of `keras.ops`."""

import keras
from keras import layers

from pruning.rules.flow import Flow, NotPrunable

MIXED = "it computes each value from all channels, so the others would change"
CROSSED = "it multiplies them by positions of another input, or by an array"
BESIDE = "its output has channels on two axes, and those of one of them stay"
A_NUMBER = "one of its inputs is a number; multiply by it"


def product(call, incoming, new):
    """The channels that one input brings to the output; a sum over channels couples them.

    Every axis has a label, as in Einstein's notation. Axes of the same label are multiplied, and
    summed if the output does not have the label. If a label is that of channels in one input and of
    positions in another, these channels stay. So do all but one input's, if the output has several.
    """
    sources, result = labels(call)
    free, coupled, stay = _met(call, incoming, sources, result)
    # a single channel cannot leave, so another axis is followed if there is one
    *beside, label = sorted(free, key=lambda each: (len(free[each]) > 1, result.index(each))) or [0]
    stay += [NotPrunable(free[each], BESIDE, unsupported=True) for each in beside]
    if label in free:
        axis, channels = result.index(label) - len(result), free[label]
        alone = ((channels, 1),) if beside else ()
        return Flow(channels, axis, coupled=(*coupled,), not_prunable=(*stay,), changes_at=alone)
    shape = call.outputs[0].shape
    axis = next((axis for axis in range(-1, -len(shape), -1) if shape[axis] is not None), None)
    if axis is None:
        raise ValueError("it leaves no axis of a fixed size that could hold channels")
    made = new(shape[axis])
    stay.append(NotPrunable(made, "they are positions of its inputs", unsupported=True))
    return Flow(made, axis, coupled=(*coupled,), not_prunable=(*stay,))


def labels(call):
    """`(labels of the axes of each input, labels of the axes of the output)`.

    The inputs are those of `inputs_of`. Labels are letters or numbers.
    """
    ranks = [len(each.shape) for each in inputs_of(call)]
    if isinstance(call.layer, layers.Dot):
        return _of_layer(call.layer, *ranks)
    if type(call.layer).__name__ == "Einsum":
        return _of_einsum(call.layer.subscripts, ranks)
    if len(ranks) < 2 or 0 in ranks:
        raise ValueError(A_NUMBER)
    return {"Matmul": _of_matmul, "Dot": _of_dot}[type(call.layer).__name__](*ranks)


def inputs_of(call):
    """The tensors and constant arrays of a call, in the order of their labels."""
    return [each for each in keras.tree.flatten(call.arguments) if hasattr(each, "shape")]


def _met(call, incoming, sources, result):
    """`({label in the output: channels}, coupled channels, NotPrunable)` of all channels."""
    tensors = iter(incoming)
    operands = [
        next(tensors) if isinstance(each, keras.KerasTensor) else None for each in inputs_of(call)
    ]
    free, coupled, stay = {}, [], []
    for label, channels, everywhere in _channels_of(operands, sources, result):
        first, *others = channels
        fits = everywhere and all(len(each) == len(first) for each in others)
        if not fits or (label not in result and (not others or _normalizes(call.layer))):
            reason = MIXED if fits else CROSSED
            stay += [NotPrunable(each, reason, unsupported=not fits) for each in channels]
            continue
        coupled += [(first, each) for each in others]
        if label in result:
            free[label] = first
    return free, coupled, stay


def _normalizes(layer):
    return getattr(layer, "normalize", False)


def _channels_of(operands, sources, result):
    """Yield each label of channels, their numbers in each input, and if all inputs have them."""
    images = {source[0] for operand, source in zip(operands, sources, strict=True) if operand}
    if len(images) > 1 or not images.issubset(result[:1]):
        raise ValueError("it moves the axis of the images")
    if any(len(set(source)) < len(source) for source in sources):
        raise ValueError("it multiplies two axes of the same input")
    along = [
        operand and source[operand.axis] for operand, source in zip(operands, sources, strict=True)
    ]
    for label in dict.fromkeys(each for each in along if each is not None):
        channels = [
            operand.channels for operand, own in zip(operands, along, strict=True) if own == label
        ]
        yield label, channels, len(channels) == sum(label in source for source in sources)


def _of_layer(layer, *ranks):
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    one, other = (
        [0, *(f"{side}{k}" for k in range(1, n))] for side, n in zip("ab", ranks, strict=True)
    )
    one[axes[0]] = other[axes[1]] = "summed"
    return (one, other), [label for label in (*one, *other[1:]) if label != "summed"]


def _of_matmul(one, other):
    batch, rows, columns = range(max(one, other, 2) - 2), "n" * (one > 1), "m" * (other > 1)
    sources = (
        [*batch[len(batch) - max(one, 2) + 2 :], *rows, "k"],
        [*batch[len(batch) - max(other, 2) + 2 :], "k", *columns],
    )
    return sources, [*batch, *rows, *columns]


def _of_dot(one, other):
    left = [f"a{axis}" for axis in range(one - 1)]
    right = [f"b{axis}" for axis in range(other - 1)]
    return ([*left, "k"], [*right[:-1], "k", *right[-1:]]), [*left, *right]


def _of_einsum(equation, ranks):
    source, arrow, result = equation.replace(" ", "").partition("->")
    terms = source.split(",")
    if not arrow:
        letters = source.replace(",", "").replace(".", "")
        result = "..." * ("..." in source) + "".join(
            x for x in sorted(letters) if letters.count(x) == 1
        )
    more = [
        range(len(t.replace("...", "")) - rank, 0) for t, rank in zip(terms, ranks, strict=True)
    ]
    return (
        [_with(term, its) for term, its in zip(terms, more, strict=True)],
        _with(result, max(more, key=len)),
    )


def _with(term, more):
    """The labels of a term, with numbers in place of `...`."""
    before, dots, after = term.partition("...")
    return [*before, *(more if dots else ()), *after]
