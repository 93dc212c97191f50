"""What the figures share."""

import warnings

from experiment.layer_ratios import shortened
from scnnb.files import replaced

LINE = 0.22  # inches of one line of a legend


def save(figure, png):
    """Write the picture, whole or not at all.

    Args:
        figure: matplotlib Figure.
        png: pathlib.Path of the picture.
    """
    with replaced(png) as partial, warnings.catch_warnings():
        # it draws a box for a letter that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(partial, dpi=150)


def in_words(setting, names):
    """Settings in words, those that do not apply left out.

    Args:
        setting: a row of the CSV, by its columns.
        names: the columns that are to be told.
    """
    values = {name: setting[name] for name in names if setting[name] != ""}
    if "layer_ratios" in values:
        values["layer_ratios"] = shortened(values["layer_ratios"])
    return ", ".join(f"{name} {value}" for name, value in values.items())
