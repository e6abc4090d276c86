"""authorized_keys: what each line means, and that no byte of a file is ever lost."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import ED25519, PUBLIC_KEYS, RSA, SK_ECDSA, SK_ED25519, key_id
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import MalformedFile, MalformedKey, UsageError
from fidokit.openssh.keys.public import PublicKey, PublicLine
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.authorized_keys import (
    AuthorizedKey,
    BadLine,
    Line,
    OtherLine,
    encode_line,
    parse_file,
    parse_line,
)
from fidokit.openssh.lines.options import Option

SK_LINE = PublicLine(SK_ED25519, "me@host").encode().encode()


def parsed(raw: bytes) -> AuthorizedKey:
    line = parse_line(raw)
    assert isinstance(line, AuthorizedKey), line
    return line


def lines_of(data: bytes) -> list[Line]:
    return list(parse_file(io.BytesIO(data)))


@pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
def test_plain_lines(key: PublicKey) -> None:
    raw = PublicLine(key, "a comment").encode().encode() + b"\n"
    assert parse_line(raw, 7) == AuthorizedKey((), key, "a comment", 7, raw)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b" ", b"\t "])
def test_blanks_and_line_ends_around(start: bytes, end: bytes) -> None:
    line = parsed(start + SK_LINE + end)
    assert (line.key, line.comment) == (SK_ED25519, "me@host")
    assert line.raw == start + SK_LINE + end


def test_options() -> None:
    line = parsed(
        b'No-Touch-Required,command="echo \\"a b\\"",from="10.*",ENVIRONMENT="A=b c" ' + SK_LINE
    )
    assert line.options == (
        Option("no-touch-required"),
        Option("command", 'echo "a b"'),
        Option("from", "10.*"),
        Option("environment", "A=b c"),
    )
    assert line.has("no-touch-required")
    assert not line.has("pty")
    assert line.value("command") == 'echo "a b"'
    assert line.value("pty") is None
    assert not line.is_authority
    assert parsed(b"cert-authority " + SK_LINE).is_authority


def test_a_nul_ends_a_line_for_sshd() -> None:
    assert parsed(SK_LINE + b"\0rest\n").comment == "me@host"


def test_comment_of_any_bytes() -> None:
    assert parsed(SK_LINE + b" \xff\x1b[31m").comment == "me@host \udcff\x1b[31m"


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\n", b" \t\n", b"# c\n", b" # c", b"\0x"])
def test_lines_that_say_nothing(raw: bytes) -> None:
    assert parse_line(raw, 3) == OtherLine(3, raw)


CERTIFICATE = certificate(SK_ED25519, ed25519_key())
CERTIFICATE_LINE = CERTIFICATE.type_name.encode() + b" " + base64.b64encode(CERTIFICATE.blob())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"frob " + SK_LINE, "'frob' is unknown to sshd"),
        (b"pty,= " + SK_LINE, "cannot start with"),
        (b'command="x ' + SK_LINE, "never closed"),
        (b"command=x " + SK_LINE, "not in quotes"),
        (b"pty " + SK_LINE[5:], "no key of a known type"),
        (b"pty", "no key of a known type"),
        (b"pty restrict " + SK_LINE, "no key of a known type"),
        (b"ssh-dss AAAAB3NzaC1kc3M= old", "no key of a known type"),
        (SK_LINE.replace(b"AAAA", b"AAAB", 1), "another type"),
        (SK_LINE[:60], "base64|need|padding"),
        (CERTIFICATE_LINE, "a certificate lets nobody in"),
        (b"\xff\xfe\x00s\x00s\x00h", "no key|cannot start"),
        (bytes(range(1, 256)), "."),
    ],
)
def test_bad_lines_say_why(raw: bytes, reason: str) -> None:
    line = parse_line(raw, 9)
    assert isinstance(line, BadLine)
    assert (line.line_number, line.raw) == (9, raw)
    with pytest.raises(MalformedKey, match=reason):
        raise MalformedKey(line.reason)


# --- files ---------------------------------------------------------------------------------


def test_lines_are_numbered() -> None:
    data = b"# keys\n\n" + SK_LINE + b"\nfrob " + SK_LINE + b"\r\n" + SK_LINE
    lines = lines_of(data)
    assert [type(line) for line in lines] == [
        OtherLine,
        OtherLine,
        AuthorizedKey,
        BadLine,
        AuthorizedKey,
    ]
    assert [line.line_number for line in lines] == [1, 2, 3, 4, 5]
    assert b"".join(line.raw for line in lines) == data


def test_over_long_lines_come_in_pieces_and_count_once() -> None:
    long = b"x" * (2 * key_text.MAX_LINE + 5) + b"\n"
    data = SK_LINE + b"\n" + long + SK_LINE + b"\n"
    lines = lines_of(data)
    assert [line.line_number for line in lines] == [1, 2, 2, 2, 3]
    assert all(len(line.raw) <= key_text.MAX_LINE for line in lines)
    assert all("too long" in line.reason for line in lines if isinstance(line, BadLine))
    assert b"".join(line.raw for line in lines) == data


def test_a_key_behind_an_over_long_start_is_no_key() -> None:
    data = b" " * key_text.MAX_LINE + SK_LINE + b"\n"
    assert [type(line) for line in lines_of(data)] == [BadLine, BadLine]


@given(st.lists(st.binary(max_size=60) | st.just(SK_LINE) | st.just(b"pty " + SK_LINE)))
def test_every_byte_of_a_file_is_kept(pieces: list[bytes]) -> None:
    data = b"\n".join(pieces)
    lines = lines_of(data)
    assert b"".join(line.raw for line in lines) == data
    assert [line.line_number for line in lines] == list(range(1, len(lines) + 1))


def test_keys_are_found_whatever_stands_around_them() -> None:
    data = (
        SK_LINE
        + b"\npty "
        + SK_LINE
        + b" else\n"
        + PublicLine(RSA, "").encode().encode()
        + b"\nfrob "
        + SK_LINE
    )
    found = [line for line in lines_of(data) if isinstance(line, AuthorizedKey)]
    assert [line.line_number for line in found if line.key == SK_ED25519] == [1, 2]
    assert [line.line_number for line in found if line.key == ED25519] == []


# --- writing -------------------------------------------------------------------------------


def test_writing_a_line() -> None:
    options = (Option("no-touch-required"), Option("command", 'echo "x"'))
    raw = encode_line(SK_ECDSA, options, "c")
    assert raw.startswith(b'no-touch-required,command="echo \\"x\\"" sk-ecdsa-sha2-nistp256@')
    assert raw.endswith(b" c\n")
    assert parsed(raw) == AuthorizedKey(options, SK_ECDSA, "c", 1, raw)
    assert encode_line(SK_ED25519, comment="me@host") == SK_LINE + b"\n"


def test_what_is_not_written() -> None:
    with pytest.raises(MalformedFile, match="unknown to sshd"):
        encode_line(SK_ED25519, [Option("frob")])
    with pytest.raises(UsageError):
        encode_line(SK_ED25519, [Option("command", "a\nb")])
    with pytest.raises(UsageError):
        encode_line(SK_ED25519, comment="a\nssh-ed25519 AAAA")


values = st.text(st.characters(exclude_characters="\r\n\0\\", exclude_categories=["Cs"]))


@given(st.sampled_from(PUBLIC_KEYS), values, st.lists(st.sampled_from(["pty", "restrict"])))
def test_any_line_reads_back_the_same(key: PublicKey, value: str, flags: list[str]) -> None:
    options = (*map(Option, flags), Option("command", value))
    line = parsed(encode_line(key, options))
    assert (line.key, line.options) == (key, options)
