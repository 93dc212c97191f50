"""experiment/settings.py, fields.py and names.py: settings of trials, their columns and names."""

import dataclasses
import hashlib
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from data.dataset import PIXELS
from experiment import fields, names, settings
from experiment.columns import BASELINE_SETTINGS, TRIALS
from experiment.settings import BaselineSettings, TrialSettings
from experiment.store import Entry
from pruning import criteria, request
from pruning.exports import FORMATS
from scnnb.files import partial_path
from tests import studies

NAMES = st.text("ab_.", min_size=1, max_size=4)
SGD = ("weight_decay", "momentum")
RATES = st.sampled_from([0.001, 0.01, 1e-05, 0.1])
COUNTS = st.integers(1, 12)
SCHEDULES = st.sampled_from(["constant", "cosine", "step"])
VALUES = {
    "dataset": NAMES,
    "model": NAMES.map("{}.keras".format),
    "optimizer": st.sampled_from(["adam", "sgd"]),
    "learning_rate": RATES,
    "lr_schedule": SCHEDULES,
    "warmup": st.integers(0, 2),
    "weight_decay": st.sampled_from([0.0, 5e-06, 0.001]),
    "momentum": st.sampled_from([0.0, 0.9, 0.95]),
    "nesterov": st.sampled_from(["", "nesterov"]),
    "batch_size": COUNTS,
    "augment": st.sampled_from(["", "flip", "crop-flip"]),
    "label_smoothing": st.sampled_from([0.0, 0.1]),
    "class_weights": st.sampled_from(["", "balanced"]),
    "precision": st.sampled_from(["float32", "bfloat16"]),
    "epoch_taken": st.sampled_from(["", "best"]),
    "epoch1": st.integers(0, 12),
    "pixels": st.sampled_from(list(PIXELS)),
    "normalize": st.sampled_from(["", "normalize"]),
    "validation": st.sampled_from([0.0, 0.1, 0.25]),
    "backend": st.sampled_from(["tensorflow", "jax", "torch"]),
    "seed": st.integers(0, 11),
    "content": st.sampled_from("ab"),
    "pruning_ratio": st.sampled_from([0.0, 0.05, 0.5, 0.55]),
    "target": st.sampled_from(["", "macs 0.5", "macs 0.55", "parameters 0.5", "bytes 5"]),
    "layer_ratios": st.sampled_from(["", "vgg16-A", "resnet56-A", '{"a": 0.5}', '{"a": 0.4}']),
    "ranking": st.sampled_from(["uniform", "global"]),
    "keep": st.sampled_from([0.0, 0.1, 0.3]),
    "coupled": st.sampled_from(["joint", "shortcut", "skip"]),
    "combine": st.sampled_from(["sum", "mean", "max"]),
    "dense": st.sampled_from(["", "dense"]),
    "round_to": st.sampled_from([1, 8]),
    "criterion": st.sampled_from([*criteria.OF_KERNELS, *criteria.OF_FEATURE_MAPS]),
    "strategy": st.sampled_from(["independent", "greedy"]),
    "compensate": st.sampled_from(["", "compensate"]),
    "schedule": st.sampled_from(["one-shot", "iterative", "stepwise"]),
    "steps": st.sampled_from([0, 4, 8]),
    "control": st.sampled_from(["", "scratch"]),
    "epoch2": COUNTS,
    "retrain_learning_rate": RATES | st.none(),
    "retrain_schedule": SCHEDULES | st.none(),
    "distill": st.sampled_from([0.0, 0.5, 0.9]),
    "distill_temperature": st.sampled_from([0.0, 2.0, 4.0]),
}


def trial(values):
    """TrialSettings of `{column: value}`, such as a call can have."""
    named = repr([values["dataset"], values["model"], values["content"]])
    values = values | {"content": hashlib.sha256(named.encode()).hexdigest()[:12]}
    if values["target"]:
        values["pruning_ratio"] = None
    if values["control"]:  # the filters of a layer are not ranked
        values |= dict.fromkeys(["strategy", "compensate", "schedule"], "") | {"steps": 0}
        if values["ranking"] == "uniform":
            values |= {"criterion": "", "combine": "sum"}
        values |= {"distill": 0.0, "distill_temperature": 0.0}
        values |= {"retrain_learning_rate": None, "retrain_schedule": None}
    values["retrain_learning_rate"] = values["retrain_learning_rate"] or values["learning_rate"]
    values["retrain_schedule"] = values["retrain_schedule"] or values["lr_schedule"]
    return filled(TrialSettings, values)


