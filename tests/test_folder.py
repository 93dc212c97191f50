"""data/folder.py: images written by Pillow come back bit by bit, and nothing is guessed."""

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
    """A folder of two classes, grey, 5 x 7 pixels: cat 0, 1 and dog 2 to train, 3, 4 to test."""
    for seed, name in enumerate(("train/cat/a", "train/cat/b", "train/dog/a", "test/cat/a")):
        save(tmp_path / "own" / f"{name}.png", pixels(seed))
    save(tmp_path / "own/test/dog/a.png", pixels(4))
    return tmp_path / "own"


def refused(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.load(str(path))
    assert "\n" not in str(caught.value)


def raw(images):
    return np.rint(images * 255).astype(np.uint8)


def test_every_pixel_and_label_arrives_in_the_order_of_the_names(own):
    loaded = data.load(str(own))
    assert loaded.name == "own"
    assert loaded.num_classes == 2
    assert loaded.train_images.shape == (3, 5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[..., 0]), [pixels(n) for n in range(3)])
    np.testing.assert_array_equal(raw(loaded.test_images[..., 0]), [pixels(3), pixels(4)])
    assert loaded.train_labels.tolist() == [0, 0, 1]
    assert loaded.test_labels.tolist() == [0, 1]


def test_real_images_have_the_fingerprint_of_the_same_arrays(tmp_path):
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


def test_one_folder_has_one_name_and_one_fingerprint_however_it_is_called(own, monkeypatch):
    expected = data.load(str(own))
    shutil.copytree(own, own.parent / "copy")
    monkeypatch.chdir(own)
    for path in (".", f"{own}/", own / "train" / "..", "../copy"):
        loaded = data.load(str(path))
        assert loaded.fingerprint == expected.fingerprint
        assert loaded.name == ("copy" if path == "../copy" else "own")


def test_a_pipe_among_the_images_is_refused(own):
    os.mkfifo(own / "train/cat/c.png")
    refused(own, r"own/train/cat/c\.png cannot be read as an image; mend it or delete it")


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
def test_a_jpeg_is_close_to_what_was_written(own, ending):
    grey = np.arange(5, dtype=np.uint8)[:, None] * 10 + np.arange(7, dtype=np.uint8)
    save(own / f"train/cat/c.{ending}", grey, quality=95)
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_allclose(raw(loaded.train_images[2, ..., 0]), grey, atol=3)


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_grey_images_have_one_channel_whatever_the_format(own, ending):
    save(own / f"train/cat/c.{ending}", pixels(9))
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[2, ..., 0]), pixels(9))


def test_black_and_white_is_0_and_255(own):
    save(own / "train/cat/c.png", pixels(9) > 127)
    loaded = data.load(str(own))
    assert loaded.image_shape == (5, 7, 1)
    np.testing.assert_array_equal(raw(loaded.train_images[2, ..., 0]), (pixels(9) > 127) * 255)


def test_transparency_is_left_out(own):
    save(own / "train/cat/c.png", pixels(9, (5, 7, 4)))
    images = data.load(str(own)).train_images
    np.testing.assert_array_equal(raw(images[2]), pixels(9, (5, 7, 4))[..., :3])


def test_a_palette_keeps_its_colours_without_their_transparency(own):
    image = Image.fromarray(pixels(9, (5, 7, 3))).quantize(20)
    save(own / "train/cat/c.png", image, transparency=bytes(range(20)))
    images = data.load(str(own)).train_images
    np.testing.assert_array_equal(raw(images[2]), np.asarray(image.convert("RGB")))


def changed(file, at, value):
    """Write one byte of the header anew: what Pillow reads, and cannot write."""
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
def test_an_image_whose_values_would_be_changed_is_refused(own, name, write, what):
    write(own / "train/cat" / name)
    refused(own, rf"train/cat/c\.\w+ is {what}; save it as PNG with 8 bits per value, grey or RGB")


def test_images_of_different_sizes_are_named_with_them(own):
    save(own / "test/dog/b.png", pixels(9, (6, 7)))
    refused(own, r"own/train/cat/a\.png has 7x5 pixels, .*own/test/dog/b\.png 7x6; scale all")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif"])
@pytest.mark.parametrize("length", [0, 5, 30, -20])
def test_an_image_that_cannot_be_read_is_named(own, ending, length):
    file = own / f"test/dog/b.{ending}"
    save(file, pixels(9))
    file.write_bytes(file.read_bytes()[:length])
    refused(own, rf"own/test/dog/b\.{ending} cannot be read as an image; mend it or delete it")


def test_a_png_whose_pixels_do_not_have_their_checksum_is_named(own):
    file = own / "test/dog/b.png"
    save(file, pixels(9))
    content = bytearray(file.read_bytes())
    content[-16] ^= 255  # of the last checksum but one, that of the pixels
    file.write_bytes(content)
    refused(own, r"own/test/dog/b\.png cannot be read as an image; mend it or delete it")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_folder_is_named(own, part):
    shutil.rmtree(own / part)
    refused(own, rf"own/{part} is no folder; give train/<class>/ and test/<class>/ with images")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_folder_without_images_is_named(own, part):
    shutil.rmtree(own / part)
    save(own / part / "a.png", pixels(0))  # in no class
    save(own / part / ".hidden/a.png", pixels(0))
    (own / part / "cat").mkdir()
    (own / part / "cat" / "readme.txt").touch()
    refused(own, rf"own/{part} holds no images; give {part}/<class>/ with \.bmp, ")


def test_a_single_class_is_refused(own):
    shutil.rmtree(own / "train/dog")
    refused(own, "own/train holds only the class cat; give at least 2")


def test_a_class_without_training_images_is_refused(own):
    (own / "train/bird").mkdir()
    refused(own, "own/train/bird holds no images; add some or delete the folder")


def test_a_class_that_only_the_test_images_have_is_refused(own):
    save(own / "test/bird/a.png", pixels(9))
    refused(own, "own/test/bird is no class of .*own/train; give training images of it")


def test_a_class_may_lack_test_images(own):
    shutil.rmtree(own / "test/cat")
    (own / "test/empty").mkdir()
    loaded = data.load(str(own))
    assert loaded.test_labels.tolist() == [1]
    assert loaded.num_classes == 2


def test_other_files_and_hidden_folders_are_no_images_and_no_classes(own):
    expected = data.load(str(own)).fingerprint
    (own / "train/cat/.DS_Store").touch()
    (own / "test/Thumbs.db").touch()
    save(own / "train/.thumbnails/a.png", pixels(9))
    assert data.load(str(own)).fingerprint == expected
