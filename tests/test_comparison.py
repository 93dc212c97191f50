"""pruning/comparison.py: networks before and after pruning, layer by layer."""

import keras
import pytest
from keras import layers

from pruning import prune, summary
from scnnb.model import build_scnnb


def test_the_summary_shows_filters_parameters_and_macs_before_and_after():
    model = build_scnnb((28, 28, 1), 10)
    lines = str(summary(model, prune(model, 0.4))).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        *("layer", "conv1", "norm1", "conv2", "norm2", "fc1", "fc2", "total")
    ]
    assert lines[0].split() == "layer filters parameters removed % macs removed %".split()
    macs = f"{784 * 9 * 32:,} -> {784 * 9 * 19:,}"
    conv1 = f"conv1 32 -> 19 320 -> 190 40.6 {macs} 40.6"
    assert lines[1].split() == conv1.split()
    assert lines[2].split() == ["norm1", "128", "->", "76", "40.6", "0"]
    assert lines[6].split() == ["fc2", "12,810", "0.0", "12,800", "0.0"]
    assert lines[7].split()[:4] == ["total", "4,047,370", "->", "2,404,404"]
    assert len({len(line) for line in (lines[1], lines[3], lines[6], lines[7])}) == 1


def row(layer, filters, parameters, macs):
    """The expected row of the summary; each argument is `(before, after)`."""
    removed = [
        None if not before else round(100 * (before - after) / before, 1)
        for before, after in (parameters, macs)
    ]
    return {
        "layer": layer,
        "filters_before": filters[0],
        "filters_after": filters[1],
        "parameters_before": parameters[0],
        "parameters_after": parameters[1],
        "parameters_removed_%": removed[0],
        "macs_before": macs[0],
        "macs_after": macs[1],
        "macs_removed_%": removed[1],
    }


NONE = (None, None)


def nested():
    """A network with a nested model and a convolution that is called twice."""
    images = keras.Input((4, 4, 3))
    inside = [layers.Conv2D(6, 1, name="conv1"), layers.BatchNormalization(name="norm1")]
    backbone = keras.Sequential([keras.Input((4, 4, 3)), *inside], name="backbone")
    twice = layers.Conv2D(6, 3, padding="same", use_bias=False, name="twice")
    x = twice(twice(layers.ReLU()(backbone(images))))
    x = layers.Dense(4, name="mixed")(x)  # on feature maps: a 1x1 convolution
    return keras.Model(images, layers.Dense(2, name="head")(layers.Flatten()(x)))


def test_nested_and_shared_layers_have_one_row_each_in_the_order_of_computation():
    model = nested()
    assert summary(model, prune(model, 0.5)).rows == [
        row("backbone/conv1", (6, 3), (6 * 3 + 6, 3 * 3 + 3), (16 * 6 * 3, 16 * 3 * 3)),
        row("backbone/norm1", NONE, (4 * 6, 4 * 3), (0, 0)),
        row("twice", (6, 3), (9 * 36, 9 * 9), (2 * 16 * 9 * 36, 2 * 16 * 9 * 9)),
        row("mixed", (4, 2), (6 * 4 + 4, 3 * 2 + 2), (16 * 6 * 4, 16 * 3 * 2)),
        row("head", NONE, (64 * 2 + 2, 32 * 2 + 2), (64 * 2, 32 * 2)),
        row("total", NONE, (530, 179), (288 + 10368 + 384 + 128, 144 + 2592 + 96 + 64)),
    ]


def test_a_layer_shared_with_a_nested_model_is_listed_at_its_first_call():
    shared = layers.Dense(4, name="shared")
    inside = keras.Sequential([keras.Input((4,)), shared], name="inside")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(inside(inputs)))
    rows = summary(model, model).rows
    assert rows == [
        row("inside/shared", NONE, (20, 20), (32, 32)),
        row("total", NONE, (20, 20), (32, 32)),
    ]


def test_macs_of_a_network_of_any_image_size_are_counted_only_with_an_input_shape():
    images = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, name="conv1")(images))
    model = keras.Model(images, layers.Dense(2, name="head")(x))
    pruned = prune(model, 0.5)
    table = summary(model, pruned)
    assert [each["macs_before"] for each in table.rows] == [None, 8, None]
    assert [each["macs_removed_%"] for each in table.rows] == [None, 50.0, None]
    assert str(table).splitlines()[1].split() == "conv1 4 -> 2 16 -> 8 50.0".split()
    table = summary(model, pruned, input_shape=(5, 2, 3))
    assert table.rows[-1] == row("total", NONE, (26, 14), (10 * 3 * 4 + 8, 10 * 3 * 2 + 4))


def test_attention_without_weights_has_a_row_because_it_has_macs():
    query, value = keras.Input((5, 4)), keras.Input((7, 4))
    model = keras.Model([query, value], layers.Attention(name="attention")([query, value]))
    assert summary(model, model).rows[0] == row("attention", NONE, (0, 0), (280, 280))


def line(name, layer):
    return keras.Sequential([keras.Input((4, 4, 3)), layer(4, 3, name=name)], name="line")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            ("a", layers.Conv2D),
            ("b", layers.Conv2D),
            r"after: expected the same .*, got no layer a \(Conv2D\)",
        ),
        (
            ("a", layers.Conv2D),
            ("a", layers.SeparableConv2D),
            "after: expected a Conv2D as layer a, got a SeparableConv2D",
        ),
    ],
)
def test_networks_with_different_layers_are_an_error(before, after, message):
    with pytest.raises(ValueError, match=message):
        summary(line(*before), line(*after))


def test_one_more_layer_in_either_network_is_an_error():
    less = line("a", layers.Conv2D)
    more = keras.Model(less.inputs[0], layers.Dense(2, name="head")(less.outputs[0]))
    for networks, which in (((more, less), "after"), ((less, more), "before")):
        message = rf"^{which}: expected the same .*, got no layer head \(Dense\)"
        with pytest.raises(ValueError, match=message):
            summary(*networks)


def test_layers_that_no_rule_lets_be_pruned_are_named_below_the_table_with_the_reason():
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name="reaches")(layers.Conv2D(4, 1, name="cut")(images))
    x = layers.Conv2D(4, 1, name="flipped")(layers.RandomFlip(name="flip")(x))
    model = keras.Model(images, layers.Conv2D(2, 1, name="last")(x))
    table = summary(model, prune(model, 0.5))
    assert table.notes == (
        "not pruned: reaches [flip (RandomFlip): there is no rule for this type]",
    )
    assert str(table).splitlines()[-1] == table.notes[0]
    assert [row["layer"] for row in table.rows][-1] == "total"
    removed = prune(model, 0.5, layer_ratios={"reaches": 0})
    assert summary(model, removed).notes == table.notes
