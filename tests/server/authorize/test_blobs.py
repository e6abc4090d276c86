"""Keys found in lines that sshd reads and that nobody would write."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA

from fidokit.errors import UsageError
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine, RsaPublic
from fidokit.server.authorize.blobs import (
    blobs_in,
    canonical,
    digest_of,
    fingerprint_of,
    type_name,
)

RSA = PublicLine(RsaPublic(65537, (1 << 2047) + 12345), "rsa")
BASE64 = PLAIN.encode().split()[1]


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("line", [PLAIN, OTHER, TOKEN, TOKEN_ECDSA, RSA])
@pytest.mark.parametrize("before", ["", "  \t", 'restrict,command="a \\" b" ', "cert-authority\t"])
def test_lines_as_they_are_written(line: PublicLine, before: str) -> None:
    raw = (before + line.encode()).encode()
    assert line.key.blob() in set(blobs_in(raw))
    assert fingerprint_of(line.key.blob()) == fingerprint.sha256(line.key.blob())
    assert type_name(line.key.blob()) == line.key.type_name


@pytest.mark.parametrize(
    "raw",
    [
        f"ssh-ed25519 {BASE64[:20]}\v{BASE64[20:]}",
        f"ssh-ed25519 {BASE64[:20]}\f\r{BASE64[20:]} comment",
        f"ssh-ed25519 {BASE64}\r\n",
        f"ssh-ed25519  \t {BASE64}\t",
        f"ssh-ed25519 {BASE64}\0 rest",
        f"no-such-option ssh-ed25519 {BASE64}",
        f"some-new-type {BASE64}",
        f'from="a b" ssh-ed25519 {BASE64}',
    ],
)
def test_lines_that_only_sshd_would_read(raw: str) -> None:
    assert PLAIN.key.blob() in set(blobs_in(raw.encode()))


def test_needless_zeros_of_an_rsa_number() -> None:
    key = RSA.key
    assert isinstance(key, RsaPublic)
    n = key.n.to_bytes(256, "big")
    blob = string(b"ssh-rsa") + string(b"\0\0\1\0\1") + string(b"\0\0\0" + n)
    assert canonical(blob) == key.blob()
    assert key.blob() in set(blobs_in(b"ssh-rsa " + b64encode(blob)))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"# ssh-ed25519 " + BASE64.encode(),
        b"  # ssh-ed25519 " + BASE64.encode(),
        b"ssh-ed25519",
        b'command="ssh-ed25519 ' + BASE64.encode() + b'" ',
        b'command="ssh-ed25519 ' + BASE64.encode(),
    ],
)
def test_no_key(raw: bytes) -> None:
    assert list(blobs_in(raw)) == []


def test_a_key_in_a_command_is_not_the_key_of_the_line() -> None:
    raw = f'command="ssh-ed25519 {BASE64}" {OTHER.encode()}'.encode()
    assert set(blobs_in(raw)) == {OTHER.key.blob()}


@given(st.binary(max_size=300))
def test_any_bytes(raw: bytes) -> None:
    for blob in blobs_in(raw):
        assert canonical(canonical(blob)) == canonical(blob)
        assert len(digest_of(fingerprint_of(blob))) == 32


@pytest.mark.parametrize("print_", ["SHA256:", "SHA256:abc", "SHA256:é", "SHA256:" + "A" * 44])
def test_what_is_no_fingerprint(print_: str) -> None:
    with pytest.raises(UsageError):
        digest_of(print_)
