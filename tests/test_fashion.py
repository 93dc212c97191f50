"""data/fashion.py: which source is used, tested with four small files."""

import gzip
import hashlib
import os

import numpy as np
import pytest

from data import cache, fashion


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A function that writes four small files, accepted as Fashion-MNIST, into a folder."""
    contents = {
        "train-images-idx3-ubyte.gz": (np.arange(8), (2, 2, 2), 16),
        "train-labels-idx1-ubyte.gz": (np.array([0, 1]), (2,), 8),
        "t10k-images-idx3-ubyte.gz": (np.arange(4), (1, 2, 2), 16),
        "t10k-labels-idx1-ubyte.gz": (np.array([1]), (1,), 8),
    }
    files, sums = {}, {}
    for name, (values, shape, header) in contents.items():
        raw = bytes(header) + values.astype(np.uint8).tobytes()
        files[name] = gzip.compress(raw)
        sums[name] = shape, hashlib.sha256(raw).hexdigest()
    monkeypatch.setattr(fashion, "FILES", sums)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(fashion, "PACKAGE_FOLDER", tmp_path / "package")

    def fill(folder, **changed):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(changed.get(name.split("-ubyte")[0], content))

    fill.keras = tmp_path / "keras" / "datasets" / "fashion-mnist"
    fill.package = tmp_path / "package"
    fill.fetched = tmp_path / "keras" / "datasets" / "dataset-fashion-mnist"
    return fill


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_):
        raise OSError("no way out")

    monkeypatch.setattr(fashion, "_download", fail)
    monkeypatch.setattr(fashion, "_fetch_package", fail)


@pytest.mark.parametrize("place", ["keras", "package", "fetched"])
def test_files_on_this_machine_are_read_and_nothing_is_printed(places, no_network, capsys, place):
    places(getattr(places, place))
    loaded = fashion.load()
    np.testing.assert_array_equal(loaded.train_images[:].ravel(), np.float32(np.arange(8)) / 255)
    assert list(loaded.train_labels) == [0, 1]
    assert loaded.name == "fashion"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"foreign", gzip.compress(bytes(16 + 8)), gzip.compress(bytes(24))[:-9]],
    ids=["empty", "foreign", "other images", "cut short"],
)
def test_a_damaged_file_is_reported_and_the_next_source_is_used(
    places, no_network, capsys, content
):
    places(places.keras, **{"train-images-idx3": content})
    places(places.package)
    assert fashion.load().train_images[:].max() > 0
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{places.keras / 'train-images-idx3-ubyte.gz'} is damaged and not used" in line


def test_downloaded_files_are_read_and_no_later_source_is_tried(places, monkeypatch, capsys):
    monkeypatch.setattr(fashion, "_download", places)
    monkeypatch.setattr(fashion, "_fetch_package", None)
    assert fashion.load().num_classes == 2
    assert capsys.readouterr().err == ""


def test_a_download_without_the_files_is_reported(places, monkeypatch, capsys):
    monkeypatch.setattr(fashion, "_download", lambda folder: None)
    monkeypatch.setattr(fashion, "_fetch_package", places)
    assert fashion.load().num_classes == 2
    assert "fashion-mnist: expected train-images-idx3-ubyte.gz, " in capsys.readouterr().err


def test_each_failed_source_is_one_line_before_the_error(places, no_network, capsys):
    with pytest.raises(OSError, match="no source has the dataset; install the package data"):
        fashion.load()
    assert capsys.readouterr().err.splitlines() == ["fashion: no way out"] * 2


def fake_programs(folder, **scripts):
    """A PATH on which shell scripts replace apt-get and dpkg-deb."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_the_package_is_downloaded_and_unpacked_for_later_runs(places, monkeypatch, tmp_path):
    unpacked = tmp_path / "unpacked"
    monkeypatch.setattr(fashion, "PACKAGE_FOLDER", fashion.Path("/usr/share/fashion"))
    places(unpacked / "usr/share/fashion")
    programs = fake_programs(
        tmp_path / "bin",
        apt_get='for last; do :; done; test "$last" = update || touch "$last.deb"',
        dpkg_deb=f'test "$1" = -x && cp -r {unpacked}/. "$3"',
    )
    monkeypatch.setenv("PATH", programs)
    monkeypatch.setattr(fashion, "_download", None)
    places.fetched.parent.mkdir(parents=True)
    with cache.lock(places.fetched):
        fashion._fetch_package(places.fetched)
    assert fashion.load().num_classes == 2
    assert sorted(path.name for path in places.fetched.parent.iterdir()) == [
        "dataset-fashion-mnist",
        "dataset-fashion-mnist.lock",
    ]


def test_as_root_the_list_of_packages_is_updated_if_the_package_is_not_in_it(
    places, monkeypatch, tmp_path
):
    log = tmp_path / "log"
    script = f'for last; do :; done; echo "$last" >> {log}; echo E: no such package >&2; exit 100'
    monkeypatch.setenv("PATH", fake_programs(tmp_path / "bin", apt_get=script))
    for user, calls in ((0, ["download", "update", "download"]), (1000, ["download"])):
        log.unlink(missing_ok=True)
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with pytest.raises(OSError, match="E: no such package"):
            fashion._fetch_package(tmp_path / "fetched")
        commands = log.read_text().replace("dataset-fashion-mnist", "download").split()
        assert commands == calls


def test_the_error_of_a_package_that_cannot_be_unpacked_is_quoted(places, monkeypatch, tmp_path):
    programs = fake_programs(
        tmp_path / "bin",
        apt_get='for last; do :; done; touch "$last.deb"',
        dpkg_deb="echo dpkg-deb: error: damaged >&2; exit 2",
    )
    monkeypatch.setenv("PATH", programs)
    with pytest.raises(OSError, match="^package dataset-fashion-mnist: dpkg-deb: error: damaged$"):
        fashion._fetch_package(tmp_path / "fetched")


def test_a_package_manager_that_hangs_is_stopped(places, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", fake_programs(tmp_path / "bin", apt_get="exec sleep infinity"))
    monkeypatch.setattr(fashion, "APT_SECONDS", 0.2)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OSError, match="apt-get took longer than 0.2 s"):
        fashion._fetch_package(tmp_path / "fetched")


def test_the_last_line_of_a_failing_package_manager_is_quoted(places, monkeypatch, tmp_path):
    programs = fake_programs(tmp_path / "bin", apt_get="echo one >&2; echo E: two >&2; exit 100")
    monkeypatch.setenv("PATH", programs)
    with pytest.raises(OSError, match="^package dataset-fashion-mnist: E: two$"):
        fashion._fetch_package(tmp_path / "fetched")


def test_a_system_without_the_package_manager_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="this system has no apt-get"):
        fashion._fetch_package(tmp_path)
