"""The attestation that `ssh-keygen -O write-attestation` stores: proof of what made a key.

Source: OpenSSH PROTOCOL.u2f, "Attestation information". The blob names no attestation format,
and holds neither the challenge nor the credential: who verifies it needs those beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.wire import Reader

MAX_ATTESTATION: Final = 1 << 18
"""Longest blob that is looked at, bytes; real ones have under 2 KiB."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """string "ssh-sk-attest-v00" or "-v01", string leaf certificate (DER, empty if none),
    string signature, v01 only: string authData, uint32 reserved flags, string reserved.

    `auth_data_cbor` is the authenticator data still wrapped as a CBOR byte string, which is
    how OpenSSH stores it; None means v00.
    """

    leaf_der: bytes
    signature: bytes
    auth_data_cbor: bytes | None
    reserved_flags: int = 0
    reserved: bytes = b""

    @property
    def version(self) -> int:
        """0 or 1: the number at the end of the format's name."""
        return 0 if self.auth_data_cbor is None else 1

    @property
    def auth_data(self) -> bytes | None:
        """The authenticator data itself (WebAuthn section 6.1); None for v00.

        Raises:
            MalformedKey: `auth_data_cbor` is not exactly one CBOR byte string.
        """
        return None if self.auth_data_cbor is None else unwrap_bytes(self.auth_data_cbor)

    def blob(self) -> bytes:
        """The wire form, which is the whole file."""
        auth_data = b"" if self.auth_data_cbor is None else wire.string(self.auth_data_cbor)
        return (
            wire.text(f"ssh-sk-attest-v{self.version:02}")
            + wire.string(self.leaf_der)
            + wire.string(self.signature)
            + auth_data
            + wire.u32(self.reserved_flags)
            + wire.string(self.reserved)
        )


def _no_auth_data(_: Reader) -> bytes | None:
    return None


def _auth_data(reader: Reader) -> bytes | None:
    return reader.string()


_AUTH_DATA: Final[Mapping[bytes, Callable[[Reader], bytes | None]]] = {
    b"ssh-sk-attest-v00": _no_auth_data,
    b"ssh-sk-attest-v01": _auth_data,
}


def parse_attestation(blob: bytes) -> Attestation:
    """The attestation in a file's bytes, nothing of it verified.

    Args:
        blob: at most `MAX_ATTESTATION` bytes.

    Raises:
        MalformedKey: another format or version, not its layout, or bytes behind the last field.
    """
    if len(blob) > MAX_ATTESTATION:
        raise MalformedKey(f"attestation: {len(blob)} bytes are more than {MAX_ATTESTATION}")
    reader = Reader(blob, "attestation")
    name = reader.string()
    read_auth_data = _AUTH_DATA.get(name)
    if read_auth_data is None:
        raise MalformedKey(
            f"attestation: format {name[:64]!r} is not known",
            hint="Known are ssh-sk-attest-v00 and ssh-sk-attest-v01",
        )
    attestation = Attestation(
        leaf_der=reader.string(),
        signature=reader.string(),
        auth_data_cbor=read_auth_data(reader),
        reserved_flags=reader.u32(),
        reserved=reader.string(),
    )
    reader.end()
    return attestation


_ARGUMENT_WIDTH: Final[Mapping[int, int]] = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST_ARGUMENT: Final[Mapping[int, int]] = {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}


def _head(reader: Reader) -> int:
    """The length in a byte string's head, in CTAP's shortest form (RFC 8949 section 3)."""
    first = reader.u8()
    if first >> 5 != 2:
        raise MalformedKey("attestation: authData is not a CBOR byte string")
    info = first & 0x1F
    if info < 24:
        return info
    width = _ARGUMENT_WIDTH.get(info)
    if width is None:
        raise MalformedKey("attestation: authData has no definite length")
    length = int.from_bytes(reader.raw(width), "big")
    if length < _SMALLEST_ARGUMENT[width]:
        raise MalformedKey("attestation: authData's length is not in its shortest form")
    return length


def unwrap_bytes(cbor: bytes) -> bytes:
    """The content of exactly one CBOR byte string in its shortest form.

    Raises:
        MalformedKey: anything else.
    """
    reader = Reader(cbor, "attestation's authData")
    data = reader.raw(_head(reader))
    reader.end()
    return data


def wrap_bytes(data: bytes) -> bytes:
    """`data` as a CBOR byte string in its shortest form, as OpenSSH stores authData."""
    for width, smallest in sorted(_SMALLEST_ARGUMENT.items(), reverse=True):
        if len(data) >= smallest:
            info = 23 + width.bit_length()
            return bytes([0x40 | info]) + len(data).to_bytes(width, "big") + data
    return bytes([0x40 | len(data)]) + data
