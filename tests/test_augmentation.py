"""scnnb/augmentation.py."""

import keras
import numpy as np
import pytest

from scnnb.augmentation import CroppedAndFlipped, crop_and_flip


def shifted_and_flipped(image):
    """All 162 answers for one image, pixel by pixel: `{(down, right, flipped): bytes}`."""
    height, width, _ = image.shape
    answers = {}
    for down in range(-4, 5):
        for right in range(-4, 5):
            moved = np.zeros_like(image)
            for y in range(height):
                for x in range(width):
                    if 0 <= y - down < height and 0 <= x - right < width:
                        moved[y, x] = image[y - down, x - right]
            answers[down, right, False] = moved.tobytes()
            answers[down, right, True] = moved[:, ::-1].tobytes()
    return answers


def test_every_shift_and_flip_occurs_equally_often_and_nothing_else():
    n = 162 * 100
    image = np.random.default_rng(0).random((9, 12, 3), np.float32)
    meaning = {content: key for key, content in shifted_and_flipped(image).items()}
    assert len(meaning) == 162
    results = crop_and_flip(np.broadcast_to(image, (n, *image.shape)), np.random.default_rng(1))
    assert (results.shape, results.dtype) == ((n, 9, 12, 3), np.float32)
    found = [meaning[result.tobytes()] for result in results]
    counts = np.array([found.count(key) for key in meaning.values()])
    # 161 degrees of freedom: the sum is 161 on average, its deviation 18
    assert np.sum((counts - 100) ** 2 / 100) < 161 + 5 * 18
    flips = sum(flipped for _, _, flipped in found)
    assert abs(flips - n / 2) < 5 * np.sqrt(n / 4)


def test_a_marked_pixel_moves_by_at_most_4_or_is_mirrored():
    images = np.zeros((500, 32, 32, 1), np.float32)
    images[:, 10, 6] = 1
    results = crop_and_flip(images, np.random.default_rng(0))
    _, rows, columns, _ = np.nonzero(results)
    assert len(rows) == 500
    assert set(rows) == set(range(6, 15))
    assert set(columns) == set(range(2, 11)) | set(range(21, 30))  # 31 - 6 = 25 is its mirror


def test_images_are_treated_each_by_itself_and_left_untouched():
    images = np.random.default_rng(0).random((20, 6, 6, 1))
    before = images.copy()
    results = crop_and_flip(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    for image, result in zip(images, results, strict=True):
        assert result.tobytes() in shifted_and_flipped(image).values()


@pytest.fixture
def batches():
    """Makes the batches of 10 images, 4 at a time; the image of label n holds n + 1."""
    images = np.arange(1, 11, dtype=np.float32).reshape(10, 1, 1, 1) * np.ones((1, 8, 8, 1))

    def make(seed=0):
        keras.utils.set_random_seed(seed)
        return CroppedAndFlipped(images, np.arange(10), 4)

    return make


def epoch(batches):
    """Images and labels of all batches, and Keras' call at the end."""
    pairs = [batches[number] for number in range(len(batches))]
    assert [len(labels) for _, labels in pairs] == [4, 4, 2]
    batches.on_epoch_end()
    return [np.concatenate(part) for part in zip(*pairs, strict=True)]


def test_each_image_appears_once_per_epoch_with_its_label(batches):
    made = batches()
    for _ in range(3):
        images, labels = epoch(made)
        assert sorted(labels) == list(range(10))
        np.testing.assert_array_equal(images.max(axis=(1, 2, 3)), labels + 1)


def test_every_epoch_has_another_order_and_other_shifts(batches):
    made = batches()
    (images, labels), (other_images, other_labels) = epoch(made), epoch(made)
    assert list(labels) != list(other_labels) != list(range(10))
    # What is black tells the shift, whatever the image
    black, other_black = images == 0, other_images == 0
    assert (black[np.argsort(labels)] != other_black[np.argsort(other_labels)]).any()
    assert len({each.tobytes() for each in black}) > 5


def test_every_batch_has_other_shifts(batches):
    made = batches()
    assert ((made[0][0] == 0) != (made[1][0] == 0)).any()


def test_what_a_batch_holds_does_not_depend_on_who_asks_when(batches):
    one, other = batches(), batches()
    expected = [one[number] for number in (0, 1, 2)]
    for number in (2, 0, 1, 0):
        for part, same in zip(other[number], expected[number], strict=True):
            np.testing.assert_array_equal(part, same)


def test_the_seed_decides(batches):
    for same, seed in ((True, 0), (False, 1)):
        images, other = epoch(batches())[0], epoch(batches(seed))[0]
        assert np.array_equal(images, other) == same
