"""data/cache.py: a download that cannot connect costs little; servers here are on loopback."""

import http.server
import socket
import threading
import time
from pathlib import Path

import pytest

from data import cache


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


def test_the_folder_is_keras_own(monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/datasets")
    monkeypatch.delenv("KERAS_HOME")
    assert cache.folder() == Path.home() / ".keras" / "datasets"


def test_a_server_that_answers_is_downloaded_from_without_writing_to_a_file(server, capsys):
    limits = []

    def load_data():
        print("progress\b\b")
        limits.append(socket.getdefaulttimeout())
        return "arrays"

    assert cache.download(load_data, server) == "arrays"
    assert capsys.readouterr().out == ""
    assert limits == [cache.CONNECT_SECONDS]
    assert socket.getdefaulttimeout() is None


def test_a_server_that_never_answers_costs_no_more_than_the_limit(monkeypatch):
    monkeypatch.setattr(cache, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises(OSError, match=r"cannot reach http://127.0.0.1:\d+/: "):
            cache.download(None, f"http://127.0.0.1:{mute.getsockname()[1]}/")
        assert time.monotonic() - start < 5


def test_a_closed_port_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(OSError, match="cannot reach .* refused"):
        cache.download(None, f"http://127.0.0.1:{port}/")


def test_a_download_that_breaks_off_is_an_os_error(server):
    def load_data():
        raise Exception("URL fetch failure")  # the type Keras raises

    with pytest.raises(OSError, match="download of .* failed: URL fetch failure"):
        cache.download(load_data, server)
