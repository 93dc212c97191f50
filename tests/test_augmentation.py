"""scnnb/augmentation.py: which shifts and flips occur, and how often."""

import numpy as np
import pytest

from scnnb.augmentation import AUGMENTATIONS, Augmented, crop_and_flip, flip


def shifted_and_flipped(image):
    """All 162 results for an image, moved pixel by pixel: `{(down, right, flipped): bytes}`."""
    height, width, _ = image.shape
    results = {}
    for down in range(-4, 5):
        for right in range(-4, 5):
            moved = np.zeros_like(image)
            for y in range(height):
                for x in range(width):
                    if 0 <= y - down < height and 0 <= x - right < width:
                        moved[y, x] = image[y - down, x - right]
            results[down, right, False] = moved.tobytes()
            results[down, right, True] = moved[:, ::-1].tobytes()
    return results


def test_the_pixels_added_at_the_border_are_black():
    images = np.ones((50, 6, 6, 1), np.float32)
    results = crop_and_flip(images, np.random.default_rng(0), -1.0)
    assert set(np.unique(results)) == {-1.0, 1.0}


def test_every_shift_and_flip_occurs_equally_often_and_nothing_else():
    n = 162 * 100
    image = np.random.default_rng(0).random((9, 12, 3), np.float32)
    meaning = {content: key for key, content in shifted_and_flipped(image).items()}
    assert len(meaning) == 162
    results = crop_and_flip(np.broadcast_to(image, (n, *image.shape)), np.random.default_rng(1))
    assert (results.shape, results.dtype) == ((n, 9, 12, 3), np.float32)
    moves = [meaning[result.tobytes()] for result in results]
    counts = np.array([moves.count(key) for key in meaning.values()])
    # 161 degrees of freedom: the sum is 161 on average, its deviation 18
    assert np.sum((counts - 100) ** 2 / 100) < 161 + 5 * 18
    flips = sum(flipped for _, _, flipped in moves)
    assert abs(flips - n / 2) < 5 * np.sqrt(n / 4)


def test_a_pixel_moves_by_at_most_4_and_may_be_mirrored():
    images = np.zeros((500, 32, 32, 1), np.float32)
    images[:, 10, 6] = 1
    results = crop_and_flip(images, np.random.default_rng(0))
    _, rows, columns, _ = np.nonzero(results)
    assert len(rows) == 500
    assert set(rows) == set(range(6, 15))
    assert set(columns) == set(range(2, 11)) | set(range(21, 30))  # 31 - 6 = 25 is its mirror


def test_each_image_has_its_own_shift_and_the_input_is_not_changed():
    images = np.random.default_rng(0).random((20, 6, 6, 1))
    before = images.copy()
    results = crop_and_flip(images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    for image, result in zip(images, results, strict=True):
        assert result.tobytes() in shifted_and_flipped(image).values()


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_a_slice_of_augmented_images_is_always_changed_alike_and_others_in_other_ways(augment):
    images = np.tile(np.random.default_rng(0).uniform(size=(1, 8, 8, 3)), (40, 1, 1, 1))
    augmented = Augmented(images, augment, seed=3)
    assert (len(augmented), augmented.shape) == (40, (40, 8, 8, 3))
    first, second = augmented[0:20], augmented[20:40]
    np.testing.assert_array_equal(first, augmented[0:20])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, Augmented(images, augment, seed=4)[0:20])
    changed = AUGMENTATIONS[augment](images[:20], np.random.default_rng([3, 0]))
    np.testing.assert_array_equal(first, changed)


def test_about_half_of_the_images_are_flipped_and_nothing_else():
    images = np.random.default_rng(0).random((1000, 3, 5, 2), np.float32)
    results = flip(images, np.random.default_rng(1))
    assert results.dtype == np.float32
    same = (results == images).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(results[~same], images[~same][:, :, ::-1])
    assert abs(same.sum() - 500) < 5 * np.sqrt(250)
