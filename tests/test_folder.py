"""data/folder.py: images that Pillow wrote are read without a change, and nothing is guessed."""

import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data

SAMPLE = Path(__file__).parent / "fashion_sample.npz"


def pixels(seed, shape=(5, 7)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(file, image, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, **options)


@pytest.fixture
def own(tmp_path):
    """A folder with grey images, 5 x 7 pixels, of two classes.

    The images `pixels(0)` and `pixels(1)` of cat and `pixels(2)` of dog are for training,
    `pixels(3)` of cat and `pixels(4)` of dog for the test.
    """
    for seed, name in enumerate(("train/cat/a", "train/cat/b", "train/dog/a", "test/cat/a")):
        save(tmp_path / "own" / f"{name}.png", pixels(seed))
    save(tmp_path / "own/test/dog/a.png", pixels(4))
    return tmp_path / "own"


def rejected(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.load(str(path))
    assert "\n" not in str(caught.value)


def raw(images):
    return np.rint(images * 255).astype(np.uint8)


def test_pixels_and_labels_are_complete_and_in_the_order_of_the_names(own):
    loaded = data.load(str(own))
    assert loaded.name == "own"
    assert loaded.num_classes == 2
    assert loaded.train_images.shape == (3, 5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[..., 0]), [pixels(n) for n in range(3)])
    np.testing.assert_array_equal(raw(loaded.test_images[..., 0]), [pixels(3), pixels(4)])
    assert loaded.train_labels.tolist() == [0, 0, 1]
    assert loaded.test_labels.tolist() == [0, 1]


def test_a_folder_has_the_fingerprint_of_the_same_images_as_arrays(tmp_path):
    with np.load(SAMPLE) as stored:
        arrays = {key: value[:300] for key, value in stored.items()}
    for part in ("train", "test"):
        order = np.argsort(arrays[f"y_{part}"], kind="stable")  # as folders are read
        for kind in "xy":
            arrays[f"{kind}_{part}"] = arrays[f"{kind}_{part}"][order]
        for n, (image, label) in enumerate(
            zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        ):
            save(tmp_path / part / str(label) / f"{n:03}.png", image)
    expected = data.dataset.from_raw("", **arrays)
    assert data.load(str(tmp_path)).fingerprint == expected.fingerprint


def test_every_path_of_a_folder_gives_the_same_name_and_fingerprint(own, monkeypatch):
    expected = data.load(str(own))
    shutil.copytree(own, own.parent / "copy")
    monkeypatch.chdir(own)
    for path in (".", f"{own}/", own / "train" / "..", "../copy"):
        loaded = data.load(str(path))
        assert loaded.fingerprint == expected.fingerprint
        assert loaded.name == ("copy" if path == "../copy" else "own")


def test_a_pipe_among_the_images_is_rejected(own):
    os.mkfifo(own / "train/cat/c.png")
    rejected(own, r"own/train/cat/c\.png: expected an image, got no readable one; repair or")


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "PNG"])
def test_colours_of_every_lossless_format_are_kept(own, ending):
    image = Image.fromarray(pixels(9, (5, 7, 3)))
    if ending == "gif":
        image = image.quantize(200)
    save(own / f"train/cat/c.{ending}", image)
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 3)
    np.testing.assert_array_equal(raw(loaded.train_images[2]), np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(raw(loaded.train_images[0]), pixels(0)[..., None].repeat(3, -1))


@pytest.mark.parametrize("ending", ["jpg", "jpeg"])
def test_a_jpeg_is_close_to_the_original_image(own, ending):
    grey = np.arange(5, dtype=np.uint8)[:, None] * 10 + np.arange(7, dtype=np.uint8)
    save(own / f"train/cat/c.{ending}", grey, quality=95)
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_allclose(raw(loaded.train_images[2, ..., 0]), grey, atol=3)


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_grey_images_of_every_format_have_one_channel(own, ending):
    save(own / f"train/cat/c.{ending}", pixels(9))
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[2, ..., 0]), pixels(9))


def test_black_and_white_is_0_and_255(own):
    save(own / "train/cat/c.png", pixels(9) > 127)
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[2, ..., 0]), (pixels(9) > 127) * 255)


def test_transparency_is_removed(own):
    save(own / "train/cat/c.png", pixels(9, (5, 7, 4)))
    images = data.load(str(own)).train_images
    np.testing.assert_array_equal(raw(images[2]), pixels(9, (5, 7, 4))[..., :3])


