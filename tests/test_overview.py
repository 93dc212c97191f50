"""pruning/overview.py: groups worked out by hand."""

import keras
from keras import layers

from pruning import layer_groups
from tests.test_selection import block, network

OUTPUT = "channels that reach the network's output are not prunable"


def rows(model, **options):
    return [tuple(row.values()) for row in layer_groups(model, **options).rows]


def test_groups_are_listed_in_the_order_of_computation_with_the_reason_if_not_pruned():
    model = network(block)
    together = "projection, second, fourth"
    assert rows(model) == [
        ("first", 3, ""),
        (together, 4, ""),
        ("third", 3, ""),
        ("last", 2, OUTPUT),
    ]
    skipped = rows(model, coupled="skip")[1]
    assert skipped == (together, 4, "it is coupled to other convolutions, and coupled is 'skip'")


def test_units_are_counted_and_an_unsupported_layer_is_the_reason_for_its_group():
    images = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="before")(images)
    x = layers.Conv2D(8, 1, groups=2, name="grouped")(x)
    x = layers.RandomFlip(name="other")(layers.Conv2D(4, 1, name="reaches")(x))
    found = rows(keras.Model(images, layers.Dense(2, name="last")(x)))
    assert found[:2] == [("before", 4, ""), ("grouped", 4, "")]
    assert found[2][:2] == ("reaches", 4)
    assert found[2][2].startswith("other (RandomFlip): there is no rule for this type")


def test_the_text_has_a_line_for_each_group():
    lines = str(layer_groups(network(block))).splitlines()
    assert lines[0].split("  ")[0] == "layers"
    assert len(lines) == 5
    assert lines[-1].endswith(OUTPUT)
