"""Keys of files, accounts and addresses: what is taken of their lines, what is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA, text

from fidokit.errors import MalformedFile, MalformedKey, UsageError
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize import sources
from fidokit.server.authorize.sources import Fetched


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


NARROW = [
    'command="echo hi"',
    'from="10.*"',
    'expiry-time="20400101"',
    "restrict",
    "no-pty",
    'permitopen="a:1"',
    'permitlisten="1"',
    "verify-required",
    "touch-required",
]
WIDE = [
    "no-touch-required",
    "no-verify-required",
    'environment="A=b"',
    'tunnel="1"',
    "pty",
    "port-forwarding",
    "agent-forwarding",
    "user-rc",
]


@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("wide", WIDE)
def test_of_options_that_come_by_the_network_those_that_narrow_stay(narrow: str, wide: str) -> None:
    found = sources.keys_from("gh:x", f"{narrow},{wide} ".encode() + text(PLAIN))
    (key,) = found.keys
    assert [option.encode() for option in key.options] == [narrow]
    (warning,) = found.warnings
    assert warning == f"gh:x, line 1: left out {wide.partition('=')[0]}"


def test_an_authority_from_the_network_is_left_out_whole() -> None:
    found = sources.keys_from("gh:x", text(TOKEN) + b"cert-authority " + text(PLAIN))
    assert [key.key for key in found.keys] == [TOKEN.key]
    assert "cert-authority line 2 was left out" in found.warnings[0]


def test_bad_lines_from_the_network_are_named() -> None:
    found = sources.keys_from("gh:x", text(TOKEN) + b"no-such-option " + text(PLAIN))
    assert found.warnings == (
        "gh:x, line 2 was left out: option 'no-such-option' is unknown to sshd",
    )


def read(path: Path, *, only_hardware: bool = False) -> Fetched:
    return sources.read_source(str(path), lambda _: b"", only_hardware=only_hardware)


def test_a_files_lines_are_taken_with_their_options(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'restrict,command="x y" ' + text(PLAIN) + b"cert-authority " + text(OTHER))
    keys = read(path).keys
    assert [key.options for key in keys] == [
        (Option("restrict"), Option("command", "x y")),
        (Option("cert-authority"),),
    ]
    assert keys[1].is_authority


@pytest.mark.parametrize("line", [b"no-such ", b'command="x ', b"junk ", b'from="a",from="b" '])
def test_a_line_of_a_file_that_sshd_would_not_take_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(text(TOKEN) + line + text(PLAIN))
    with pytest.raises(MalformedFile, match="line 2"):
        read(path)


def test_a_file_and_the_private_one_beside(tmp_path: Path) -> None:
    (tmp_path / "id.pub").write_bytes(text(TOKEN))
    assert read(tmp_path / "id.pub").keys[0].identity == ""
    (tmp_path / "id").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\njunk\n")
    key = read(tmp_path / "id.pub").keys[0]
    assert key.identity == str(tmp_path / "id")
    assert (key.touch, key.verify) == (None, None)
    assert read(tmp_path / "id").keys[0].key == TOKEN.key


def test_blobs_of_a_source_of_any_type(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"restrict " + text(PLAIN, TOKEN))
    assert list(sources.blobs_of(str(path), lambda _: b"")) == [PLAIN.key.blob(), TOKEN.key.blob()]
    found = sources.blobs_of("gh:x", lambda url: text(OTHER) if "x.keys" in url else b"")
    assert list(found) == [OTHER.key.blob()]
    with pytest.raises(MalformedKey):
        list(sources.blobs_of("gh:x", lambda _: b"nothing"))


def test_comments_cannot_drive_a_terminal_or_forge_lines() -> None:
    line = PLAIN.encode().encode() + b" \x1b[2J\x07 caf\xc3\xa9\n"
    (key,) = sources.keys_from("gh:x", line).keys
    assert key.comment.isprintable()
    assert "café" in key.comment


def test_only_hardware() -> None:
    lines = text(PLAIN, TOKEN, TOKEN_ECDSA)
    found = sources.read_source("gh:x", lambda _: lines, only_hardware=True)
    assert [key.line for key in found.keys] == [TOKEN, TOKEN_ECDSA]
    assert found.left_out == 1


@pytest.mark.parametrize("data", [b"", b"<html>not here</html>", b"# nothing\n"])
def test_no_key_at_all(data: bytes) -> None:
    with pytest.raises(MalformedKey, match="no public key"):
        sources.keys_from("gh:x", data)
