"""Types of arguments: each takes a text and returns its value, or says what it expects."""

import argparse
import difflib
import json
import math
import re
from pathlib import Path

import data
import scnnb
from experiment.layer_ratios import LAYER_RATIOS
from pruning import criteria


def did_you_mean(text, names):
    """The end of a message: which of the names is close to the text, if one is."""
    known = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(text.strip().casefold(), known, n=1)
    return f" (did you mean {known[near[0]]}?)" if near else ""


def expected(accepted, given):
    """The message about a wrong value of an argument."""
    return f"expected {accepted}, got {given!r}"


def _as_a_part(text):
    """The end of a message: the part that a number of percent stands for."""
    number = text.strip().removesuffix("%")
    if is_number(number) and 1 < float(number) < 100:
        return f" (did you mean {float(number) / 100:g}?)"
    return ""


def _checked(kind, holds, accepted, guess=lambda text: ""):
    def convert(text):
        try:
            value = kind(text)
            if holds(value):
                return value
        # OSError: a path longer than the system allows; OverflowError: infinity as a whole number
        except (ValueError, OSError, OverflowError):
            pass
        raise argparse.ArgumentTypeError(expected(accepted, text.strip()) + guess(text))

    return convert


def _named(names, fits=lambda value: False, otherwise=""):
    """A type that takes one of the names, a function of `--custom`, or a text that fits."""

    def convert(text, functions=()):
        known = [*names, *functions]
        return _checked(
            str.strip,
            lambda value: value in known or fits(value),
            ", ".join(known if functions else [*known, "a function of --custom"]) + otherwise,
            lambda value: did_you_mean(value, known),
        )(text)

    return convert


def _name_or_none(*names):
    """A type that takes one of the names, or none, which is an empty text."""
    named = _checked(
        str.strip,
        lambda value: value in (*names, "none"),
        f"{', '.join(names)} or none",
        lambda value: did_you_mean(value, names),
    )
    return lambda text: named(text).replace("none", "")


learning_rate = _checked(
    float, lambda value: 0 < value < math.inf, "a number above 0, such as 0.001"
)
weight = _checked(float, lambda value: 0 <= value <= 1, "a number from 0 to 1, such as 0.9")
from_0 = _checked(float, lambda value: 0 <= value < math.inf, "a number from 0, such as 0.0001")
count_from_0 = _checked(int, lambda value: 0 <= value < 2**31, "a whole number from 0, such as 5")
count = _checked(int, lambda value: 1 <= value < 2**31, "a whole number from 1, such as 35")
steps = _checked(int, lambda value: 2 <= value < 2**31, "a whole number from 2, such as 4")
ratio = _checked(
    lambda text: float(text) + 0.0,  # -0.0 becomes 0.0
    lambda value: 0 <= value < 1,
    "a number from 0 to below 1, such as 0.4",
    _as_a_part,
)
part = _checked(
    float,
    lambda value: 0 < value <= 1,
    "the part that may remain, a number above 0, at most 1, such as 0.5",
    _as_a_part,
)
AMOUNTS = {  # --target: the type of filterPercentage
    "": ratio,
    "macs": part,
    "parameters": part,
    "bytes": _checked(int, lambda value: 1 <= value < 2**63, "a whole number, such as 500000"),
}
seed = _checked(int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 2^32 - 1")
dataset = _named(
    [*data.DATASETS],
    lambda value: (
        (value.endswith(".npz") and value.isprintable() and Path(value).is_file())
        or (
            value != ""
            and value.isprintable()
            and all((Path(value) / part).is_dir() for part in ("train", "test"))
        )
    ),
    " or the path of an .npz file or a folder with train/ and test/ that exists",
)
network = _named(
    [*scnnb.NETWORKS],
    lambda value: (
        value.endswith((".keras", ".h5")) and value.isprintable() and Path(value).is_file()
    ),
    " or the path of a .keras or .h5 file that exists",
)
augmentation = _name_or_none("crop-flip", "flip")
criterion = _named([*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS, *criteria.OF_NETWORKS])
class_weights = _name_or_none("balanced")
address = _checked(
    str.strip,
    lambda value: value in ("local", "auto") or re.fullmatch(r"(ray://)?[^\s:/]+:\d+", value),
    "local, auto, HOST:PORT, ray://HOST:PORT or nothing (a word after --ray is its address: write "
    "--ray last)",
)
share = _checked(
    float,
    lambda value: 0 < value < 1 or (value < math.inf and value == int(value) > 0),
    "a whole number from 1, or a part of one, such as 2 or 0.5",
)
csv = _checked(
    Path,
    lambda value: value.suffix == ".csv" and (value.is_file() or not value.exists()),
    "the path of a file that ends in .csv, such as results/fashion.csv",
)


def layer_ratios(text):
    """The name, or the content of the file as one line of JSON."""
    if text.endswith(".json"):
        try:
            if Path(text).exists() and not Path(text).is_file():  # a pipe may never end
                raise ValueError("it is not a file")
            ratios = json.loads(Path(text).read_text(encoding="utf-8"))
            if not isinstance(ratios, dict) or not ratios:
                raise ValueError("it holds no ratios")
            return json.dumps({pattern: ratio(str(part)) for pattern, part in ratios.items()})
        except (OSError, ValueError, RecursionError, argparse.ArgumentTypeError) as error:
            accepted = 'a file such as {"conv1": 0.5, "conv*": 0.2}'
            message = f"{expected(accepted, text)}: {error}"
            raise argparse.ArgumentTypeError(message) from error
    if text not in LAYER_RATIOS:
        accepted = f"{', '.join(LAYER_RATIOS)} or a file that ends in .json"
        message = expected(accepted, text) + did_you_mean(text, LAYER_RATIOS)
        raise argparse.ArgumentTypeError(message)
    return text


def is_number(text):
    """Whether the text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
