"""Attestation files of ssh-keygen: what they say, and whether a token, and whose, made the key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.credentials.attestation import (
    aaguid_of,
    leads_to,
    read_auth_data,
    read_leaf,
    verify_stored,
)
from fidokit.client.credentials.auth_data import Flag
from fidokit.errors import SignatureInvalid, Unsupported, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.keys.holder import open_key_file, read_named
from fidokit.openssh.keys.public import PublicKey, SkEcdsaPublic, SkEd25519Public, SkPublic
from fidokit.openssh.signatures.attestation import MAX_ATTESTATION, parse_attestation
from fidokit.types import PassphraseSource

if TYPE_CHECKING:
    from fidokit.client.credentials.attestation import Leaf as Leaf  # noqa: PLC0414  its users may not reach lower
    from fidokit.metadata.catalog import Catalog
    from fidokit.metadata.model import Model
    from fidokit.openssh.signatures.attestation import Attestation
    from fidokit.types import Aaguid, KeyHandle


class Origin(StrEnum):
    """Who vouches for a key.

    MODEL: the certificate leads to the roots of a certified model. CLAIMED: a model is named, and
    its roots do not confirm that. UNKNOWN: no model of the metadata is named, or there is no
    metadata here. SELF: the key itself signed, which proves no maker.
    """

    MODEL = "model"
    CLAIMED = "claimed"
    UNKNOWN = "unknown"
    SELF = "self"


@dataclass(frozen=True, slots=True)
class ShownAttestation:
    """What an attestation file says, nothing of it verified; texts are its maker's.

    Attributes:
        version: 0 or 1.
        application: None if it is not `ssh:`, of which only a hash is stored.
        aaguid: with dashes; None for U2F and where nothing is stored.
        model: the model's description, where the metadata has it.
        key_handle: the credential id; None if nothing is stored.
        user_present, user_verified: what the token said when it made the key; None if nothing
            is stored or, once verified, where the signature does not cover it.
        leaf: its certificate; None for a key that attests itself.
    """

    version: int
    application: str | None
    aaguid: str | None
    model: str | None
    key_handle: bytes | None
    user_present: bool | None
    user_verified: bool | None
    leaf: Leaf | None


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """A signature that was found good, and who vouches for it.

    Attributes:
        format: packed or fido-u2f.
        origin: see `Origin`.
        certification: of the model, such as FIDO_CERTIFIED_L1; None if its roots do not vouch.
        untrusted: whether that model was reported as broken or revoked.
        user_verified: by PIN or finger when the key was made; None if that is not signed.
    """

    shown: ShownAttestation
    format: str
    origin: Origin
    certification: str | None
    untrusted: bool
    user_verified: bool | None


def show_attestation(path: Path) -> ShownAttestation:
    """What an attestation file says.

    Raises:
        MalformedKey: it is none, or damaged.
        NoPermission, UsageError: it cannot be read.
    """
    return _shown(_read(path), available_metadata())


def verify_attestation(
    path: Path, key: Path, challenge: Path, *, passphrase: PassphraseSource | None = None
) -> VerifiedAttestation:
    """Check that a token made a key, for a challenge, and whose token it was.

    Args:
        path: the attestation file.
        key: the public key, or the private file, whose key handle is then compared too.
        challenge: the file that `-O challenge=` was given.
        passphrase: asks for that of the private file.

    Raises:
        SignatureInvalid: it is about another key, another challenge, or another model than its
            certificate.
        Unsupported: version 00, or a certificate of a kind that is not known here.
        MalformedKey: a file is damaged; UsageError: not a key on a token.
    """
    public, handle = _key(key, passphrase)
    return _verified(_read(path), public, handle, challenge, available_metadata())


def verify_made(
    path: Path, public: PublicKey, challenge: Path, metadata: Catalog
) -> VerifiedAttestation:
    """Check that a token made a key that is known as a value, for a challenge, and whose it was.

    Args:
        path: the attestation file.
        public: the key.
        challenge: the file that `-O challenge=` was given.
        metadata: where models are looked up.

    Raises:
        FidokitError: as `verify_attestation`.
    """
    if not isinstance(public, (SkEd25519Public, SkEcdsaPublic)):
        raise UsageError("a key in a file has no attestation")
    return _verified(_read(path), public, None, challenge, metadata)


def _verified(
    attestation: Attestation,
    public: SkPublic,
    handle: KeyHandle | None,
    challenge: Path,
    metadata: Catalog | None,
) -> VerifiedAttestation:
    said = read_bounded(challenge, _LONGEST_CHALLENGE)
    name = verify_stored(attestation, public, handle, said)
    shown = _shown(attestation, metadata, signed=name != U2F)
    named = aaguid_of(read_auth_data(attestation)) if name != U2F else None
    leaf_of = shown.leaf.aaguid if shown.leaf else None
    if named and leaf_of not in {None, named}:
        raise SignatureInvalid("the attestation's certificate is for another model of token")
    model = _model(metadata, named, shown.leaf)
    origin = _origin(attestation, model.attestation_roots if model else None)
    if origin is Origin.SELF:  # whoever makes a key can sign any model's number with it
        shown = replace(shown, model=None)
    return VerifiedAttestation(
        shown=shown,
        format=name,
        origin=origin,
        certification=model.certification if model and origin is Origin.MODEL else None,
        untrusted=bool(model and model.untrusted and origin is not Origin.SELF),
        user_verified=shown.user_verified,
    )


def require_certified(found: VerifiedAttestation) -> None:
    """Return where a certified model's roots vouch for the token, and it is not known as broken.

    Raises:
        SignatureInvalid: not so; says why.
    """
    if found.origin is not Origin.MODEL:
        raise SignatureInvalid(
            "no certified model's roots vouch for the token that made this key",
            hint="`fidokit attestation verify` shows what its certificate says",
        )
    if found.untrusted:
        raise SignatureInvalid(
            f"the token's model, {found.shown.model or 'unnamed'}, is reported as "
            f"{found.certification}"
        )


U2F: Final = "fido-u2f"
"""The format that signs neither flags, counter nor AAGUID (WebAuthn section 8.6)."""

_LONGEST_CHALLENGE: Final = 1 << 20
"""Bytes; only their SHA-256 was signed."""


def _read(path: Path) -> Attestation:
    return parse_attestation(read_bounded(path, MAX_ATTESTATION))


def _key(path: Path, passphrase: PassphraseSource | None) -> tuple[SkPublic, KeyHandle | None]:
    named = read_named(path)
    if not isinstance(named.key, (SkEd25519Public, SkEcdsaPublic)):
        raise UsageError(f"{path} holds no key on a token", hint="name an ed25519-sk or ecdsa-sk")
    handle = open_key_file(path, passphrase=passphrase).key.key_handle if named.is_private else None
    return named.key, handle


def available_metadata() -> Catalog | None:
    """What the FIDO Alliance publishes about models; None if the extra is not installed."""
    from fidokit.metadata import catalog

    try:
        return catalog.load()
    except Unsupported:
        return None


def _model(metadata: Catalog | None, named: Aaguid | None, leaf: Leaf | None) -> Model | None:
    """The certified model: FIDO2's by its AAGUID, U2F's by its certificate."""
    if metadata is None:
        return None
    if named is not None or leaf is None:
        return metadata.by_aaguid(named) if named else None
    by_key = metadata.by_key_identifier(leaf.key_identifier)
    if by_key is None and leaf.issuer_identifier:
        by_key = metadata.by_key_identifier(leaf.issuer_identifier)
    return by_key or (metadata.by_aaguid(leaf.aaguid) if leaf.aaguid else None)


def _shown(
    attestation: Attestation, metadata: Catalog | None, *, signed: bool = True
) -> ShownAttestation:
    """What the file says.

    Args:
        attestation: the file's content.
        metadata: where models are looked up.
        signed: whether the signature covers flags and AAGUID; what it does not is left out.
    """
    from uuid import UUID

    leaf = read_leaf(attestation.leaf_der) if attestation.leaf_der else None
    if attestation.auth_data is None:
        return ShownAttestation(0, None, None, None, None, None, None, leaf)
    data = read_auth_data(attestation)
    named = aaguid_of(data) if signed else None
    model = _model(metadata, named, leaf)
    return ShownAttestation(
        version=1,
        application="ssh:" if data.rp_id_hash == hashlib.sha256(b"ssh:").digest() else None,
        aaguid=str(UUID(bytes=named)) if named else None,
        model=model.description if model else None,
        key_handle=data.credential_id,
        user_present=bool(data.flags & Flag.USER_PRESENT) if signed else None,
        user_verified=bool(data.flags & Flag.USER_VERIFIED) if signed else None,
        leaf=leaf,
    )


def _origin(attestation: Attestation, roots: tuple[bytes, ...] | None) -> Origin:
    if not attestation.leaf_der:
        return Origin.SELF
    if roots is None:
        return Origin.UNKNOWN
    return Origin.MODEL if leads_to(attestation.leaf_der, roots) else Origin.CLAIMED
