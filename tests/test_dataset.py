"""data/dataset.py: which raw arrays become a dataset, and which are rejected."""

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


def test_a_pixel_is_a_byte_in_memory_and_is_divided_by_255_when_it_is_read():
    pixels = np.arange(2 * 8 * 16, dtype=np.uint8).reshape(2, 8, 16)
    images = raw(x_train=pixels, x_test=pixels[:1]).train_images
    np.testing.assert_array_equal(images[:].ravel(), np.float32(np.arange(256)) / np.float32(255))
    np.testing.assert_array_equal(images[[1]], images[:][[1]])
    assert len(images) == 2
    assert images._pixels.base is pixels.base  # no copy


def test_the_same_bytes_can_be_read_in_other_ranges():
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


def test_labels_of_shape_n_1_are_flattened():
    tiny = raw(y_train=np.array([[1], [0]], np.uint8))
    assert tiny.train_labels.dtype == np.int32
    assert list(tiny.train_labels) == [1, 0]


def test_a_dataset_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        raw().name = "other"


def test_the_fingerprint_depends_on_the_content_and_not_on_the_type():
    fingerprint = raw().fingerprint
    assert raw(y_train=np.array([[1], [0]], np.uint8)).fingerprint == fingerprint
    assert raw(x_train=np.zeros((2, 3, 4, 1), np.uint8)).fingerprint != fingerprint
    assert raw(y_train=np.array([0, 1])).fingerprint != fingerprint
    assert raw(y_test=np.array([0])).fingerprint != fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((2, 3, 4))},
            "x_train: expected uint8 images with values 0..255, got float64",
        ),
        ({"x_test": np.zeros((3, 4), np.uint8)}, r"x_test: expected .* got shape \(3, 4\)$"),
        ({"x_train": np.zeros((0, 3, 4), np.uint8)}, r"x_train: .* no size 0, got .*\(0, 3, 4\)$"),
        (
            {"x_test": np.zeros((1, 3, 5), np.uint8)},
            r"x_test: expected images of shape \(3, 4, 1\), as in x_train, got \(3, 5, 1\)$",
        ),
        ({"y_train": np.array([1.0, 0.0])}, "y_train: expected integer labels, got float64"),
        ({"y_train": np.array([[1, 0]])}, r"y_train: expected .* got shape \(1, 2\)$"),
        ({"y_test": np.array([], int)}, r"y_test: expected .* at least 1, got shape \(0,\)$"),
        ({"y_train": np.array([1, 0, 1])}, "y_train: expected 2 labels, one per image of .* got 3"),
        ({"y_train": np.array([0, -1])}, "y_train: expected labels from 0, got -1"),
        ({"y_train": np.array([0, 2])}, "expected every label from 0 to 2, got none that is 1"),
        ({"y_train": np.array([0, 0])}, "y_train: expected at least two .* got only label 0"),
        ({"y_test": np.array([7])}, "y_test: expected labels from 0 to 1, as in y_train, got 7"),
    ],
)
def test_the_error_names_the_wrong_array(changes, message):
    with pytest.raises(ValueError, match=message):
        raw(**changes)


@pytest.mark.parametrize("values", dataset.PIXELS)
def test_statistics_of_channels_are_those_of_all_training_images(monkeypatch, values):
    monkeypatch.setattr(dataset, "BLOCK", 2)  # so that 5 images are 3 blocks
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (5, 3, 4, 2)).astype("uint8"), np.arange(5) % 2
    five = dataset.from_raw("d", images, labels, images[:2], labels[:2]).between(values)
    means, variances = five.channel_statistics()
    pixels = five.train_images[:].astype("float64")
    np.testing.assert_allclose(means, pixels.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(variances, pixels.var(axis=(0, 1, 2)), rtol=1e-9)
