"""scnnb/backup.py: a resumed training ends with the weights of an uninterrupted one."""

import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from scnnb import backup, training
from scnnb.teacher import Teacher

OPTIONS = {
    "epochs": 3,
    "batch_size": 6,  # of 16 images: the last step of an epoch is smaller
    "optimizer": "adam",
    "learning_rate": 0.01,
    "augment": "",
}


VALIDATION = (np.linspace(0, 1, 20 * 64, dtype="float32").reshape(20, 8, 8, 1), np.arange(20) % 2)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 16).astype(np.int32)
    return SimpleNamespace(
        train_images=rng.uniform(0, 1, (16, 8, 8, 1)).astype("float32"), train_labels=labels
    )


def built(seed=1, dtype="float32"):
    """A network with all layers that have a state: dropout, BatchNormalization and noise."""
    keras.utils.set_random_seed(seed)
    of = {"dtype": dtype}
    stack = [layers.Conv2D(3, 3, **of), layers.BatchNormalization(**of)]
    stack += [layers.GaussianNoise(0.1, **of), layers.Flatten(**of), layers.Dropout(0.5, **of)]
    head = layers.Dense(2, "softmax", **of)
    return keras.Sequential([keras.Input((8, 8, 1)), *stack, head])


def taught(options):
    """The options of `train`; a teacher, `(weight, temperature)`, gets a network."""
    teacher = options.get("teacher")
    return options | {"teacher": teacher and Teacher(built(seed=5), *teacher)}


def weights(model):
    return [value.tobytes() for value in model.get_weights()]


def without_seconds(history):
    return [row | {"seconds": None} for row in history]


class Killed(BaseException):
    """An exception that no code catches, in place of kill -9."""


def kill_in(epoch, batch):
    """Callback that raises Killed after a batch of an epoch, both counted from 0."""
    now = []

    def begin(number, logs):
        now[:] = [number]

    def end(number, logs):
        if now == [epoch] and number == batch:
            raise Killed

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=end)


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        pytest.param({}, "graph", marks=pytest.mark.slow),
        (
            {"lr_schedule": "cosine", "warmup": 2, "weight_decay": 0.1, "validation": VALIDATION},
            "graph",
        ),
        (
            {"optimizer": "sgd", "augment": "crop-flip", "momentum": 0.9, "lr_schedule": "step"},
            "eager",
        ),
        ({"augment": "crop-flip", "precision": "bfloat16", "teacher": (0.9, 4.0)}, "eager"),
    ],
)
def test_a_resumed_training_has_exactly_the_weights_of_an_uninterrupted_one(
    dataset, tmp_path, capsys, request, changes, how
):
    if how == "eager":
        request.getfixturevalue("eager")
    options = taught(OPTIONS | changes)
    unbroken = built()
    history = training.train(unbroken, dataset, **options)
    expected = capsys.readouterr().out
    file, trained = tmp_path / "a.npz", 0.0
    for epoch, batch in ((0, 1), (1, 1), (2, 0)):
        with pytest.raises(Killed):
            kill = kill_in(epoch, batch)
            training.train(built(), dataset, **options, backup=file, callbacks=[kill])
        done, seconds, _ = backup.progress(file)
        assert done == epoch
        assert seconds > trained or not epoch
    resumed = built()
    capsys.readouterr()
    resumed_history = training.train(resumed, dataset, **options, backup=file)
    assert without_seconds(resumed_history) == without_seconds(history)
    assert len(history) == 3
    assert weights(resumed) == weights(unbroken)
    message, line = capsys.readouterr().out.splitlines()
    assert message == "continuing after epoch 2 of 3"
    assert line.split("accuracy")[0] == expected.splitlines()[2].split("accuracy")[0]
    assert backup.progress(file)[1] == sum(row["seconds"] for row in resumed_history)
    again = built()
    assert training.train(again, dataset, **options, backup=file) == resumed_history
    assert weights(again) == weights(unbroken)


def given(measure, lowered):
    """In place of `Validation`: a callback that gives these accuracies."""
    accuracies = [0.2, 0.8, 0.5, 0.8, 0.1, 0.3]
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(validation_accuracy=accuracies[epoch])
    )


