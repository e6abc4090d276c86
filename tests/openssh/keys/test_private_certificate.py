"""Private files that carry a certificate: its blob stands where the key's fields stand."""

from __future__ import annotations

import pytest
from tests.support.samples import ED25519, SK_ECDSA, SK_ED25519, SK_KEYS, key_id
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.private import (
    PrivateFile,
    SkPrivate,
    encode_private,
    parse_private,
    peek_public,
    read_private,
)
from fidokit.openssh.keys.public import PublicKey, SkPublic
from fidokit.openssh.wire import Reader
from fidokit.types import KeyHandle, SkFlag

EVERY_SK = pytest.mark.parametrize("public", SK_KEYS, ids=key_id)


def certified(public: PublicKey) -> Certificate:
    return certificate(public, ed25519_key(), principals=("alice",), key_id="id")


def key_of(public: SkPublic) -> SkPrivate:
    return SkPrivate(public, SkFlag(0x25), KeyHandle(b"handle"), b"", certified(public))


@EVERY_SK
def test_layout(public: SkPublic) -> None:
    key = key_of(public)
    certificate = certified(public)
    assert key.encode() == (
        wire.text(certificate.type_name)
        + wire.string(certificate.blob())
        + (wire.string(public.point) if public is SK_ED25519 else b"")
        + wire.text("ssh:")
        + b"\x25"
        + wire.string(b"handle")
        + wire.string(b"")
    )


@EVERY_SK
@pytest.mark.parametrize("passphrase", [None, b"words"])
def test_file_round_trip(public: SkPublic, passphrase: bytes | None) -> None:
    file = PrivateFile(key_of(public), "me@here")
    text = encode_private(file, passphrase=passphrase, rounds=1)
    assert parse_private(text, lambda: passphrase or b"") == file
    assert peek_public(text) == public


@EVERY_SK
def test_cut_at_every_byte_and_trailing_byte(public: SkPublic) -> None:
    data = key_of(public).encode()
    for cut in range(len(data)):
        with pytest.raises(MalformedKey):
            read_private(Reader(data[:cut], "key"))
    reader = Reader(data + b"\0", "key")
    assert read_private(reader) == key_of(public)
    assert reader.remaining == 1


def test_type_must_be_the_certificates() -> None:
    data = key_of(SK_ED25519).encode()
    head = wire.text(certified(SK_ED25519).type_name)
    other = wire.text(certified(SK_ECDSA).type_name)
    with pytest.raises(MalformedKey, match="of another type"):
        read_private(Reader(other + data[len(head) :], "key"))


def test_the_layout_of_the_document_is_read_too() -> None:
    """PROTOCOL.u2f has no point behind the certificate; OpenSSH 9.2's code has."""
    data = key_of(SK_ED25519).encode()
    point = wire.string(SK_ED25519.point)
    at = data.rindex(point)
    documented = data[:at] + data[at + len(point) :]
    assert read_private(Reader(documented, "key")) == key_of(SK_ED25519)


def test_point_must_be_the_certificates() -> None:
    data = key_of(SK_ED25519).encode()
    at = data.rindex(SK_ED25519.point)
    with pytest.raises(MalformedKey, match="not its certificate's"):
        read_private(Reader(data[:at] + bytes(32) + data[at + 32 :], "key"))


def test_application_must_be_the_certificates() -> None:
    data = key_of(SK_ED25519).encode()
    tail = wire.text("ssh:") + b"\x25"
    assert data.count(tail) == 1
    with pytest.raises(MalformedKey, match="not its certificate's"):
        read_private(Reader(data.replace(tail, wire.text("ssh;") + b"\x25"), "key"))


def test_certificate_of_an_ordinary_key() -> None:
    certificate = certified(ED25519)
    data = wire.text(certificate.type_name) + wire.string(certificate.blob()) + bytes(20)
    with pytest.raises(MalformedKey, match="ordinary key"):
        read_private(Reader(data, "key"))


def test_the_outer_half_is_the_certificate() -> None:
    """A file whose outer half is the bare key contradicts itself; stock compares them too."""
    file = PrivateFile(key_of(SK_ED25519), "me@here")
    bare = PrivateFile(file.key._replace(certificate=None), "me@here")
    assert file.key.public_blob() == certified(SK_ED25519).blob()
    assert bare.key.public_blob() == SK_ED25519.blob()
