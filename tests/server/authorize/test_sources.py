"""Keys of accounts and addresses, from a server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.server.samples import PLAIN, TOKEN, TOKEN_ECDSA, text

from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.authorize import sources


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("gh:some-body", "https://github.com/some-body.keys"),
        ("gl:some.body", "https://gitlab.com/some.body.keys"),
        ("lp:somebody", "https://launchpad.net/~somebody/+sshkeys"),
        ("https://example.org/keys?x=1", "https://example.org/keys?x=1"),
        ("http://127.0.0.1:8080/keys", "http://127.0.0.1:8080/keys"),
    ],
)
def test_addresses(source: str, url: str) -> None:
    assert sources.is_remote(source)
    assert sources.address_of(source) == url


@pytest.mark.parametrize(
    "source",
    ["gh:", "gh:../../evil", "gh:a b", "gh:a/b", "lp:é", "http://example.org/keys", "https:///x"],
)
def test_what_is_no_account_or_no_safe_address(source: str) -> None:
    with pytest.raises(UsageError):
        sources.address_of(source)


def test_files_are_not_remote() -> None:
    assert not any(map(sources.is_remote, ["id.pub", "/a/gh", "C:/x", "./gh:x"]))


def test_keys_and_comments() -> None:
    without = PublicLine(PLAIN.key, "")
    found = sources.keys_from("gh:x", text(TOKEN, without) + b"junk\n# fine\n")
    assert [line.comment for line in found.keys] == ["token", "gh:x"]
    assert [line.line_number for line in found.unreadable] == [3]


def test_options_of_theirs_are_not_taken_over() -> None:
    found = sources.keys_from("gh:x", b'command="rm -rf /" ' + text(PLAIN))
    assert found.keys == (PLAIN,)


def test_comments_cannot_drive_a_terminal_or_forge_lines() -> None:
    line = PLAIN.encode().encode() + b" \x1b[2J\x07 caf\xc3\xa9\n"
    (key,) = sources.keys_from("gh:x", line).keys
    assert key.comment.isprintable()
    assert "café" in key.comment


def test_only_hardware() -> None:
    found = sources.keys_from("gh:x", text(PLAIN, TOKEN, TOKEN_ECDSA), only_hardware=True)
    assert found.keys == (TOKEN, TOKEN_ECDSA)
    assert found.left_out == 1


@pytest.mark.parametrize("data", [b"", b"<html>not here</html>", b"# nothing\n"])
def test_no_key_at_all(data: bytes) -> None:
    with pytest.raises(MalformedKey, match="no public key"):
        sources.keys_from("gh:x", data)


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://example.org/keys")
            self.end_headers()
            return
        if self.path == "/on":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        pages = {"/keys": text(TOKEN), "/huge": b"#" * (sources.MAX_ANSWER + 1)}
        page = pages.get(self.path)
        self.send_response(200 if page else 404 if self.path == "/gone" else 500)
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize("page", ["/keys", "/on"])
def test_fetched(site: str, page: str) -> None:
    assert sources.fetch(site + page) == text(TOKEN)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("/gone", "does not exist"),
        ("/broken", "status 500"),
        ("/huge", "more than"),
        ("/away", "is not fetched"),
    ],
)
def test_refused(site: str, page: str, said: str) -> None:
    with pytest.raises(FidokitError, match=said):
        sources.fetch(site + page)


def test_nobody_there() -> None:
    with pytest.raises(FidokitError, match="cannot be reached"):
        sources.fetch("http://127.0.0.1:1/keys")
