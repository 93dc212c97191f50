"""The parts of the pages that follow from the code: `python -m docs.generate` writes them again.

In a page such a part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import argparse
import functools
import re
from pathlib import Path

from experiment import arguments, fields, recipes
from experiment.columns import MEANINGS, TRIALS
from experiment.settings import TrialSettings

FOLDER = Path(__file__).parent


def command_line():
    """A table for each group of arguments of the parser: the argument and its help text."""
    parser = arguments.make_parser()
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=2000)
    tables = []
    for title, section in re.findall(r"^(\S[^\n]*):\n((?:  .*\n)+)", parser.format_help(), re.M):
        entries = re.findall(r"^  (\S.*?)(?:  +|\n +)(\S.*)", section, re.M)
        rows = [(_code(argument), _prose(meaning)) for argument, meaning in entries]
        tables += [f"## {title.capitalize()}", _table(["argument", "meaning"], rows)]
    return "\n\n".join(tables)


def columns():
    """Tables of the columns of the CSV: the settings with their flags, then what is measured."""
    settings = [
        (_code(name), _code(field.metadata["flag"]), _first_sentence(field))
        for name, field in fields.of(TrialSettings).items()
    ]
    measured = [(_code(name), MEANINGS[name]) for name in TRIALS.columns if name in MEANINGS]
    return "\n\n".join(
        [
            _table(["setting", "argument", "meaning"], settings),
            _table(["measured", "meaning"], measured),
        ]
    )


def recipe_files():
    """The files of all recipes."""
    files = [recipes.FOLDER / f"{name}.toml" for name in recipes.NAMES]
    return "\n\n".join(f"### {f.stem}\n\n```toml\n{f.read_text()}```" for f in files)


GENERATED = {"arguments": command_line, "columns": columns, "recipes": recipe_files}


def renewed(page):
    """The text of a page with each of its generated parts as the code has it now."""

    def part(match):
        name = match[1]
        return f"<!-- begin {name} -->\n\n{GENERATED[name]()}\n\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->", part, page, flags=re.S)


def _first_sentence(field):
    sentence, _, _ = field.metadata["parsed"]["help"].partition(". ")
    return _prose(f"{sentence.removesuffix('.')}.".replace("%%", "%"))


def _code(text):
    return f"`{text}`".replace("|", r"\|") if text else ""


def _prose(text):
    return re.sub(r"[|*]", r"\\\g<0>", text).replace("<", "&lt;")


def _table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for path in FOLDER.glob("*.md"):
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