def filled(kind, values):
    columns = {"epochs": "epoch1", "best_epoch": "epoch_taken"}
    return kind(
        **{
            field.name: filled(field.type, values)
            if dataclasses.is_dataclass(field.type)
            else values[columns.get(field.name, field.name)]
            for field in dataclasses.fields(kind)
        }
    )


@st.composite
def pairs(draw):
    """Settings of two trials that differ in up to three columns."""
    one = draw(st.fixed_dictionaries(VALUES))
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    return trial(one), trial(one | {name: draw(VALUES[name]) for name in names})


def entry(each):
    folder = Path(names.folder(each.baseline))
    return Entry(folder / names.trial(each), TRIALS.kinds)


def files(entry):
    """Everything that is written for a stored network."""
    files = [entry.model_file, entry.record_file, entry.stages_file, entry.layers_file]
    files += [entry.history_file]
    files += [entry.backup_file(number) for number in range(3)]
    files += [entry.export_file(each) for each in FORMATS.values()]
    return {f"{entry.path}.lock", *map(str, files), *(str(partial_path(file)) for file in files)}


def test_every_setting_is_drawn():
    assert [*VALUES] == [*fields.of(TrialSettings)] == TRIALS.settings


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(pairs())
def test_settings_that_differ_share_no_row_no_folder_and_no_file(both):
    one, other = both
    rows = [tuple(fields.row(each).values()) for each in both]
    assert (rows[0] == rows[1]) == (one == other)
    folders = [names.folder(each.baseline) for each in both]
    assert (folders[0] == folders[1]) == (one.baseline == other.baseline)
    written = [files(entry(each)) for each in both]
    written += [files(Entry(entry(one).path.with_name("baseline"), ()))]
    assert not written[2] & (written[0] | written[1])
    assert written[0] == written[1] if one == other else not written[0] & written[1]


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(pairs())
def test_a_name_is_one_part_of_a_path(both):
    for name in (names.folder(both[0].baseline), names.trial(both[0])):
        assert name and "/" not in name and name not in (".", "..")


RECIPE = studies.recipe(learning_rate=0.001, batch_size=128, epochs=35)
BASELINE = BaselineSettings(
    dataset="fashion", model="scnnb", recipe=RECIPE, seed=3, content="0123456789ab"
)
TRIAL = TrialSettings(
    baseline=BASELINE,
    pruning_ratio=0.4,
    keep=0.0,
    steps=0,
    epoch2=30,
    retrain_learning_rate=0.001,
    retrain_schedule="constant",
    distill_temperature=0.0,
)
CONTROL = dataclasses.replace(TRIAL, control="scratch", criterion="", strategy="", schedule="")


@pytest.mark.parametrize(
    ("recipe", "pixels", "name"),
    [
        ({}, "0..1", "fashion_scnnb_lr0.001_batch128_epochs35_seed3_0123456789ab"),
        (
            {"optimizer": "sgd", "augment": "crop-flip", "precision": "bfloat16", "epochs": 0}
            | {"weight_decay": 5e-6, "momentum": 0.9},
            "-1..1",
            "fashion_scnnb_sgd_lr0.001_batch128_crop-flip_bfloat16_epochs0_-1..1_seed3_0123456789ab",
        ),
        (
            {"label_smoothing": 0.1, "class_weights": "balanced"},
            "0..1",
            "fashion_scnnb_lr0.001_batch128_smoothing0.1_balanced_epochs35_seed3_0123456789ab",
        ),
        (
            {"lr_schedule": "step", "warmup": 5, "weight_decay": 0.001, "momentum": 0.5}
            | {"nesterov": "nesterov"},
            "0..1",
            "fashion_scnnb_lr0.001_step_warmup5_decay0.001_momentum0.5_nesterov_batch128_epochs35"
            "_seed3_0123456789ab",
        ),
    ],
)
def test_a_folder_is_named_after_what_shapes_the_baseline_but_defaults(recipe, pixels, name):
    recipe = dataclasses.replace(RECIPE, **recipe)
    baseline = dataclasses.replace(BASELINE, recipe=recipe, pixels=pixels)
    assert names.folder(baseline) == name
    elsewhere = dataclasses.replace(baseline, backend="jax")
    assert names.folder(elsewhere) == name.replace("_seed3_", "_jax_seed3_")


