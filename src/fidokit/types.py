"""Names and numbers that every layer shares; no behavior beyond small tables.

The number spaces are kept apart on purpose: COSE -7 and sk-api 0 are both ECDSA.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum, IntFlag
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from pathlib import Path

PassphraseSource = Callable[["Path"], bytes]
"""Gives the passphrase of a file, by the file's path.

It is called at most once an operation: for a file that is opened, only where the file has a
passphrase; for one that is written, always, and then an empty answer leaves it without one.
"""


class Word(str, Enum):  # noqa: UP042  what travels to other hosts runs on Python 3.9
    """A member is its text, and prints as it: `enum.StrEnum`, which Python has from 3.11 on."""

    def __str__(self) -> str:
        return str(self.value)


Application = NewType("Application", str)
"""An SSH key's application, which is CTAP's RP id: `ssh:` or `ssh:something`."""

KeyHandle = NewType("KeyHandle", bytes)
"""OpenSSH's name for a CTAP credential id."""

CredentialId = NewType("CredentialId", bytes)
"""CTAP's credential id, 1 to 1023 bytes."""

UserId = NewType("UserId", bytes)
"""CTAP's user.id, 0 to 64 bytes; OpenSSH pads its user string with zeros to 32."""

Aaguid = NewType("Aaguid", bytes)
"""The 16 bytes that name an authenticator's model."""


class CoseAlg(IntEnum):
    """COSE algorithm numbers that CTAP authenticators use (IANA COSE registry)."""

    ES256 = -7
    EDDSA = -8
    ESP256 = -9
    ED25519 = -19
    ES384 = -35
    ES512 = -36
    PS256 = -37
    ES256K = -47
    ML_DSA_44 = -48
    ML_DSA_65 = -49
    ML_DSA_87 = -50
    ESP384 = -51
    ESP512 = -52
    ED448 = -53
    RS256 = -257


class CtapCommand(IntEnum):
    """CTAP2 command bytes that the client side sends (CTAP 2.3 section 6)."""

    MAKE_CREDENTIAL = 0x01
    GET_ASSERTION = 0x02
    GET_INFO = 0x04
    CLIENT_PIN = 0x06
    RESET = 0x07
    GET_NEXT_ASSERTION = 0x08
    BIO_ENROLLMENT = 0x09
    CREDENTIAL_MANAGEMENT = 0x0A
    SELECTION = 0x0B
    LARGE_BLOBS = 0x0C
    CONFIG = 0x0D
    BIO_ENROLLMENT_PREVIEW = 0x40
    CREDENTIAL_MANAGEMENT_PREVIEW = 0x41


class SkApiAlg(IntEnum):
    """Algorithm numbers of OpenSSH's sk-api.h."""

    ECDSA = 0
    ED25519 = 1


class KeyType(Word):
    """The two key types that live on a token, by ssh-keygen's names."""

    ECDSA_SK = "ecdsa-sk"
    ED25519_SK = "ed25519-sk"

    @property
    def cose_alg(self) -> CoseAlg:
        """The COSE algorithm to ask a token for."""
        return CoseAlg.ES256 if self is KeyType.ECDSA_SK else CoseAlg.EDDSA


class SkFlag(IntFlag):
    """The flags byte of a private key file (OpenSSH sk-api.h, PROTOCOL.u2f).

    FORCE leaks into files that ssh-keygen wrote after an overwrite, so 0x31 is a valid value.
    """

    USER_PRESENCE_REQUIRED = 0x01
    USER_VERIFICATION_REQUIRED = 0x04
    FORCE_OPERATION = 0x10
    RESIDENT_KEY = 0x20


class CredProtect(IntEnum):
    """Levels of the credProtect extension (CTAP 2.1 section 12.1)."""

    UV_OPTIONAL = 1
    UV_OPTIONAL_WITH_LIST = 2
    UV_REQUIRED = 3


class Transport(Word):
    """How a token is reached; also the first part of its selector."""

    USB = "usb"
    PCSC = "pcsc"
    VIRTUAL = "virtual"
    SOCKET = "socket"
    """A virtual token that another process serves at a path, perhaps outside of a container."""


class CtapStatus(IntEnum):
    """Status codes of CTAP 2.3 section 8.2; the numbers alone, shared by both sides."""

    OK = 0x00
    INVALID_COMMAND = 0x01
    INVALID_PARAMETER = 0x02
    INVALID_LENGTH = 0x03
    INVALID_SEQ = 0x04
    TIMEOUT = 0x05
    CHANNEL_BUSY = 0x06
    LOCK_REQUIRED = 0x0A
    INVALID_CHANNEL = 0x0B
    CBOR_UNEXPECTED_TYPE = 0x11
    INVALID_CBOR = 0x12
    MISSING_PARAMETER = 0x14
    LIMIT_EXCEEDED = 0x15
    FP_DATABASE_FULL = 0x17
    LARGE_BLOB_STORAGE_FULL = 0x18
    CREDENTIAL_EXCLUDED = 0x19
    PROCESSING = 0x21
    INVALID_CREDENTIAL = 0x22
    USER_ACTION_PENDING = 0x23
    OPERATION_PENDING = 0x24
    NO_OPERATIONS = 0x25
    UNSUPPORTED_ALGORITHM = 0x26
    OPERATION_DENIED = 0x27
    KEY_STORE_FULL = 0x28
    UNSUPPORTED_OPTION = 0x2B
    INVALID_OPTION = 0x2C
    KEEPALIVE_CANCEL = 0x2D
    NO_CREDENTIALS = 0x2E
    USER_ACTION_TIMEOUT = 0x2F
    NOT_ALLOWED = 0x30
    PIN_INVALID = 0x31
    PIN_BLOCKED = 0x32
    PIN_AUTH_INVALID = 0x33
    PIN_AUTH_BLOCKED = 0x34
    PIN_NOT_SET = 0x35
    PUAT_REQUIRED = 0x36
    PIN_POLICY_VIOLATION = 0x37
    PIN_TOKEN_EXPIRED = 0x38
    REQUEST_TOO_LARGE = 0x39
    ACTION_TIMEOUT = 0x3A
    UP_REQUIRED = 0x3B
    UV_BLOCKED = 0x3C
    INTEGRITY_FAILURE = 0x3D
    INVALID_SUBCOMMAND = 0x3E
    UV_INVALID = 0x3F
    UNAUTHORIZED_PERMISSION = 0x40
    OTHER = 0x7F
