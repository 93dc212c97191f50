"""scnnb/batches.py, and how TensorFlow reads the batches."""

import functools

import numpy as np
import pytest

from scnnb import batches
from scnnb.augmentation import AUGMENTATIONS
from scnnb.backends import tensorflow

LABELS = np.arange(10, dtype=np.int32)
IMAGES = (LABELS + 1).astype(np.float32).reshape(10, 1, 1, 1) * np.ones((1, 8, 8, 1), np.float32)


def epochs_of(*, seed=0, **options):
    """The epochs, each `[(images, labels), ...]`; all pixels of the image of label n are n + 1."""
    options = {"seed": seed, "batch_size": 4, "epochs": 3} | options
    pairs = list(batches.batches(IMAGES, LABELS, **options))
    return [pairs[start : start + 3] for start in range(0, len(pairs), 3)]


def joined(epoch):
    assert [len(labels) for _, labels in epoch] == [4, 4, 2]
    return [np.concatenate(part) for part in zip(*epoch, strict=True)]


@pytest.mark.parametrize("augment", ["", *AUGMENTATIONS])
def test_each_image_appears_once_per_epoch_with_its_label(augment):
    epochs = epochs_of(augment=augment)
    assert len(epochs) == 3
    for epoch in epochs:
        images, labels = joined(epoch)
        assert (images.dtype, labels.dtype) == (np.float32, np.int32)
        assert sorted(labels) == list(range(10))
        np.testing.assert_array_equal(images.max(axis=(1, 2, 3)), labels + 1)


def test_without_augmentation_the_images_are_not_changed():
    for epoch in epochs_of():
        images, labels = joined(epoch)
        np.testing.assert_array_equal(images, IMAGES[labels])


def test_every_epoch_has_another_order_and_other_shifts():
    (images, labels), (other_images, other_labels), _ = map(joined, epochs_of(augment="crop-flip"))
    assert list(labels) != list(other_labels) != list(range(10))
    # the black pixels show the shift of any image
    black, other_black = images == 0, other_images == 0
    assert (black[np.argsort(labels)] != other_black[np.argsort(other_labels)]).any()
    assert len({each.tobytes() for each in black}) > 5


def test_every_batch_has_other_shifts():
    first, second, _ = epochs_of(augment="crop-flip")[0]
    assert ((first[0] == 0) != (second[0] == 0)).any()


@pytest.mark.parametrize("augment", ["", *AUGMENTATIONS])
def test_an_epoch_does_not_depend_on_the_first_epoch(augment):
    expected = epochs_of(augment=augment)[1:]
    for epoch, same in zip(epochs_of(augment=augment, first_epoch=1), expected, strict=True):
        for part, same_part in zip(joined(epoch), joined(same), strict=True):
            np.testing.assert_array_equal(part, same_part)


@pytest.mark.parametrize("augment", ["", *AUGMENTATIONS])
def test_the_batches_depend_on_the_seed(augment):
    one = joined(epochs_of(augment=augment)[0])
    for same, seed in ((True, 0), (False, 1)):
        other = joined(epochs_of(augment=augment, seed=seed)[0])
        assert np.array_equal(one[0], other[0]) == same


def source_of(images, labels, **options):
    """The tf.data.Dataset of the batches."""
    generator = functools.partial(batches.batches, images, labels, seed=0, epochs=1, **options)
    return tensorflow.source(generator, images.shape[1:])


def test_tensorflow_gets_the_same_batches_every_time():
    source = source_of(IMAGES, LABELS, batch_size=4)
    for _ in range(2):
        for pair, expected in zip(source, epochs_of(epochs=1)[0], strict=True):
            for part, same in zip(pair, expected, strict=True):
                np.testing.assert_array_equal(part.numpy(), same)
                assert part.dtype == same.dtype


def test_only_a_few_batches_are_prefetched():
    taken = []

    class Watched:
        shape = (1000, 8, 8, 1)

        def __getitem__(self, chosen):
            taken.append(len(chosen))
            return np.zeros((len(chosen), 8, 8, 1), np.float32)

    source = source_of(Watched(), np.zeros(1000, np.int32), batch_size=10)
    for done, _ in enumerate(source, 1):
        assert done <= len(taken) <= done + tensorflow.AHEAD + 2
    assert taken == [10] * 100


def test_autotuning_is_off():
    """Measured: with autotuning, an epoch of 6 s takes up to 10 s, because its thread sleeps."""
    source = source_of(IMAGES, LABELS, batch_size=4)
    assert source.options().autotune.enabled is False
