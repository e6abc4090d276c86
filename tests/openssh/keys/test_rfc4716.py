"""RFC 4716 files: round trips, headers, folding, every cut, and RFC 4716's own example."""

from __future__ import annotations

import pytest
from hypothesis import given
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import PUBLIC_KEYS, RSA, SK_ED25519, comments, key_id, public_keys

from fidokit.errors import MalformedKey, UsageError
from fidokit.openssh.keys.public import PublicKey, PublicLine, RsaPublic
from fidokit.openssh.keys.rfc4716 import MAX_FILE, encode_rfc4716, parse_rfc4716, stock_comment

EVERY_KEY = pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)

# The first example of RFC 4716 section 3.6.
EXAMPLE = """\
---- BEGIN SSH2 PUBLIC KEY ----
Comment: "1024-bit RSA, converted from OpenSSH by me@example.com"
x-command: /home/me/bin/lock-in-guest.sh
AAAAB3NzaC1yc2EAAAABIwAAAIEA1on8gxCGJJWSRT4uOrR13mUaUk0hRf4RzxSZ1zRb
YYFw8pfGesIFoEuVth4HKyF8k1y4mRUnYHP1XNMNMJl1JcEArC2asV8sHf6zSPVffozZ
5TT4SfsUu/iKy9lUcCfXzwre4WWZSXXcPff+EHtWshahu3WzBdnGxm5Xoi89zcE=
---- END SSH2 PUBLIC KEY ----
"""


def test_the_example_of_the_rfc() -> None:
    line = parse_rfc4716(EXAMPLE)
    assert line.comment == "1024-bit RSA, converted from OpenSSH by me@example.com"
    assert isinstance(line.key, RsaPublic)
    assert (line.key.e, line.key.bits) == (35, 1024)


@EVERY_KEY
def test_round_trip(key: PublicKey) -> None:
    assert parse_rfc4716(encode_rfc4716(key)) == PublicLine(key, "")


@given(public_keys, comments)
def test_any_round_trip(key: PublicKey, comment: str) -> None:
    text = encode_rfc4716(key, comment)
    assert parse_rfc4716(text) == PublicLine(key, comment)
    assert max(len(line.encode()) for line in text.split("\n")) <= 72


def test_long_comments_are_folded() -> None:
    comment = "é" * 200 + " with \\ and a colon: in it"
    text = encode_rfc4716(SK_ED25519, comment)
    assert text.count("\\\n") > 5
    assert parse_rfc4716(text).comment == comment


@EVERY_KEY
def test_cut_at_every_character(key: PublicKey) -> None:
    text = encode_rfc4716(key, "me@here").rstrip("\n")
    for cut in range(len(text)):
        with pytest.raises(MalformedKey):
            parse_rfc4716(text[:cut])


@pytest.mark.parametrize(
    ("headers", "comment"),
    [
        ("", ""),
        ("Comment: plain\n", "plain"),
        ('comment: "quoted"\n', "quoted"),
        ('COMMENT: "\n', '"'),
        ("Comment:\n", ""),
        ("Comment: one\\\n two\\\n\\\n three\n", "one two three"),
        ("Subject: me\nx-long: a\\\nb\\\nc\nComment: last\n", "last"),
    ],
)
def test_headers(headers: str, comment: str) -> None:
    begin, _, rest = encode_rfc4716(SK_ED25519).partition("\n")
    assert parse_rfc4716(f"{begin}\n{headers}{rest}") == PublicLine(SK_ED25519, comment)


def test_line_ends_and_blanks_around() -> None:
    text = encode_rfc4716(SK_ED25519, "me")
    assert parse_rfc4716("\n " + text.replace("\n", " \r\n") + "\r\n").key == SK_ED25519


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a public key in RFC 4716"),
        ("ssh-ed25519 AAAA", "not a public key in RFC 4716"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n", "private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "ends before"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\n---- END SSH2 PUBLIC KEY ----\n", "need 4 bytes"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAé==\n---- END SSH2 PUBLIC KEY ----\n", "base64"),
        ("x" * (MAX_FILE + 1), "more than"),
    ],
)
def test_no_such_file(text: str, problem: str) -> None:
    with pytest.raises(MalformedKey, match=problem):
        parse_rfc4716(text)


@pytest.mark.parametrize("comment", ["a\nb", "a\rb", "a\0b", "\ud800"])
def test_comment_that_cannot_be_written(comment: str) -> None:
    with pytest.raises(UsageError):
        encode_rfc4716(SK_ED25519, comment)


def test_stock_comment_is_cut_at_60_bytes() -> None:
    assert stock_comment(RSA, "me", "host") == "1025-bit RSA, converted by me@host from OpenSSH"
    long = stock_comment(SK_ED25519, "someone", "a-host-with-quite-a-long-name")
    assert long == "256-bit ED25519-SK, converted by someone@a-host-with-quite-a"
    assert len(long) == 60


def test_endless_folding_takes_no_time() -> None:
    begin, _, rest = encode_rfc4716(SK_ED25519).partition("\n")
    folded = "Comment: " + "\\\n" * 100_000 + "end\n"
    assert parse_rfc4716(f"{begin}\n{folded}{rest}").comment == "end"


def test_fuzz_rfc4716() -> None:
    def parse(data: bytes) -> None:
        parse_rfc4716(data.decode("latin-1"))

    corpus = [encode_rfc4716(key, "me@here").encode() for key in PUBLIC_KEYS]
    survive(corpus, parse, MalformedKey, fuzz_count(5_000))
