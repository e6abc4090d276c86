"""The platform side of U2F raw messages, for tests; it shares no code with src."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.virtual.core.client import (
    RP,
    Bench,
    check_signature,
)

APP = hashlib.sha256(RP.encode()).digest()
CHALLENGE = bytes(range(32, 64))
REGISTER, AUTHENTICATE, VERSION = 1, 2, 3
ENFORCE, CHECK, DONT_ENFORCE = 3, 7, 8

OK = 0x9000
WRONG_LENGTH = 0x6700
CONDITIONS = 0x6985
NOT_ALLOWED = 0x6986
WRONG_DATA = 0x6A80
WRONG_P1 = 0x6A86
NO_INS = 0x6D00
NO_CLA = 0x6E00


def extended(ins: int, p1: int = 0, data: bytes = b"", le: bytes = b"\0\0") -> bytes:
    return bytes([0, ins, p1, 0, 0]) + len(data).to_bytes(2) + data + le


def short(ins: int, p1: int = 0, data: bytes = b"", le: bytes = b"\0") -> bytes:
    lc = bytes([len(data)]) if data else b""
    return bytes([0, ins, p1, 0]) + lc + data + le


def send(bench: Bench, apdu: bytes) -> tuple[bytes, int]:
    reply = bench.authenticator.handle_msg(apdu)
    return reply[:-2], int.from_bytes(reply[-2:])


def word(bench: Bench, apdu: bytes) -> int:
    data, status = send(bench, apdu)
    assert data == b"" or status == OK
    return status


class Registered:
    """A registration taken apart, and its signature checked."""

    def __init__(self, reply: bytes, app: bytes = APP, challenge: bytes = CHALLENGE) -> None:
        assert reply[0] == 5
        self.point, size = reply[1:66], reply[66]
        self.handle, rest = reply[67 : 67 + size], reply[67 + size :]
        length = 4 + int.from_bytes(rest[2:4])  # DER: 30 82 hi lo
        assert rest[:2] == b"\x30\x82"
        self.certificate = x509.load_der_x509_certificate(rest[:length])
        signed = b"\x00" + app + challenge + self.handle + self.point
        key = self.certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(rest[length:], signed, ec.ECDSA(hashes.SHA256()))

    def cose(self) -> dict[int, Any]:
        return {1: 2, 3: -7, -1: 1, -2: self.point[1:33], -3: self.point[33:]}

    def check(self, reply: bytes, up: int, app: bytes = APP) -> int:
        """Check an authentication and return its counter."""
        assert reply[0] == up
        check_signature(self.cose(), reply[5:], app + reply[:5] + CHALLENGE)
        return int.from_bytes(reply[1:5])


def register(bench: Bench, app: bytes = APP) -> Registered:
    data, status = send(bench, extended(REGISTER, data=CHALLENGE + app))
    assert status == OK
    return Registered(data, app)


def sign_data(handle: bytes, app: bytes = APP) -> bytes:
    return CHALLENGE + app + bytes([len(handle)]) + handle


def authenticate(bench: Bench, handle: bytes, p1: int = ENFORCE, app: bytes = APP) -> Any:
    return send(bench, extended(AUTHENTICATE, p1, sign_data(handle, app)))