@pytest.mark.parametrize(
    ("trial", "name"),
    [
        (TRIAL, "pruned0.4_retrained30"),
        (CONTROL, "pruned0.4_scratch_retrained30"),
        (
            dataclasses.replace(TRIAL, schedule="stepwise", steps=4),
            "pruned0.4_stepwise_retrained30",
        ),
        (
            dataclasses.replace(TRIAL, schedule="stepwise", steps=5),
            "pruned0.4_stepwise_steps5_retrained30",
        ),
        (
            dataclasses.replace(TRIAL, distill=0.9, distill_temperature=4.0),
            "pruned0.4_retrained30_distill0.9",
        ),
        (
            dataclasses.replace(TRIAL, distill=0.9, distill_temperature=2.0),
            "pruned0.4_retrained30_distill0.9_temperature2.0",
        ),
        (dataclasses.replace(TRIAL, pruning_ratio=0.0), "pruned0.0_retrained30"),
        (
            dataclasses.replace(
                TRIAL,
                layer_ratios="vgg16-A",
                coupled="skip",
                criterion="l2",
                strategy="greedy",
                compensate="compensate",
                schedule="iterative",
                retrain_learning_rate=1e-5,
                retrain_schedule="cosine",
            ),
            "pruned0.4_vgg16-A_skip_l2_greedy_compensate_iterative_retrained30_lr1e-05_cosine",
        ),
        (
            dataclasses.replace(TRIAL, combine="mean", dense="dense", round_to=8),
            "pruned0.4_combine-mean_dense-layers_round8_retrained30",
        ),
        (
            dataclasses.replace(TRIAL, pruning_ratio=None, target="macs 0.5"),
            "pruned_macs0.5_retrained30",
        ),
        (
            dataclasses.replace(CONTROL, pruning_ratio=None, target="bytes 500000"),
            "pruned_bytes500000_scratch_retrained30",
        ),
        (
            dataclasses.replace(TRIAL, ranking="global", keep=0.1),
            "pruned0.4_global_retrained30",
        ),
        (
            dataclasses.replace(TRIAL, ranking="global", keep=0.3),
            "pruned0.4_global_keep0.3_retrained30",
        ),
        # printf '{"conv1": 0.5}' | sha256sum
        (
            dataclasses.replace(TRIAL, layer_ratios='{"conv1": 0.5}'),
            "pruned0.4_cbf67724_retrained30",
        ),
    ],
)
def test_a_trial_is_named_after_what_shapes_it_but_defaults(trial, name):
    assert names.trial(trial) == name
    folder = names.folder(trial.baseline)
    assert names.files(fields.row(trial)) == Path(folder, name)


def test_a_row_holds_every_setting_by_its_column():
    assert fields.row(TRIAL) == {
        "dataset": "fashion",
        "model": "scnnb",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "lr_schedule": "constant",
        "warmup": 0,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "nesterov": "",
        "batch_size": 128,
        "augment": "",
        "label_smoothing": 0.0,
        "class_weights": "",
        "precision": "float32",
        "epoch_taken": "",
        "epoch1": 35,
        "pixels": "0..1",
        "normalize": "",
        "validation": 0.0,
        "backend": "tensorflow",
        "seed": 3,
        "content": "0123456789ab",
        "pruning_ratio": 0.4,
        "target": "",
        "layer_ratios": "",
        "ranking": "uniform",
        "keep": 0.0,
        "coupled": "joint",
        "combine": "sum",
        "dense": "",
        "round_to": 1,
        "criterion": "l1",
        "strategy": "independent",
        "compensate": "",
        "schedule": "one-shot",
        "steps": 0,
        "control": "",
        "epoch2": 30,
        "retrain_learning_rate": 0.001,
        "retrain_schedule": "constant",
        "distill": 0.0,
        "distill_temperature": 0.0,
    }
    assert [*fields.row(BASELINE)] == [*fields.row(TRIAL)][:22] == BASELINE_SETTINGS


