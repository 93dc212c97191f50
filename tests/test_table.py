"""pruning/table.py: rows as text."""

import pandas as pd
import pytest

from pruning.table import Table

ROWS = [
    {"layer": "conv1", "cost_before": 1234, "cost_after": 617, "cost_removed_%": 50.0, "why": None},
    {"layer": "fc", "cost_before": 10, "cost_after": 10, "cost_removed_%": 0.0, "why": "output"},
    {"layer": "own", "cost_before": None, "cost_after": None, "cost_removed_%": None, "why": None},
]


def test_the_text_is_aligned_and_a_pair_is_one_column():
    assert str(Table(ROWS)).splitlines() == [
        "layer          cost  removed %  why",
        "conv1  1,234 -> 617       50.0",
        "fc               10        0.0  output",
        "own",
    ]


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        ({"time_after": 1}, ["time after", "         1"]),
        ({"time_before": 1}, ["time before", "          1"]),
        ({"time": 1, "time_unit": "s"}, ["time  unit", "   1  s"]),
        ({"a_before": 2, "b": 1, "a_after": 1}, ["     a  b", "2 -> 1  1"]),
        ({"value_before": None, "value_after": 1}, ["value", " -> 1"]),
    ],
)
def test_columns_that_are_not_a_pair_are_unchanged(row, lines):
    assert str(Table([row])).splitlines() == lines


def test_a_table_of_no_rows_is_empty():
    assert str(Table([])) == ""


def test_pandas_accepts_the_rows():
    frame = pd.DataFrame(Table(ROWS).rows)
    assert frame["cost_after"].tolist()[:2] == [617, 10]
    assert [*frame] == [*ROWS[0]]
