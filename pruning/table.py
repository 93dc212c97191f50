"""What the reports of the library are: rows of plain values, printed as an aligned table."""

from dataclasses import dataclass
from typing import Any

PAIR = ("_before", "_after")  # ends of the names of two columns that are printed as one


@dataclass(frozen=True)
class Table:
    """Rows of plain values; `str()` is the text, `pandas.DataFrame(table.rows)` needs no more.

    In the text, the columns `filters_before` and `filters_after` are one, `filters`, with
    `64 -> 32`, or `64` if nothing changed. A column such as `filters_removed` to the right of it
    is headed `removed`. Numbers have thousands separators and stand to the right, text to the
    left; None is left empty.

    Attributes:
        rows: list of dicts of the same names: text, numbers, None if there is no value.
    """

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        """The text, a line for each row below the names of the columns."""
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
        return "\n".join(line.rstrip() for line in lines)


def _columns(names):
    """`{name in the text: [name in the rows]}`, two for a pair."""
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
    """The names, without what a name repeats of the nearest whole one before it."""
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
