"""What trials ask of the library."""

import keras
import numpy as np
import pytest
from keras import layers

import data
import pruning
from experiment import arguments, grid, pruned
from experiment.errors import UserError


def trials(*options):
    """The settings of the trials of a call with these options."""
    given, _ = arguments.parse(["fashion", "0.01", "40", "1", "3", "0.5", *options])
    return grid.trials(given, dataset="few", content="")


def trial(*options):
    """The settings of the first trial."""
    return trials(*options)[0]


@pytest.mark.parametrize("schedule", ["one-shot", "iterative"])
@pytest.mark.parametrize(
    ("coupled", "filters"),
    [("joint", [2, 3, 2]), ("shortcut", [4, 3, 4]), ("skip", [4, 3, 4])],
)
def test_convolutions_that_meet_are_pruned_as_coupled_says(coupled, filters, schedule):
    images = keras.Input((28, 28, 1))
    first, last = (layers.Conv2D(4, 3, padding="same", name=f"conv{n}") for n in (1, 3))
    x = first(images)
    x += last(layers.Conv2D(6, 1, name="conv2")(x))
    model = keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    how = trial("--coupled", coupled, "--schedule", schedule)
    *_, (_, smaller) = pruned.cuts(model, how)
    assert [smaller.get_layer(f"conv{n}").filters for n in (1, 2, 3)] == filters


def test_prune_is_asked_for_what_the_flags_say(small, monkeypatch):
    calls, prune = [], pruning.prune

    def asked(*args, **options):
        calls.append(options)
        return prune(*args, **options)

    monkeypatch.setattr(pruning, "prune", asked)
    options = ("--seed", "3", "--coupled", "skip", "--criterion", "l2", "--strategy", "greedy")
    options += ("--combine", "max", "--dense", "--round-to", "3")
    model = keras.models.load_model(small)
    ((layer_names, smaller),) = pruned.cuts(model, trial(*options))
    names = ("criterion", "strategy", "coupled", "seed", "combine", "dense", "round_to")
    assert [calls[-1][name] for name in names] == ["l2", "greedy", "skip", 3, "max", True, 3]
    filters = [smaller.get_layer(name).filters for name in ("conv1", "conv2")]
    assert (layer_names, filters) == ("all layers", [3, 3])  # of 4 and 6, 2 and 3 would stay


def test_an_iterative_schedule_goes_on_with_the_network_it_gave(small):
    model = keras.models.load_model(small)
    stages = pruned.cuts(model, trial("--schedule", "iterative"))
    name, smaller = next(stages)
    assert (name, smaller.count_params()) == ("conv1", 204)
    smaller.get_layer("conv1").bias.assign([7, 7])  # as a retraining changes it
    name, smaller = next(stages)
    assert (name, smaller.count_params()) == ("conv2", 117)
    assert smaller.get_layer("conv1").bias.numpy().tolist() == [7, 7]
    assert not list(stages)


