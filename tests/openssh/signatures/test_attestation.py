"""ssh-sk-attest-v00 and -v01: layout, round trips, every cut, and authData's CBOR head."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.signatures.attestation import (
    MAX_ATTESTATION,
    Attestation,
    parse_attestation,
    unwrap_bytes,
    wrap_bytes,
)

AUTH_DATA = bytes(range(180))
V00 = Attestation(b"leaf", b"sig", None)
V01 = Attestation(b"leaf", b"sig", wrap_bytes(AUTH_DATA))
BOTH = pytest.mark.parametrize("attestation", [V00, V01], ids=["v00", "v01"])


def test_layouts_byte_for_byte() -> None:
    assert V00.blob() == (b"\0\0\0\x11ssh-sk-attest-v00\0\0\0\4leaf\0\0\0\3sig\0\0\0\0\0\0\0\0")
    assert Attestation(b"leaf", b"", b"\x41a").blob() == (
        b"\0\0\0\x11ssh-sk-attest-v01\0\0\0\4leaf\0\0\0\0\0\0\0\2\x41a\0\0\0\0\0\0\0\0"
    )


@BOTH
def test_round_trip(attestation: Attestation) -> None:
    assert parse_attestation(attestation.blob()) == attestation
    assert parse_attestation(attestation.blob()).blob() == attestation.blob()


@BOTH
def test_truncation(attestation: Attestation) -> None:
    blob = attestation.blob()
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            parse_attestation(blob[:cut])


@BOTH
def test_trailing_byte(attestation: Attestation) -> None:
    with pytest.raises(MalformedKey, match="1 bytes follow"):
        parse_attestation(attestation.blob() + b"\0")


@pytest.mark.parametrize("name", ["", "ssh-sk-attest-v02", "ssh-ed25519"])
def test_other_formats(name: str) -> None:
    with pytest.raises(MalformedKey, match="is not known"):
        parse_attestation(wire.text(name) + V00.blob()[21:])


def test_size_is_bounded() -> None:
    with pytest.raises(MalformedKey, match="more than"):
        parse_attestation(bytes(MAX_ATTESTATION + 1))


def test_auth_data() -> None:
    assert V01.auth_data == AUTH_DATA
    assert V00.auth_data is None
    assert (V00.version, V01.version) == (0, 1)


@given(
    st.binary(max_size=50),
    st.binary(max_size=50),
    st.none() | st.binary(max_size=50),
    st.integers(min_value=0, max_value=0xFFFFFFFF),
    st.binary(max_size=9),
)
def test_any_round_trip(
    leaf: bytes, signature: bytes, auth_data: bytes | None, flags: int, reserved: bytes
) -> None:
    attestation = Attestation(leaf, signature, auth_data, flags, reserved)
    assert parse_attestation(attestation.blob()) == attestation


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65535, 65536])
def test_wrapping_agrees_with_cbor2(length: int) -> None:
    data = b"x" * length
    assert wrap_bytes(data) == cbor2.dumps(data)
    assert unwrap_bytes(cbor2.dumps(data)) == data


@pytest.mark.parametrize(
    "cbor",
    [
        b"",
        b"\x40\x00",  # trailing
        b"\x41",  # cut
        b"\x44\x01",  # the cut that fido2.cbor takes
        b"\x58\x01a",  # 1 in one byte of argument
        b"\x58",
        b"\x59\x00\xff" + bytes(255),
        b"\x5a\x00\x00\xff\xff" + bytes(65535),
        b"\x5b" + bytes(8),
        b"\x5c",
        b"\x5f\x41a\xff",  # indefinite
        b"\x61a",  # text
        b"\xf6",
    ],
)
def test_unwrapping_is_strict(cbor: bytes) -> None:
    with pytest.raises(MalformedKey):
        unwrap_bytes(cbor)
    with pytest.raises(MalformedKey):
        _ = Attestation(b"", b"", cbor).auth_data
