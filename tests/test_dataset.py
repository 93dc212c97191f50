"""data/dataset.py: the one conversion from raw arrays, and what it refuses."""

import dataclasses

import numpy as np
import pytest

from data import dataset


def raw(**changes):
    arrays = {
        "x_train": np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4),
        "y_train": np.array([1, 0]),
        "x_test": np.full((1, 3, 4), 255, np.uint8),
        "y_test": np.array([1]),
    }
    return dataset.from_raw("tiny", **(arrays | changes))


def test_images_are_float32_from_0_to_1_with_a_channel_axis():
    tiny = raw()
    assert tiny.train_images[:].dtype == tiny.test_images[0].dtype == np.float32
    assert tiny.train_images.shape == (2, 3, 4, 1)
    assert tiny.image_shape == (3, 4, 1)
    assert tiny.train_images[1, 0, 2, 0] == np.float32(14 / 255)
    assert tiny.test_images[:].min() == tiny.test_images[:].max() == 1
    assert (tiny.name, tiny.num_classes) == ("tiny", 2)


def test_every_pixel_is_divided_by_255_and_costs_a_byte_until_it_is_asked_for():
    pixels = np.arange(2 * 8 * 16, dtype=np.uint8).reshape(2, 8, 16)
    images = raw(x_train=pixels, x_test=pixels[:1]).train_images
    np.testing.assert_array_equal(images[:].ravel(), np.float32(np.arange(256)) / np.float32(255))
    np.testing.assert_array_equal(images[[1]], images[:][[1]])
    assert len(images) == 2
    assert images._pixels.base is pixels.base  # no copy


def test_pixels_of_another_range_are_the_same_bytes():
    pixels = np.array([[0, 51], [255, 102]], np.uint8).reshape(2, 1, 2)
    for values, expected in (
        ("0..1", [0.0, 0.2, 1.0, 0.4]),
        ("0..255", [0, 51, 255, 102]),
        ("-1..1", [-1, -0.6, 1, -0.2]),
    ):
        tiny = raw(x_train=pixels, x_test=pixels[:1]).between(values)
        np.testing.assert_allclose(tiny.train_images[:].ravel(), expected, atol=1e-7)
        np.testing.assert_allclose(tiny.test_images.only([0])[:].ravel(), expected[:2], atol=1e-7)
        assert tiny.train_images[:].dtype == np.float32
        assert tiny.train_images.black == expected[0]


def test_labels_in_a_column_are_flattened():
    tiny = raw(y_train=np.array([[1], [0]], np.uint8))
    assert tiny.train_labels.dtype == np.int32
    assert list(tiny.train_labels) == [1, 0]


def test_a_dataset_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        raw().name = "other"


def test_the_fingerprint_follows_the_content_and_not_the_form():
    fingerprint = raw().fingerprint
    assert raw(y_train=np.array([[1], [0]], np.uint8)).fingerprint == fingerprint
    assert raw(x_train=np.zeros((2, 3, 4, 1), np.uint8)).fingerprint != fingerprint
    assert raw(y_train=np.array([0, 1])).fingerprint != fingerprint
    assert raw(y_test=np.array([0])).fingerprint != fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((2, 3, 4))}, "x_train is float64; give uint8 images"),
        ({"x_test": np.zeros((3, 4), np.uint8)}, r"x_test has shape \(3, 4\)"),
        ({"x_train": np.zeros((0, 3, 4), np.uint8)}, r"x_train has shape \(0, 3, 4\)"),
        ({"x_test": np.zeros((1, 3, 5), np.uint8)}, "x_train has images of .* x_test of"),
        ({"y_train": np.array([1.0, 0.0])}, "y_train is float64; give integer labels"),
        ({"y_train": np.array([[1, 0]])}, r"y_train has shape \(1, 2\)"),
        ({"y_test": np.array([], int)}, r"y_test has shape \(0,\)"),
        ({"y_train": np.array([1, 0, 1])}, "x_train holds 2 images but y_train 3 labels"),
        ({"y_train": np.array([0, -1])}, "y_train holds label -1"),
        ({"y_train": np.array([0, 2])}, "labels up to 2 but none is 1"),
        ({"y_train": np.array([0, 0])}, "y_train holds only label 0"),
        ({"y_test": np.array([7])}, "y_test holds label 7, y_train only 0 to 1"),
    ],
)
def test_wrong_arrays_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        raw(**changes)
