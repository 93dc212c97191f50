"""The tables that the library returns: rows of plain values, printed in aligned columns."""

from dataclasses import dataclass
from typing import Any

PAIR = ("_before", "_after")  # suffixes of two columns that are printed as one


@dataclass(frozen=True)
class Table:
    """Rows of plain values. `str(table)` is its text; `pandas.DataFrame(table.rows)` works.

    In the text the columns `filters_before` and `filters_after` are one column `filters`, with
    `64 -> 32`, or `64` if nothing changed. A column such as `filters_removed` to the right of it
    has the short name `removed`. Numbers are on the right with thousands separators, text is on the
    left, and None is empty.

    Attributes:
        rows: list of dicts with the same keys. A value is text, a number, or None for no value.
        notes: sentences about the rows, lines below them in the text.
    """

    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The text: a line with the names of the columns, a line for each row, and the notes."""
        if not self.rows:
            return ""
        columns = _columns(list(self.rows[0]))
        heads = _heads(list(columns))
        texts = [heads, *([_cell(row, names) for names in columns.values()] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        left = [
            any(isinstance(row[name], str) for row in self.rows for name in names)
            for names in columns.values()
        ]
        lines = (
            "  ".join(
                text.ljust(width) if to_left else text.rjust(width)
                for text, width, to_left in zip(line, widths, left, strict=True)
            )
            for line in texts
        )
        return "\n".join([*(line.rstrip() for line in lines), *self.notes])


def _columns(names):
    """`{name of a column in the text: [names in the rows]}`, two names for a pair."""
    before, after = PAIR
    columns = {}
    for name in names:
        stem = name.removesuffix(before)
        if stem != name and stem + after in names:
            columns[stem] = [name, stem + after]
        elif not (name.endswith(after) and name.removesuffix(after) in columns):
            columns[name] = [name]
    return columns


def _heads(names):
    """The names; a name that begins with the previous full name is shortened."""
    heads, stem = [], None
    for name in names:
        repeats = stem is not None and name.startswith(f"{stem}_")
        heads.append((name.removeprefix(f"{stem}_") if repeats else name).replace("_", " "))
        stem = stem if repeats else name
    return heads


def _cell(row, names):
    texts = ["" if row[name] is None else _text(row[name]) for name in names]
    changed = len(set(texts)) > 1
    return " -> ".join(texts) if changed else texts[0]


def _text(value):
    return f"{value:,}" if isinstance(value, int | float) else str(value)
