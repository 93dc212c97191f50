"""Rules for layers of sequences: recurrent layers, Embedding and Masking."""

from keras import layers

from pruning.rules.flow import (
    Filters,
    Flow,
    NotPrunable,
    arguments,
    as_array,
    count,
    last,
    others_stay,
    single_output,
    unbuilt,
)

CELLS = (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)
_CONVOLUTIONS = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
_LAYERS = (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.RNN)


def recurrent(call, incoming, new):
    """New channels that stay, one per unit; the input kernels lose the removed input channels.

    All gates of a cell are in one kernel (..., in_channels, gates * units).
    """
    single_output(call)
    layer, sequences = call.layer, arguments(call, incoming)["sequences"]
    entering, reading = last(layer, sequences), [id(kernel) for kernel in _input_kernels(layer)]
    units = new(call.outputs[0].shape[-1])
    stay = NotPrunable(units, "its units stay, because each reads all others", unsupported=True)
    inside = {name for name in layer.get_config() if name in ("cell", "layer", "backward_layer")}
    return Flow(
        units,
        weights=tuple({-2: entering} if id(w) in reading else {} for w in layer.weights),
        config=lambda stays: {name: unbuilt(layer.get_config()[name]) for name in inside},
        not_prunable=(stay, *others_stay(incoming, [sequences])),
    )


def embedding(call, incoming, new):
    """New channels, one per value of an entry; not pruned itself, like Dense on vectors."""
    layer = call.layer
    values = new(layer.output_dim)
    indices = NotPrunable(incoming[0].channels, "it reads them as indices", unsupported=True)
    return Flow(
        values,
        weights=({-1: values},),
        config=lambda stays: {"output_dim": count(stays, values)},
        filters=Filters(lambda: as_array(layer.embeddings), prunable=False),
        not_prunable=(indices,),
    )


def masking(call, incoming, new):
    """The input channels, not prunable: a step is masked if all of them have the mask's value."""
    channels = last(call.layer, incoming[0])
    reason = "it compares all channels of a step with its mask_value"
    return Flow(channels, not_prunable=(NotPrunable(channels, reason, unsupported=True),))


def _input_kernels(layer):
    """The kernels that read the input; cells after the first read the units before them."""
    if type(layer) is layers.Bidirectional:
        return _input_kernels(layer.forward_layer) + _input_kernels(layer.backward_layer)
    if type(layer) in _CONVOLUTIONS:
        return [layer.cell.kernel]
    if type(layer) not in _LAYERS:
        raise ValueError(f"it wraps a {type(layer).__name__}, for which there is no rule")
    cell = layer.cell
    first = cell.cells[0] if type(cell) is layers.StackedRNNCells else cell
    if type(first) not in CELLS:
        raise ValueError(f"its cell is a {type(first).__name__}, for which there is no rule")
    return [first.kernel]
