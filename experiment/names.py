"""Names of folders and files: all settings that are not the default."""

from pathlib import Path

from experiment import fields
from experiment.settings import BaselineSettings, TrialSettings


def folder(baseline: BaselineSettings):
    """Name of the folder of a baseline and its trials: all settings that are not the default."""
    return _name(fields.of(BaselineSettings), fields.row(baseline))


def trial(settings: TrialSettings):
    """Name of a trial in its folder: all its own settings that are not the default."""
    return files(fields.row(settings)).name


def files(row):
    """pathlib.Path of the files of a trial below the results folder, without suffix.

    Args:
        row: `{column: value}` of its settings, such as a row of the CSV.
    """
    of_baseline = fields.of(BaselineSettings)
    of_trial = fields.of(TrialSettings).items()
    own = {name: field for name, field in of_trial if name not in of_baseline}
    return Path(_name(of_baseline, row)) / _name(own, row)


def sensitivity(row):
    """Name of the files of a sensitivity, from `{column: value}` of its settings."""
    known = fields.of(TrialSettings)
    others = _name({name: known[name] for name in ("combine", "dense")}, row)
    own = ("sensitivity", row["criterion"], row["coupled"], row["images"], others)
    return "_".join(filter(None, own))


def _name(settings, row):
    parts = []
    for column, field in settings.items():
        if row[column] not in ("", fields.usual(field, row)):
            how = field.metadata["name"]
            parts.append(how(row[column]) if callable(how) else how.format(row[column]))
    return "_".join(parts)
