"""data/split.py: which training images are for validation only."""

import numpy as np
import pytest

from data import dataset
from data.split import split

COUNTS = [2, 10, 15]  # images of the classes 0, 1, 2


@pytest.fixture
def whole():
    """A dataset whose images are numbered by their pixel; the classes are mixed."""
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], COUNTS))
    images = np.arange(27, dtype=np.uint8).reshape(-1, 1, 1)
    return dataset.from_raw("d", images, labels, images[:1], labels[:1]).between("0..255")


def numbers(images):
    return images[:].ravel().astype(int).tolist()


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (0.2, [1, 2, 3]),  # 0.4, 2 and 3.0000000000000004 rounded up
        (0.07, [1, 1, 2]),
        (0.99, [1, 9, 14]),  # one image of each class is left
    ],
)
def test_of_each_class_a_part_rounded_up_is_for_validation(whole, part, expected):
    own = split(whole, part, seed=3)
    assert np.bincount(own.validation_labels).tolist() == expected
    left = [count - taken for count, taken in zip(COUNTS, expected, strict=True)]
    assert np.bincount(own.train_labels).tolist() == left


def test_every_image_is_in_one_of_the_two_parts_with_its_label_in_the_old_order(whole):
    own = split(whole, 0.3, seed=3)
    parts = [(own.train_images, own.train_labels), own.validation]
    for images, labels in parts:
        assert numbers(images) == sorted(numbers(images))
        assert whole.train_labels[numbers(images)].tolist() == labels.tolist()
    assert sorted(sum((numbers(images) for images, _ in parts), [])) == [*range(27)]
    np.testing.assert_array_equal(own.test_images[:], whole.test_images[:])


def test_the_choice_depends_on_the_seed_only_and_draws_no_other_random_numbers(whole):
    np.random.seed(0)
    first, again, other = (numbers(split(whole, 0.3, seed=n).validation[0]) for n in (1, 1, 2))
    assert first == again != other
    drawn = np.random.randint(2**31)
    np.random.seed(0)
    assert np.random.randint(2**31) == drawn


def test_without_a_part_the_dataset_is_unchanged(whole):
    assert split(whole, 0.0, seed=3) is whole
    assert whole.validation is None


def test_a_class_of_one_image_cannot_be_split(whole):
    images = np.zeros((4, 1, 1), np.uint8)
    one = dataset.from_raw("d", images, np.array([0, 0, 0, 1]), images, np.array([0, 0, 0, 1]))
    message = (
        "--validation 0.2: expected at least 2 training images of each class, got 1 of class 1; "
        "give more images, or no --validation"
    )
    with pytest.raises(ValueError, match=message):
        split(one, 0.2, seed=0)