@pytest.mark.parametrize("criterion", ["l1", "mean-std"])
def test_the_compensation_is_measured_on_random_training_images(small, few, monkeypatch, criterion):
    monkeypatch.setattr(pruned, "COMPENSATION_IMAGES", 5)
    model, dataset = keras.models.load_model(small), data.load(few)
    images = dataset.train_images
    model.get_layer("conv1").bias.assign([1, 2, 3, 4])
    how = trial("--compensate", "--criterion", criterion, "--seed", "3")
    ((_, smaller),) = pruned.cuts(model, how, dataset)
    scores = pruning.judge(model, criterion, images=images)  # by all images
    some = images[np.random.default_rng(3).choice(len(images), 5, replace=False)]
    expected = pruning.prune(model, 0.5, criterion=scores, compensate=True, images=some)
    plain = pruning.prune(model, 0.5, criterion=scores)
    for one, other in zip(smaller.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert not np.allclose(smaller.get_layer("conv2").bias, plain.get_layer("conv2").bias)


def test_each_stage_of_an_iterative_schedule_is_compensated(small, few):
    model, dataset = keras.models.load_model(small), data.load(few)
    how = trial("--compensate", "--schedule", "iterative")
    stages = [each for _, each in pruned.cuts(model, how, dataset)]
    changed = [
        not np.allclose(after.layers[-1].bias, before.layers[-1].bias)
        for before, after in zip([model, *stages], stages, strict=False)
    ]
    assert changed == [False, True]  # the last layer reads the second convolution


def test_a_stepwise_schedule_goes_on_with_the_network_it_gave_to_the_shape_of_one_shot(small):
    model = keras.models.load_model(small)
    steps = pruned.cuts(model, trial("--schedule", "stepwise", "--steps", "3"))
    found = []
    for number in (1, 2, 3):
        name, smaller = next(steps)
        assert name == f"all layers (step {number} of 3)"
        found.append([smaller.get_layer(each).filters for each in ("conv1", "conv2")])
        if number > 1:
            assert set(smaller.get_layer("conv1").bias.numpy()) == {7}
        smaller.get_layer("conv1").bias.assign([7] * found[-1][0])  # as a retraining changes it
    assert found == [[3, 5], [2, 4], [2, 3]]  # ceil(k / 6 * 4) and k filters less
    assert not list(steps)


def test_the_control_has_the_pruned_shape_and_new_weights(small):
    model = keras.models.load_model(small)
    control = trial("--strategy", "greedy", "--criterion", "random", "--compensate")
    new = pruned.renewed(model, control)
    assert new.count_params() == 117
    old = model.get_layer("conv1").kernel.numpy()
    assert set(new.get_layer("conv1").kernel.numpy().ravel()).isdisjoint(old.ravel())


@pytest.mark.parametrize(
    ("schedule", "shapes"),
    [
        ("one-shot", [[2, 4]]),
        ("stepwise", [[3, 5], [2, 4]]),
        ("iterative", [[2, 6], [2, 4]]),
    ],
)
def test_a_target_is_reached_by_every_schedule_and_by_the_control(small, schedule, shapes):
    """With a third of the filters 2 and 4 stay: 36 * 4 * 2 * 9 + ... are half of the MACs."""
    model = keras.models.load_model(small)
    steps = ["--steps", "2"] if schedule == "stepwise" else []
    options = ("--target", "macs", "--schedule", schedule, "--control", "scratch", *steps)
    how, control = trials(*options)
    found = [each for _, each in pruned.cuts(model, how)]
    found.append(pruned.renewed(model, control))
    filters = [[each.get_layer(name).filters for name in ("conv1", "conv2")] for each in found]
    assert filters == [*shapes, shapes[-1]]
    full, half = pruned.macs(model), pruned.macs(found[-1])
    assert half <= full / 2 < 13**2 * 9 * 3 + 6**2 * 9 * 3 * 4 + 4 * 10


def test_layer_ratios_stay_as_they_are_beside_a_target(small, tmp_path):
    (tmp_path / "ratios.json").write_text('{"conv2": 0}')
    options = ("--target", "macs", "--layer-ratios", str(tmp_path / "ratios.json"))
    model = keras.models.load_model(small)
    ((_, smaller),) = pruned.cuts(model, trial(*options))
    # with two filters in conv1: 6,990 MACs of 13,920
    assert [smaller.get_layer(name).filters for name in ("conv1", "conv2")] == [1, 6]


@pytest.mark.parametrize("criterion", ["largest", "taylor"])
def test_with_global_ranking_the_control_has_the_shape_that_the_criterion_gave(
    small, few, criterion
):
    model, dataset = keras.models.load_model(small), data.load(few)
    for name, norms in (("conv1", [1, 1, 1, 9]), ("conv2", [4] * 6)):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.full(kernel.shape, norms))
    answers = model.layers[-1].kernel
    answers.assign(answers * np.array([[0]] * 5 + [[1]]))  # the loss needs one filter of conv2

    def filters(network):
        return [network.get_layer(name).filters for name in ("conv1", "conv2")]

    options = ("--ranking", "global", "--control", "scratch", "--criterion", "l1", criterion)
    how = {(each.criterion, each.control): each for each in trials(*options) if each.pruning_ratio}
    shapes = {}
    for name in ("l1", criterion):
        ((_, smaller),) = pruned.cuts(model, how[name, ""], dataset)
        shapes[name] = filters(smaller)
        control = pruned.renewed(model, how[name, "scratch"], dataset)
        assert filters(control) == shapes[name]
    assert shapes["l1"] == [1, 4] != shapes[criterion]  # 5 of 10 filters go


def test_dense_layers_lose_units_in_every_schedule_and_in_the_control():
    vectors = keras.Input((4,))
    model = keras.Model(vectors, layers.Dense(3)(layers.Dense(8, name="hidden")(vectors)))
    for schedule in ("one-shot", "iterative", "stepwise"):
        steps = ["--steps", "2"] if schedule == "stepwise" else []
        how = trial("--dense", "--schedule", schedule, "--round-to", "3", *steps)
        *_, (_, smaller) = pruned.cuts(model, how)
        assert smaller.get_layer("hidden").units == 6  # 4 would stay
    assert pruned.renewed(model, how).get_layer("hidden").units == 6


def test_a_network_that_no_schedule_can_prune_is_the_users_to_mend():
    images = keras.Input((8, 8, 1))
    model = keras.Model(images, layers.Dense(10)(layers.Flatten()(images)))
    with pytest.raises(UserError, match="no convolution that could lose a filter"):
        list(pruned.cuts(model, trial("--schedule", "iterative")))


def test_macs_of_images_of_any_size_are_not_counted(small):
    images = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    assert pruned.macs(keras.Model(images, layers.Dense(10)(x))) is None
    assert pruned.macs(keras.models.load_model(small)) > 0
