"""The names of folders and files, and the key of a row: formal.grid, _folder and _trial_name."""

import hashlib
import itertools
from argparse import Namespace

from hypothesis import given, settings
from hypothesis import strategies as st

import formal
from data.dataset import PIXELS
from pruning import criteria, report
from pruning.exports import FORMATS
from scnnb import backup, storage

NAMES = st.text("ab_.", min_size=1, max_size=4)
RATES = st.sampled_from([0.001, 0.01, 1e-05, 0.1])
COUNTS = st.integers(1, 12)
RATIOS = st.sampled_from([0.0, 0.05, 0.5, 0.55])
ARGUMENTS = {
    "dataset": NAMES,
    "model": NAMES.map(lambda name: f"{name}.keras"),
    "content": st.sampled_from("ab"),
    "lr": RATES,
    "batchSz": COUNTS,
    "Epoch1": COUNTS,
    "Epoch2": COUNTS,
    "filterPercentage": st.lists(RATIOS, min_size=1, max_size=2),
    "seeds": st.lists(st.integers(0, 11), min_size=1, max_size=2),
    "criterion": st.lists(
        st.sampled_from([*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS]), min_size=1, max_size=2
    ),
    "strategy": st.sampled_from(["independent", "greedy"]),
    "schedule": st.sampled_from(["one-shot", "iterative"]),
    "coupled": st.sampled_from(["joint", "shortcut", "skip"]),
    "optimizer": st.sampled_from(["adam", "sgd"]),
    "layer_ratios": st.sampled_from([None, "vgg16-A", "resnet56-A", '{"a": 0.5}', '{"a": 0.4}']),
    "retrain_lr": st.none() | RATES,
    "control": st.sampled_from([None, "scratch"]),
    "augment": st.booleans(),
    "precision": st.sampled_from(["float32", "bfloat16"]),
    "pixels": st.sampled_from(list(PIXELS)),
    "trained": st.booleans(),
}


@st.composite
def calls(draw):
    """Two calls that differ in up to three arguments."""
    one = draw(st.fixed_dictionaries(ARGUMENTS))
    names = draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=3))
    return [Namespace(**one), Namespace(**one | {name: draw(ARGUMENTS[name]) for name in names})]


def grid(args):
    names = [args.dataset, args.model, args.content]
    content = hashlib.sha256(repr(names).encode()).hexdigest()[:12]
    return list(formal.grid(args, args.dataset, content))


def files(path):
    """Everything that is written for what is stored under the path."""
    yield from (storage.model_path(path), f"{path}.json", f"{path}.lock", f"{path}_stages.csv")
    yield from (backup.backup_path(path, number) for number in range(3))
    yield from (file_format.path_of(path) for file_format in FORMATS.values())


@settings(max_examples=200, deadline=None)
@given(calls())
def test_settings_that_differ_share_no_row_no_folder_and_no_file(both):
    trials = {tuple(trial.items()): trial for args in both for trial in grid(args)}.values()
    keys = {tuple(trial[name] for name in report.TRIALS.settings) for trial in trials}
    assert len(keys) == len(trials)
    folders = {}
    for trial in trials:
        key = tuple(trial[name] for name in report.BASELINE_SETTINGS)
        folders.setdefault(key, set()).add(formal._folder(trial))
    assert all(len(each) == 1 for each in folders.values())
    assert len(set.union(*folders.values())) == len(folders)
    paths = [formal._folder(trial) / formal._trial_name(trial) for trial in trials]
    paths += [next(iter(each)) / "baseline" for each in folders.values()]
    written = list(itertools.chain.from_iterable(map(files, paths)))
    assert len(set(map(str, written))) == len(written)
