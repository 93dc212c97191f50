"""The parts of the pages that follow from the code: `python -m docs.generate` writes them again.

In a page such a part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import argparse
import functools
import re
from collections import defaultdict
from pathlib import Path

import keras

from experiment import arguments, fields, recipes
from experiment.columns import MEANINGS, TRIALS
from experiment.settings import TrialSettings
from pruning import rules
from pruning.rules import attention, convolutions, einsum, operations, sequences, values

FOLDER = Path(__file__).parent
# what a rule does to the channels; the others pass on those that enter
PRUNED = {
    convolutions.convolution,
    convolutions.transposed_convolution,
    convolutions.separable_convolution,
    convolutions.dense,
    einsum.einsum_dense,
}
READING = {
    sequences.recurrent,
    sequences.embedding,
    attention.multi_head_attention,
    attention.grouped_query_attention,
}
STAYING = {values.mixing_normalization, sequences.masking}


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


def pruned_layers():
    """A table of the layers whose filters are pruned."""
    return _rules(lambda rule: rule in PRUNED)


def reading_layers():
    """A table of the layers that lose inputs, while their own channels stay."""
    return _rules(lambda rule: rule in READING)


def passing_layers():
    """A table of the layers and operations that pass channels on."""
    return _rules(lambda rule: rule not in PRUNED | READING | STAYING)


def staying_layers():
    """A table of the layers because of which channels stay."""
    return _rules(lambda rule: rule in STAYING)


def unknown_layers():
    """The layers of Keras without a rule, a list."""
    types = [each for each in _exported(keras.layers) if issubclass(each, keras.Layer)]
    own = (keras.layers.Layer, keras.layers.Wrapper, keras.layers.InputLayer)
    return _names([each for each in types if each not in rules.RULES and each not in own])


def _rules(of_section):
    """A table with a line for each rule: layers, operations, and what happens to channels."""
    layers, others = defaultdict(list), defaultdict(list)
    for layer_type, rule in rules.RULES.items():
        layers[rule].append(layer_type)
    public = {name: name for name in dir(keras.ops)}
    public |= {name: f"image.{name}" for name in dir(keras.ops.image) if name not in public}
    public = {name.replace("_", "").lower(): shown for name, shown in public.items()}
    for name, rule in operations.BY_NAME.items():
        if name.lower() in public:
            others[rule].append(f"`{public[name.lower()]}`")
    rows = [
        (_names(layers[rule]), ", ".join(dict.fromkeys(others[rule])), _first_line(rule))
        for rule in dict.fromkeys([*layers, *others])
        if of_section(rule)
    ]
    return _table(["layers", "`keras.ops`", "channels"], rows)


def _names(types):
    """The names of layer types as `keras.layers` exports them: `Conv1D/2D/3D`."""
    exported, dimensions = _exported(keras.layers), defaultdict(list)
    for name in [exported[each] for each in types]:
        stem, number, end = re.fullmatch(r"(.*?)(\dD)?(Transpose)?", name).groups()
        dimensions[stem, end or ""].append(number)
    return ", ".join(
        f"`{stem}{'/'.join(numbers) if numbers[0] else ''}{end}`"
        for (stem, end), numbers in dimensions.items()
    )


def _exported(module):
    """`{class: its name in the module}`; of several names, that of the class itself."""
    named = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    return {value: n for n, value in named.items()} | {
        value: n for n, value in named.items() if n == value.__name__
    }


def _first_line(rule):
    return _prose(re.sub(r"\s+", " ", rule.__doc__.partition("\n\n")[0]))


GENERATED = {
    "arguments": command_line,
    "columns": columns,
    "recipes": recipe_files,
    "pruned": pruned_layers,
    "reading": reading_layers,
    "passing": passing_layers,
    "staying": staying_layers,
    "unknown": unknown_layers,
}


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
