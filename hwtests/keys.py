"""SSH keys that tests make on the token, and how they are used and told from other people's."""

from __future__ import annotations

from pathlib import Path

from hwtests.desk import Desk

from fidokit.client.session import Session
from fidokit.inventory.key_list import KeyRow
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key
from fidokit.keys.holder import open_key_file
from fidokit.keys.resident_keys import delete_key, list_keys
from fidokit.signing.signatures import VerifiedSignature, sign_message, verify_signature
from fidokit.signing.signers import SessionSigner
from fidokit.types import KeyType

APPLICATION = "ssh:fidokit-hwtests"
"""All keys of this suite; whatever else is on the token is not touched."""

MESSAGE = b"to be signed by a token under test"


def best_type(desk: Desk) -> KeyType:
    """The better of the two types that the token makes."""
    return KeyType.ED25519_SK if desk.info.supports(KeyType.ED25519_SK) else KeyType.ECDSA_SK


def make(session: Session, path: Path, key_type: KeyType, **options: object) -> GeneratedKey:
    """Make a key under this suite's application, without a passphrase."""
    request = GenerateRequest(key_type, path, APPLICATION, comment="hwtests", **options)  # type: ignore[arg-type]
    return generate_key(session, request)


def use(session: Session, path: Path) -> VerifiedSignature:
    """Sign with a key file, and verify what came back against its public half."""
    signature = sign_message(SessionSigner(session, open_key_file(path)), MESSAGE)
    return verify_signature(MESSAGE, signature, public_key=path.with_name(path.name + ".pub"))


def ours(session: Session) -> list[KeyRow]:
    """The keys of this suite that are on the token."""
    rows = list_keys(session, only_token=True, search_home=False)
    return [row for row in rows if row.application == APPLICATION]


def clear(session: Session) -> None:
    """Delete them."""
    for row in ours(session):
        delete_key(session, row)
