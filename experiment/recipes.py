"""Recipes: files that give the flags of a training."""

import argparse
import tomllib
from pathlib import Path

from experiment import checks, fields
from experiment.settings import TrialSettings

FOLDER = Path(__file__).parent / "recipes"
NAMES = sorted(file.stem for file in FOLDER.glob("*.toml"))


def arguments(text):
    """The arguments that a recipe stands for: `["--optimizer=sgd", ...]`.

    Args:
        text: one of `NAMES`, or the path of a `.toml` file. Its keys are flags of the group "how to
            train" without the dashes; the value of a flag that takes none is true.

    Raises:
        argparse.ArgumentTypeError: there is no such recipe, or it is not such a file.
    """
    file = FOLDER / f"{text}.toml" if text in NAMES else Path(text)
    if file.suffix != ".toml" or not file.is_file():
        accepted = f"{', '.join(NAMES)} or the path of a .toml file that exists"
        raise argparse.ArgumentTypeError(
            checks.expected(accepted, text) + checks.did_you_mean(text, NAMES)
        )
    try:
        recipe = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        accepted = 'a file of lines such as lr-schedule = "cosine"'
        raise argparse.ArgumentTypeError(f"{checks.expected(accepted, text)}: {error}") from error
    return [each for name, value in recipe.items() for each in _argument(text, name, value)]


def keys():
    """`{key of a recipe: whether its flag takes no value}`."""
    return {
        field.metadata["flag"].removeprefix("--"): "action" in field.metadata["parsed"]
        for field in fields.of(TrialSettings).values()
        if field.metadata["group"] == fields.TRAIN and field.metadata["flag"].startswith("--")
    }


def _argument(text, name, value):
    known = keys()
    if name not in known:
        accepted = checks.expected(", ".join(known), name) + checks.did_you_mean(name, known)
        raise argparse.ArgumentTypeError(f"{text}: {accepted}")
    if known[name] != isinstance(value, bool):
        accepted = "true or false" if known[name] else "a text or a number"
        raise argparse.ArgumentTypeError(f"{text}: {name}: {checks.expected(accepted, value)}")
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={value}"]