@pytest.mark.usefixtures("eager")
def test_a_resumed_training_has_the_weights_of_the_best_epoch_even_if_it_was_before_the_stop(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "Validation", given)
    options = OPTIONS | {"epochs": 6, "batch_size": 8, "validation": VALIDATION}
    after_epochs = []

    def end(epoch, logs):
        after_epochs.append(weights(watch.model))

    watch = keras.callbacks.LambdaCallback(on_epoch_end=end)
    unbroken = built()
    history = training.train(unbroken, dataset, **options, best_epoch=True, callbacks=[watch])
    assert [row["taken"] for row in history] == [0, 1, 0, 0, 0, 0]  # the first of two
    assert weights(unbroken) == after_epochs[1] != after_epochs[-1]
    for epoch in (1, 2, 5):
        with pytest.raises(Killed):
            kill = {"backup": tmp_path / "a.npz", "callbacks": [kill_in(epoch, 0)]}
            training.train(built(), dataset, **options, best_epoch=True, **kill)
    for _ in range(2):  # the second reads the finished training
        resumed = built()
        stored = {"best_epoch": True, "backup": tmp_path / "a.npz"}
        resumed_history = training.train(resumed, dataset, **options, **stored)
        assert weights(resumed) == weights(unbroken)
        assert without_seconds(resumed_history) == without_seconds(history)
    last = built()
    history = training.train(last, dataset, **options)
    assert weights(last) == after_epochs[-1]
    assert [row["taken"] for row in history] == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "dtype",
    ["bfloat16", *(pytest.param(p, marks=pytest.mark.slow) for p in ("float64", "mixed_float16"))],
)
@pytest.mark.usefixtures("eager")
def test_a_training_in_another_precision_can_be_resumed(dataset, tmp_path, dtype):
    training.train(unbroken := built(dtype=dtype), dataset, **OPTIONS | {"epochs": 2})
    options = OPTIONS | {"epochs": 2, "backup": tmp_path / "a.npz"}
    with pytest.raises(Killed):
        training.train(built(dtype=dtype), dataset, **options, callbacks=[kill_in(1, 0)])
    training.train(resumed := built(dtype=dtype), dataset, **options)
    assert os.listdir(tmp_path) == ["a.npz"]
    assert weights(resumed) == weights(unbroken)


@pytest.mark.usefixtures("eager")
def test_a_training_has_the_same_weights_with_and_without_a_backup(dataset, tmp_path):
    without, stored = built(), tmp_path / "a.npz"
    training.train(without, dataset, **OPTIONS)
    training.train(model := built(), dataset, **OPTIONS, backup=stored)
    assert weights(model) == weights(without)
    assert os.listdir(tmp_path) == ["a.npz"]


def at(clock, state, epoch, *ends):
    """Call the backup for an epoch that begins now and whose steps end at these times."""
    state.on_epoch_begin(epoch)
    for batch, clock[0] in enumerate(ends):
        state.on_train_batch_end(batch)
    state.on_epoch_end(epoch, {"loss": 1.0})


def test_the_seconds_of_epochs_exclude_the_steps_that_are_traced(tmp_path, monkeypatch):
    """Those are the first step and the smaller last one, in the first epoch of every call."""
    clock, file = [0.0], tmp_path / "a.npz"
    monkeypatch.setattr(backup.time, "monotonic", lambda: clock[0])
    state = backup.Backup(file, compiled(), "settings")
    at(clock, state, 0, 100, 102, 104, 150)  # the other steps take two seconds
    assert backup.progress(file) == (1, 150, [8])
    at(clock, state, 1, 153, 155, 157, 159)
    assert backup.progress(file) == (2, 159, [8, 9])
    clock[0] = 1000.0
    resumed = backup.Backup(file, compiled(), "settings")
    at(clock, resumed, 2, 1050, 1053, 1056, 1060)
    assert backup.progress(file) == (3, 219, [8, 9, 12])


def test_a_first_epoch_of_two_steps_is_not_in_the_seconds_of_epochs(tmp_path, monkeypatch):
    clock, file = [0.0], tmp_path / "a.npz"
    monkeypatch.setattr(backup.time, "monotonic", lambda: clock[0])
    state = backup.Backup(file, compiled(), "settings")
    at(clock, state, 0, 100, 150)
    assert backup.progress(file) == (1, 150, [])
    at(clock, state, 1, 151, 152)
    assert backup.progress(file) == (2, 152, [2])