def test_an_image_with_a_palette_keeps_its_colours_without_transparency(own):
    image = Image.fromarray(pixels(9, (5, 7, 3))).quantize(20)
    save(own / "train/cat/c.png", image, transparency=bytes(range(20)))
    images = data.load(str(own)).train_images
    np.testing.assert_array_equal(raw(images[2]), np.asarray(image.convert("RGB")))


def changed(file, at, value):
    """Change one byte of the header, to make files that Pillow can read and cannot write."""
    content = bytearray(file.read_bytes())
    content[at] = value
    if file.suffix == ".png":
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    file.write_bytes(content)


def wide_colours(file):
    save(file, pixels(9, (5, 7, 3)))
    changed(file, 24, 16)


def compressed(file):
    save(file, pixels(9))
    changed(file, 30, 1)


@pytest.mark.parametrize(
    ("name", "write", "what"),
    [
        ("c.png", lambda f: save(f, pixels(9).astype(np.uint16) * 256), "PNG, of 16 bits"),
        ("c.png", wide_colours, "PNG, of 16 bits"),
        ("c.bmp", lambda f: save(f, Image.fromarray(pixels(9, (5, 7, 3))).quantize(8)), "BMP, P"),
        ("c.bmp", compressed, "BMP, compressed"),
        ("c.jpg", lambda f: save(f, Image.new("CMYK", (7, 5))), "JPEG, CMYK"),
    ],
)
def test_an_image_without_8_bits_per_value_is_rejected(own, name, write, what):
    write(own / "train/cat" / name)
    rejected(own, rf"train/cat/c\.\w+: expected 8 bits per value, got {what}; save it as a grey")


def test_two_images_of_different_size_are_named_with_their_sizes(own):
    save(own / "test/dog/b.png", pixels(9, (6, 7)))
    rejected(own, r"dog/b\.png: expected 7x5 pixels, as .*train/cat/a\.png has, got 7x6; scale")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif"])
@pytest.mark.parametrize("length", [0, 5, 30, -20])
def test_an_image_that_cannot_be_read_is_named(own, ending, length):
    file = own / f"test/dog/b.{ending}"
    save(file, pixels(9))
    file.write_bytes(file.read_bytes()[:length])
    rejected(own, rf"own/test/dog/b\.{ending}: expected an image, got no readable one; repair")


def test_a_png_with_a_wrong_checksum_is_named(own):
    file = own / "test/dog/b.png"
    save(file, pixels(9))
    content = bytearray(file.read_bytes())
    content[-16] ^= 255  # in the checksum of the pixels, the last but one of the file
    file.write_bytes(content)
    rejected(own, r"own/test/dog/b\.png: expected an image, got no readable one; repair or")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_folder_is_named(own, part):
    shutil.rmtree(own / part)
    rejected(own, rf"own/{part}: expected a folder; give train/<class>/ and test/<class>/ with")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_without_images_is_named(own, part):
    shutil.rmtree(own / part)
    save(own / part / "a.png", pixels(0))  # in no class
    save(own / part / ".hidden/a.png", pixels(0))
    (own / part / "cat").mkdir()
    (own / part / "cat" / "readme.txt").touch()
    rejected(own, rf"own/{part}: expected images, got none; give {part}/<class>/ with \.bmp, ")


def test_a_single_class_is_rejected(own):
    shutil.rmtree(own / "train/dog")
    rejected(own, "own/train: expected at least 2 classes, got only cat")


def test_a_class_without_training_images_is_rejected(own):
    (own / "train/bird").mkdir()
    rejected(own, "own/train/bird: expected images, got none; add images or delete")


def test_a_class_with_test_images_only_is_rejected(own):
    save(own / "test/bird/a.png", pixels(9))
    rejected(own, "own/test/bird: expected a class of .*own/train, got bird; add training")


def test_a_class_may_have_no_test_images(own):
    shutil.rmtree(own / "test/cat")
    (own / "test/empty").mkdir()
    loaded = data.load(str(own))
    assert loaded.test_labels.tolist() == [1]
    assert loaded.num_classes == 2


def test_other_files_and_hidden_folders_are_ignored(own):
    expected = data.load(str(own)).fingerprint
    (own / "train/cat/.DS_Store").touch()
    (own / "test/Thumbs.db").touch()
    save(own / "train/.thumbnails/a.png", pixels(9))
    assert data.load(str(own)).fingerprint == expected
