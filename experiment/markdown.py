"""The table of a study as Markdown, for an issue or a paper."""

import pandas as pd

from experiment import figures, lines, log
from pruning.exports import FORMATS

COMPARISON = (
    "The baseline had fewer epochs. So compare a pruned network with the one of ratio 0.0, which "
    "was not pruned, but retrained for the same epochs."
)


def page(means):
    """A table for each network, a row for each setting; the best accuracy is bold.

    If networks were retrained, the last line says what to compare with.

    Networks are those whose baselines were trained differently, as in the figure.

    Args:
        means: DataFrame as `summary.summarised` returns it.

    Returns:
        Text.
    """
    means = lines.described(means)
    varying = figures.varying(means, lines.NETWORK)
    networks = means.groupby(lines.NETWORK, sort=False)
    comparison = [COMPARISON, ""] if means["epoch2"].any() else []
    return "\n".join([*(_section(network, varying) for _, network in networks), *comparison])


def table(heads, rows):
    """Lines of a Markdown table whose columns are aligned; all but the first to the right."""
    cells = [[text.replace("|", r"\|") for text in row] for row in (heads, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rules = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return [
        f"| {first.ljust(widths[0])} | {' | '.join(map(str.rjust, others, widths[1:]))} |"
        for first, *others in (cells[0], rules, *cells[1:])
    ]


def _section(network, varying):
    """The heading and the table of a network."""
    # what was not pruned stands beside the baseline
    network = network.assign(pruned=network["kind"] != "unpruned")
    network = lines.from_largest(network, ["pruned", "kind", "label", "pruning_ratio"])
    setting = network.iloc[0]
    others = [name for name in varying if name not in ("dataset", "model", "epoch1")]
    trained = f"{log.epochs(setting['epoch1'])} of training" if setting["epoch1"] else ""
    epochs = figures.span(network["epoch2"])
    retrained = "not retrained" if epochs == "0" else f"{epochs} of retraining"
    details = [figures.in_words(setting, others), trained, retrained]
    heading = f"**{setting['model']} on {setting['dataset']}**, {', '.join(filter(None, details))}"
    columns = _columns(network)
    rows = zip(*columns.values(), strict=True)
    return "\n".join([heading, "", *table(list(columns), rows), ""])


def _columns(network):
    """`{head: [text]}` of a network: the baseline, then each setting."""
    first = lines.baseline(network).iloc[0]
    best = max(first["baseline_accuracy_mean"], network["accuracy_mean"].max())
    rows = network.to_dict("records")
    columns = {
        "network": ["baseline", *network["label"]],
        "filters removed": ["", *map(log.removed, rows)],
        "parameters": _sizes("parameters", first, rows),
        "MACs": _sizes("macs", first, rows),
        "test accuracy (%)": [
            _accuracy(first, "baseline_accuracy", best),
            *(_accuracy(row, "accuracy", best) for row in rows),
        ],
        "change from baseline (points)": [
            "",
            *(f"{-100 * row['accuracy_drop_mean']:+z.2f}" for row in rows),
        ],
        "n": [str(first["n"]), *(str(row["n"]) for row in rows)],
    }
    if not all(pd.isna(row["recalibrated_accuracy_mean"]) for row in rows):
        columns["recalibrated (%)"] = [
            _accuracy(first, "recalibrated_baseline_accuracy"),
            *(_accuracy(row, "recalibrated_accuracy") for row in rows),
        ]
    for each in FORMATS.values():
        sizes = [row[f"{each.column}_bytes_mean"] for row in rows]
        if not all(map(pd.isna, sizes)):
            columns[f"{each.name} (bytes)"] = ["", *map(_amount, sizes)]
    return columns


def _sizes(name, first, rows):
    before = _amount(first[f"baseline_{name}"])
    return [before, *(f"{_amount(row[name])}{_removed(row[f'{name}_removed'])}" for row in rows)]


def _removed(part):
    return f" ({-100 * part:+.1f} %)" if part > 0 else ""  # not a number if not counted


def _amount(number):
    return "" if pd.isna(number) else log.amount(round(number))


def _accuracy(row, name, best=None):
    mean, deviation = row[f"{name}_mean"], row[f"{name}_std"]
    if pd.isna(mean):
        return ""
    text = f"{100 * mean:.2f}" + ("" if pd.isna(deviation) else f" ± {100 * deviation:.2f}")
    return f"**{text}**" if mean == best else text
