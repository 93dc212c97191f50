"""experiment/layer_tables.py: the table of layers beside a stored network."""

import keras

from experiment import layer_tables
from pruning import prune, summary


def test_the_table_is_that_of_the_library_and_counts_the_filters(small, tmp_path):
    model = keras.models.load_model(small)
    pruned = prune(model, 0.5)
    file = tmp_path / "a_layers.csv"
    assert layer_tables.read(file) is None
    layer_tables.write(file, model, pruned)
    table = layer_tables.read(file)
    assert str(table) == str(summary(model, pruned))
    assert layer_tables.filters(table) == (4 + 6, 2 + 3)