@pytest.mark.usefixtures("eager")
def test_a_training_continues_from_a_backup_without_the_seconds_of_epochs(dataset, tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(Killed):
        training.train(built(), dataset, **OPTIONS, backup=file, callbacks=[kill_in(1, 0)])
    with np.load(file) as stored:
        np.savez(file, **{name: stored[name] for name in stored if name != "epoch_seconds"})
    assert backup.progress(file)[0] == 1
    assert backup.progress(file)[2] == []
    training.train(built(), dataset, **OPTIONS, backup=file)
    assert len(backup.progress(file)[2]) == 2


@pytest.fixture
def finished(dataset, tmp_path, eager):
    """The backup of a training of one epoch as bytes, and the weights after it."""
    file, model = tmp_path / "finished.npz", built()
    training.train(model, dataset, **OPTIONS | {"epochs": 1}, backup=file)
    return file.read_bytes(), weights(model)


@pytest.mark.parametrize("part", [0, 0.9, "flipped", "foreign"])
def test_a_damaged_backup_is_reported_and_not_used(dataset, finished, tmp_path, capsys, part):
    file, (content, expected) = tmp_path / "a.npz", finished
    if part == "flipped":
        place = content.index(expected[0])
        content = content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    elif part == "foreign":
        np.savez(file, numbers=[1])
        content = file.read_bytes()
    else:
        content = content[: int(part * len(content))]
    file.write_bytes(content)
    model = built()
    capsys.readouterr()
    training.train(model, dataset, **OPTIONS | {"epochs": 1}, backup=file)
    out = capsys.readouterr().out
    assert f"{file} is not a backup of this training (" in out
    assert "set aside as a.npz.damaged1" in out
    assert (tmp_path / "a.npz.damaged1").read_bytes() == content
    assert weights(model) == expected
    assert backup.progress(file)[0] == 1


def compiled(seed=1, optimizer="adam"):
    model = built(seed)
    model.compile(optimizer, "mse")
    return model


def test_a_backup_of_another_training_is_not_used(tmp_path, capsys):
    file = tmp_path / "a.npz"
    state = backup.Backup(file, compiled(), ("settings", 1))
    state.on_epoch_begin(0)
    state.on_epoch_end(0, {"loss": 1.0})
    assert backup.Backup(file, compiled(), ("settings", 1)).done == 1
    others = [(compiled(2), ("settings", 1)), (compiled(), ("settings", 2))]
    others += [(compiled(optimizer="sgd"), ("settings", 1))]
    content = file.read_bytes()
    for number, (model, settings) in enumerate(others, 1):
        file.write_bytes(content)
        before = weights(model)
        assert backup.Backup(file, model, settings).done == 0
        assert weights(model) == before
        assert capsys.readouterr().out.endswith(f"set aside as a.npz.damaged{number}\n")


def test_a_backup_gets_every_setting_of_its_training(dataset, tmp_path, monkeypatch):
    changes = [
        {},
        {"batch_size": 4},
        {"optimizer": "sgd"},
        {"learning_rate": 0.02},
        {"augment": "crop-flip"},
        {"epochs": 5},
        {"precision": "bfloat16"},
        {"lr_schedule": "cosine"},
        {"warmup": 1},
        {"weight_decay": 0.1},
        {"momentum": 0.5},
        {"nesterov": True},
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"validation": VALIDATION},
        {"validation": VALIDATION, "best_epoch": True},
        {"teacher": (0.9, 4.0)},
    ]
    model, given = built(), []

    def stop(path, model, settings, **how):
        given.append(repr((type(model.optimizer), *settings)))
        raise Killed

    monkeypatch.setattr(training, "Backup", stop)
    for change in changes:
        with pytest.raises(Killed):
            training.train(model, dataset, **taught(OPTIONS | change), backup=tmp_path / "a.npz")
    assert len(set(given)) == len(changes)


def test_a_pipe_in_place_of_a_backup_is_set_aside(tmp_path, capsys):
    file = tmp_path / "a.npz"
    os.mkfifo(file)
    assert backup.progress(file) == (0, 0.0, [])
    assert backup.Backup(file, compiled(), ()).done == 0
    assert capsys.readouterr().out.endswith("set aside as a.npz.damaged1\n")


@pytest.mark.usefixtures("eager")
def test_a_diverged_training_is_an_error_again_when_it_is_repeated(dataset, tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="training diverged"):
            training.train(
                built(), dataset, **OPTIONS | {"learning_rate": 1e38}, backup=tmp_path / "a.npz"
            )


@pytest.mark.usefixtures("eager")
def test_on_a_full_disk_the_backup_of_the_previous_epoch_is_kept(dataset, tmp_path, monkeypatch):
    file = tmp_path / "a.npz"
    write, calls = backup.Backup._write, []

    def full(state, partial, progress):
        calls.append(partial)
        write(state, partial, progress)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.Backup, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        training.train(built(), dataset, **OPTIONS, backup=file)
    assert backup.progress(file)[0] == 1
    assert os.listdir(tmp_path) == ["a.npz"]


def test_without_a_backup_no_epoch_is_done(tmp_path):
    assert backup.progress(tmp_path / "a.npz") == (0, 0.0, [])
