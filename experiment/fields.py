"""Settings as fields of dataclasses: a field declares everything about a setting once.

A field gives the flag with type and help, the CSV column and its value in older rows, the part of
the key of a row, and the part of the names of folders and files. Default values stay out of names.
"""

import argparse
import dataclasses

PRUNE, TRAIN = "what to prune", "how to train"  # groups of --help


def setting(flag="", *, default=dataclasses.MISSING, column="", name="{}", group=PRUNE, **parsed):
    """A field that changes results.

    Args:
        flag: name of its position on the command line, or `--flag`; "" if it has none.
        default: value if the flag is not given, and of an older row that lacks the column; or a
            function of the row. Without one, the flag must be given and every row has the column.
        column: of the CSV, if it is not the field's name.
        name: how a value that is not the default stands in names; or a function of it.
        group: heading in `--help` of a flag that may be left out.
        parsed: `help`, and if it has a flag, more keyword arguments of `add_argument`. With
            `nargs="+"` each value makes trials.
    """
    metadata = {"flag": flag, "default": default, "column": column, "name": name, "group": group}
    metadata["parsed"] = parsed
    fixed = dataclasses.MISSING if callable(default) else default
    return dataclasses.field(default=fixed, metadata=metadata)


class Switch(argparse.Action):
    """A flag without a value, and `--no-FLAG`, which takes back the flag of a recipe."""

    def __init__(self, option_strings, dest, const, help):
        """Take the value that the flag stands for; without it, the value is an empty text."""
        flags = [*option_strings, *(f"--no-{each[2:]}" for each in option_strings)]
        super().__init__(flags, dest, nargs=0, const=const, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        """Keep the value."""
        value = "" if (option_string or "").startswith("--no-") else self.const
        setattr(namespace, self.dest, value)


def of(kind):
    """`{column: field}` of a dataclass of settings and those nested in it, in their order."""
    found = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            found |= of(field.type)
        else:
            found[_column(field)] = field
    return found


def row(settings):
    """`{column: value}` of settings and those nested in them."""
    found = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found |= row(value)
        else:
            found[_column(field)] = value
    return found


def usual(field, row):
    """Value of a field if its flag is not given, and in older rows that lack its column."""
    default = field.metadata["default"]
    return default(row) if callable(default) else default


def _column(field):
    return field.metadata.get("column") or field.name
