"""experiment/layer_table.py: the table of one pruning."""

from experiment import layer_table
from pruning import prune
from scnnb.model import build_scnnb


def test_the_layer_table_shows_filters_and_parameters_before_and_after():
    model = build_scnnb((28, 28, 1), 10)
    lines = layer_table.layer_table(model, prune(model, 0.4)).splitlines()
    assert [line.split() for line in lines] == [
        ["layer", "filters", "parameters"],
        ["conv1", "32", "->", "19", "320", "->", "190"],
        ["norm1", "128", "->", "76"],
        ["conv2", "64", "->", "38", "18,496", "->", "6,536"],
        ["norm2", "256", "->", "152"],
        ["fc1", "4,015,360", "->", "2,384,640"],
        ["fc2", "12,810", "->", "12,810"],
        ["total", "4,047,370", "->", "2,404,404"],
    ]
    assert len({len(line) for line in lines}) == 1
