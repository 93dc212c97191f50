"""The trials of a call, with their baselines and the paths of their files."""

from dataclasses import dataclass, replace
from pathlib import Path

from experiment import names
from experiment.columns import TRIALS
from experiment.settings import BaselineSettings, TrialSettings
from experiment.store import Entry

RESULTS = Path("results")


@dataclass(frozen=True)
class Baseline:
    """The trained, unpruned network of one or more trials."""

    settings: BaselineSettings
    entry: Entry

    @property
    def baseline(self):
        """Itself, as a Trial has its baseline."""
        return self

    @property
    def seed(self):
        """The seed of all random numbers."""
        return self.settings.seed

    def within(self, folder):
        """The same with its files below another folder."""
        return replace(self, entry=self.entry.within(folder))


@dataclass(frozen=True)
class Trial:
    """A pruned and retrained network."""

    settings: TrialSettings
    entry: Entry
    baseline: Baseline

    @property
    def seed(self):
        """The seed of all random numbers."""
        return self.baseline.seed

    def within(self, folder):
        """The same with its files below another folder."""
        return replace(self, entry=self.entry.within(folder), baseline=self.baseline.within(folder))


@dataclass(frozen=True)
class Study:
    """All trials of a call; the trials of a baseline are next to each other."""

    trials: tuple

    @property
    def baselines(self):
        """The baselines of the trials, each once, in the order of the trials."""
        return list(dict.fromkeys(trial.baseline for trial in self.trials))

    def of(self, baseline: Baseline):
        """The trials of a baseline."""
        return [trial for trial in self.trials if trial.baseline == baseline]


def study(settings):
    """The Study of these settings, a list of TrialSettings."""
    _, optional, unmeasured = TRIALS.kinds
    of_baseline = {"accuracy": float, "seconds": float}, optional, unmeasured
    trials = []
    for each in settings:
        folder = RESULTS / names.folder(each.baseline)
        baseline = Baseline(each.baseline, Entry(folder / "baseline", of_baseline))
        trials.append(Trial(each, Entry(folder / names.trial(each), TRIALS.kinds), baseline))
    return Study(tuple(trials))