def test_fields_are_found_by_their_columns_in_the_dataclasses_that_are_nested():
    known = fields.of(TrialSettings)
    assert [*known] == [*fields.row(TRIAL)]
    assert known["epoch1"].name == "epochs"
    assert known["seed"].type is int


def test_a_setting_that_is_not_given_is_the_default_or_follows_another():
    usual = {
        column: fields.usual(field, {"learning_rate": 0.5, "lr_schedule": "step"})
        for column, field in fields.of(TrialSettings).items()
    }
    assert {column for column, value in usual.items() if value is dataclasses.MISSING} == {
        *("dataset", "model", "learning_rate", "batch_size", "epoch1", "seed"),
        *("pruning_ratio", "epoch2"),
    }
    assert (usual["optimizer"], usual["retrain_learning_rate"]) == ("adam", 0.5)
    assert (usual["retrain_schedule"], usual["weight_decay"], usual["momentum"]) == ("step", 0, 0)


def test_an_older_row_of_sgd_had_the_constants_of_the_scnnb_paper():
    known = fields.of(TrialSettings)
    decay, momentum = (fields.usual(known[n], {"optimizer": "sgd"}) for n in SGD)
    assert (decay, momentum) == (5e-6, 0.9)


def test_recipes_of_retraining_and_of_a_control_are_the_baselines_but_epochs_and_rate():
    other = dataclasses.replace(TRIAL, retrain_learning_rate=0.0001, retrain_schedule="step")
    changes = {"learning_rate": 0.0001, "lr_schedule": "step", "epochs": 30}
    assert other.retraining() == dataclasses.replace(RECIPE, **changes)
    assert CONTROL.from_scratch == dataclasses.replace(RECIPE, epochs=65)


def test_the_epochs_of_all_steps_are_those_of_one_shot_and_the_last_steps_have_one_more():
    for steps, epochs in ((4, [7, 7, 8, 8]), (7, [4] * 5 + [5] * 2), (30, [1] * 30)):
        trial = dataclasses.replace(TRIAL, schedule="stepwise", steps=steps)
        assert [trial.retraining(stage).epochs for stage in range(steps)] == epochs
    assert dataclasses.replace(trial, epoch2=0).retraining(29).epochs == 0
    iterative = dataclasses.replace(TRIAL, schedule="iterative")
    assert [iterative.retraining(stage).epochs for stage in range(3)] == [30] * 3


def test_without_a_ranking_a_trial_has_the_usual_one():
    assert settings.unranked(
        dataclasses.replace(CONTROL, compensate="compensate", combine="max")
    ) == dataclasses.replace(CONTROL, criterion="l1", strategy="independent")
    scored = {"ranking": "global", "keep": 0.1, "combine": "max", "criterion": "l2"}
    together = dataclasses.replace(CONTROL, **scored)  # its scores say how many filters go
    assert settings.unranked(
        dataclasses.replace(together, compensate="compensate")
    ) == dataclasses.replace(together, strategy="independent")


def test_the_amount_is_an_argument_of_prune_and_its_value():
    assert TRIAL.amount == ("ratio", 0.4)
    for text, amount in (
        ("macs 0.5", ("macs", 0.5)),
        ("parameters 1e-05", ("parameters", 1e-5)),
        ("bytes 500000", ("bytes", 500_000)),
    ):
        how = dataclasses.replace(TRIAL, pruning_ratio=None, target=text)
        assert how.amount == amount
        assert request.request(**dict([amount])).target == amount


def test_the_options_of_prune_are_those_of_the_flags():
    how = dataclasses.replace(
        TRIAL, layer_ratios='{"a": 0.5}', coupled="skip", combine="max", dense="dense", round_to=8
    )
    assert how.options == {
        "layer_ratios": {"a": 0.5},
        "ranking": "uniform",
        "keep": 0.0,
        "coupled": "skip",
        "combine": "max",
        "dense": True,
        "round_to": 8,
    }
    assert request.request(0.4, **TRIAL.options) == request.request(0.4, keep=0)
    together = dataclasses.replace(TRIAL, ranking="global", keep=0.1)
    assert request.request(0.4, **together.options) == request.request(0.4, ranking="global")
