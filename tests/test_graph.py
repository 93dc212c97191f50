"""pruning/graph.py: the calls of a network, nested and shared ones."""

import keras
from keras import layers

from pruning import graph


def test_calls_of_nested_and_shared_layers_are_listed_in_the_order_of_computation():
    shared = layers.Dense(4, name="shared")
    inside = keras.Sequential([keras.Input((4,)), shared], name="inside")
    inputs = keras.Input((4,), name="inputs")
    model = keras.Model(inputs, shared(inside(inputs, training=False) + 3.0))
    walked = graph.trace(model)
    assert [str(call).rstrip("_0123456789") for call in walked.calls] == [
        "inside (Sequential)",
        "inside/shared (Dense)",
        str(walked.calls[2]),
        "shared (Dense)",
    ]
    assert type(walked.calls[2].layer).__name__ == "Add"
    assert walked.calls[2].constants == [3.0]
    assert walked.calls[1].layer is walked.calls[3].layer is shared
    assert walked.calls[0].inputs == walked.inputs
    assert walked.calls[0].outputs == walked.calls[1].inputs
    assert walked.calls[1].outputs == walked.calls[2].inputs
    assert walked.calls[3].outputs == walked.outputs


def test_listing_the_calls_does_not_call_the_layers():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="once")])
    graph.trace(graph.functional(model))
    assert model.get_layer("once").output.shape == (
        None,
        3,
    )  # an error if the layer was called again
    assert len(model.weights) == 2
