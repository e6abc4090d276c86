"""Answers of web servers, from one on loopback: bounded, whole, and led nowhere inside."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.server.samples import TOKEN, text

from fidokit.errors import FidokitError
from fidokit.server.authorize import download

INSIDE = {
    "/loopback": "https://127.0.0.1/keys",
    "/short": "https://127.1/keys",
    "/name": "https://localhost./keys",
    "/sub": "https://a.localhost/keys",
    "/six": "https://[::1]/keys",
    "/mapped": "https://[::ffff:10.0.0.1]/keys",
    "/private": "https://10.0.0.1/keys",
    "/cloud": "https://169.254.169.254/keys",
    "/number": "https://2130706433/keys",
}
TO = {
    "/plain": "http://example.org/keys",
    "/file": "file:///etc/passwd",
    "/ftp": "ftp://example.org/keys",
    "/data": "data:text/plain,x",
    "/on": "/keys",
    "/round": "/round",
    **INSIDE,
}
_WAIT = threading.Event()


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in TO:
            self.send_response(302)
            self.send_header("Location", TO[self.path])
            self.end_headers()
            return
        if self.path == "/drip":
            self._drip()
            return
        pages = {
            "/keys": text(TOKEN),
            "/cut": text(TOKEN)[:-9],
            "/huge": b"#" * (download.MAX_ANSWER + 1),
        }
        page = pages.get(self.path)
        self.send_response(200 if page else 404 if self.path == "/gone" else 500)
        if self.path == "/cut":
            self.send_header("Content-Length", str(len(text(TOKEN))))
        self.end_headers()
        self.wfile.write(page or b"")

    def _drip(self) -> None:
        """A line at a time, each well within any time limit for one."""
        try:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while True:
                self.wfile.write(b"X-A: b\r\n")
                self.wfile.flush()
                _WAIT.wait(0.05)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("page", ["/keys", "/on"])
def test_fetched(site: str, page: str) -> None:
    assert download.fetch(site + page) == text(TOKEN)


def test_a_proxy_is_for_outside(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert download.fetch(f"{site}/keys") == text(TOKEN)
    with pytest.raises(FidokitError, match="cannot be reached"):
        download.fetch("https://fidokit.example/keys")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("/gone", "does not exist"),
        ("/broken", "status 500"),
        ("/huge", "more than"),
        ("/cut", "announced"),
        ("/plain", "not an https address"),
        ("/file", "status 302"),
        ("/ftp", "not an https address"),
        ("/data", "status 302"),
        ("/round", "status 302"),
        *((page, "on this machine") for page in INSIDE),
    ],
)
def test_refused(site: str, page: str, said: str) -> None:
    with pytest.raises(FidokitError, match=said):
        download.fetch(site + page)


def test_time_is_bounded_however_slowly_it_comes(site: str) -> None:
    begun = time.monotonic()
    with pytest.raises(FidokitError, match="too long"):
        download.fetch(f"{site}/drip", seconds=0.5)
    assert time.monotonic() - begun < 20


def test_nobody_there() -> None:
    with pytest.raises(FidokitError, match="cannot be reached"):
        download.fetch("http://127.0.0.1:1/keys")


@pytest.mark.parametrize("url", ["https://[::1/x", "https://a:b/x", "ftp://a/x", "https:///x"])
def test_what_is_no_safe_address(url: str) -> None:
    with pytest.raises(FidokitError):
        download.fetch(url)


def test_a_name_that_leads_inside_is_left_before_anything_is_sent() -> None:
    """A host that was not named may have any address; the connection shows which."""
    clock = download._Deadline(5)
    watched: Any = download._Https(clock, urllib.parse.urlsplit("https://keys.example/x"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"localhost:{listener.getsockname()[1]}"
        made = watched._connection(http.client.HTTPConnection, place)
        with clock.running(), pytest.raises(FidokitError, match="on this machine"):
            made.connect()
        made.close()
