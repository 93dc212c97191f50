"""data/cache.py: a failed connection takes little time; all servers here are on this machine."""

import http.server
import socket
import threading
from pathlib import Path

import pytest

from data import cache
from tests.program import HANGS


@pytest.fixture
def server():
    class Silent(http.server.SimpleHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Silent) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


@pytest.fixture(autouse=True)
def any_machine(monkeypatch):
    """Wait long enough for a server that answers, even on a slow machine."""
    monkeypatch.setattr(cache, "CONNECT_SECONDS", HANGS)


def test_the_folder_of_datasets_is_the_one_of_keras(monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/datasets")
    monkeypatch.delenv("KERAS_HOME")
    assert cache.folder() == Path.home() / ".keras" / "datasets"


def test_a_server_that_answers_is_no_error(server):
    cache.connect(server)


def test_a_server_that_never_answers_is_an_error_after_the_time_limit(monkeypatch):
    monkeypatch.setattr(cache, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        with pytest.raises(OSError, match=r"cannot reach http://127.0.0.1:\d+/: "):
            cache.connect(f"http://127.0.0.1:{mute.getsockname()[1]}/")


def test_a_closed_port_is_an_error_at_once():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(OSError, match="cannot reach .* refused"):
        cache.connect(f"http://127.0.0.1:{port}/")


def test_a_download_into_a_file_has_no_progress_bar_and_a_time_limit(capsys):
    limits = []

    def load_data():
        print("progress\b\b")
        limits.append(socket.getdefaulttimeout())
        return "arrays"

    assert cache.download(load_data) == "arrays"
    assert capsys.readouterr().out == ""
    assert limits == [cache.CONNECT_SECONDS]
    assert socket.getdefaulttimeout() is None


def test_a_download_that_fails_is_an_os_error():
    def load_data():
        raise Exception("URL fetch failure")  # the type Keras raises

    with pytest.raises(OSError, match="^Keras cannot load it: URL fetch failure"):
        cache.download(load_data)
