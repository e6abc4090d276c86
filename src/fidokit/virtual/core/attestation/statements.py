"""Authenticator data, the bytes that a credential signs (WebAuthn section 6.1), and the attestation
statements over it: a table from format to what makes it (WebAuthn section 8; ATT-*).

An assertion is attested only on request (CTAP 2.3; GA-20): a statement singles out the token's
batch, or with enterprise attestation the token, so none is given to whom names no format and is no
enterprise. It is a packed one, the only format here that signs over any authenticator data.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fidokit import cbor
from fidokit.types import CoseAlg
from fidokit.virtual.core.attestation import certificates
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.keys.algorithms import CoseKey, PrivateKey
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.schema import ARRAY, UINT, Member, Params, Record, check

UP = 0x01
UV = 0x04
_ATTESTED = 0x40
_EXTENSIONS = 0x80

_FLAGS_AND_COUNTER = struct.Struct(">BI")


def authenticator_data(
    rp_id_hash: bytes,
    flags: int,
    counter: int,
    outputs: Mapping[str, Any],
    attested: bytes = b"",
) -> bytes:
    """rpIdHash (32), flags (1), counter (4), attested credential data, extension outputs.

    Args:
        rp_id_hash: SHA-256 of the RP id.
        flags: UP and UV; the others follow from what is there.
        counter: 0 to 2^32-1.
        outputs: extension outputs; none leaves the map and its flag out (EXT-01).
        attested: from `attested_credential`, or nothing.
    """
    if attested:
        flags |= _ATTESTED
    if not outputs:
        return rp_id_hash + _FLAGS_AND_COUNTER.pack(flags, counter) + attested
    head = _FLAGS_AND_COUNTER.pack(flags | _EXTENSIONS, counter)
    return rp_id_hash + head + attested + cbor.encode(outputs)


def attested_credential(aaguid: bytes, credential_id: bytes, key: CoseKey) -> bytes:
    """aaguid (16), length (2), credential id, COSE key."""
    return aaguid + len(credential_id).to_bytes(2, "big") + credential_id + cbor.encode(key)


Statement = Mapping[str, Any]
ZERO_AAGUID = bytes(16)
_FORMATS_MEMBER = 0x16  # of getInfo; tokens older than that ignore a preference


class Subject(NamedTuple):
    """What is attested.

    Args:
        credential: the new credential.
        key: its private key.
        auth_data: with the attested credential data.
        client_data_hash: 32 bytes.
    """

    credential: Credential
    key: PrivateKey
    auth_data: bytes
    client_data_hash: bytes


def by_itself(subject: Subject) -> Statement:
    """A packed statement without a certificate: the new key's own signature."""
    signature = subject.key.sign(subject.auth_data + subject.client_data_hash)
    return {"alg": subject.credential.alg.value, "sig": signature}


def _packed(token: TokenContext, subject: Subject) -> Statement:
    if token.profile.self_attestation:
        return by_itself(subject)
    certificate = token.state.attestation_certificate
    signature = token.attestation_key.sign(subject.auth_data + subject.client_data_hash)
    return {"alg": CoseAlg.ES256.value, "sig": signature, "x5c": [certificate]}


def _enterprise(token: TokenContext, subject: Subject) -> Statement:
    own = token.enterprise_identity
    signature = own.key.sign(subject.auth_data + subject.client_data_hash)
    return {"alg": CoseAlg.ES256.value, "sig": signature, "x5c": [own.certificate]}


def _fido_u2f(token: TokenContext, subject: Subject) -> Statement:
    signature = token.attestation_key.sign(
        u2f_registration(
            subject.credential.rp_id_hash,
            subject.client_data_hash,
            subject.credential.id,
            subject.key.u2f_point() or b"",
        )
    )
    return {"sig": signature, "x5c": [token.state.attestation_certificate]}


def _none(_token: TokenContext, _subject: Subject) -> Statement:
    return {}


def u2f_registration(application: bytes, challenge: bytes, handle: bytes, point: bytes) -> bytes:
    """What a U2F registration signs: 00, application, challenge, key handle, 04 x y."""
    return b"\x00" + application + challenge + handle + point


class Format(NamedTuple):
    """One attestation statement format.

    Args:
        make: the statement.
        only: the algorithms it can attest, or None for all.
        names_model: whether authData carries the real AAGUID; fido-u2f has zeros (ATT-06).
    """

    make: Callable[[TokenContext, Subject], Statement]
    only: frozenset[CoseAlg] | None = None
    names_model: bool = True

    def fits(self, alg: CoseAlg) -> bool:
        """Whether it can attest a key of this algorithm."""
        return self.only is None or alg in self.only


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "packed": Format(_packed),
        "fido-u2f": Format(_fido_u2f, frozenset({CoseAlg.ES256}), names_model=False),
        "none": Format(_none),
    }
)


ENTERPRISE = Format(_enterprise)
"""Of the format packed, too; no preference chooses it or chooses another in its place."""


def choose(token: TokenContext, preference: Sequence[object], alg: CoseAlg) -> str:
    """The format to use: the first preferred one that the model has, else its default (ATT-04).

    Args:
        token: whose profile lists the formats; "none" always is there and never listed.
        preference: from the request; elements that are not known text are skipped (ATT-05).
        alg: the new credential's algorithm.
    """
    if _FORMATS_MEMBER not in token.profile.info_members:
        preference = ()
    known = {*token.profile.attestation_formats, "none"}
    for name in preference:
        if isinstance(name, str) and name in known and FORMATS[name].fits(alg):
            return name
    return token.profile.attestation_formats[0]


_PREFERENCE: Final = "attestationFormatsPreference"
_ASSERTION_FORM = Record(
    {
        certificates.ENTERPRISE_MEMBER: Member(certificates.ENTERPRISE_MEMBER, UINT),
        _PREFERENCE: Member(_PREFERENCE, ARRAY),
    }
)


@dataclass(frozen=True, slots=True)
class AssertionAttestation:
    """What a platform gets that asked for the attestation of an assertion.

    Args:
        statement: an attestation statement (member 0A).
        enterprise: by the token's own key (member 09).
    """

    statement: bool = False
    enterprise: bool = False


UNATTESTED = AssertionAttestation()


def _asks(token: TokenContext, params: Params) -> bool:
    asks = certificates.ENTERPRISE_MEMBER in params or _PREFERENCE in params
    return asks and token.profile.attests_assertions


def check_assertion_form(token: TokenContext, params: Params) -> None:
    """Judge the types of members 08 and 09; older tokens do not look at them.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE.
    """
    if _asks(token, params):
        check(_ASSERTION_FORM, dict(params))


def assertion_attestation(token: TokenContext, params: Params) -> AssertionAttestation:
    """Judge the values of members 08 and 09.

    Raises:
        CtapRejection: as makeCredential for its enterpriseAttestation.
    """
    if not _asks(token, params):
        return UNATTESTED
    by_enterprise = certificates.enterprise_wanted(
        token.profile, token.state, params, params["rpId"]
    )
    known = [name for name in params.get(_PREFERENCE, ()) if name in ("packed", "none")]
    asked = known[:1] == ["packed"] and "packed" in token.profile.attestation_formats
    return AssertionAttestation(asked or by_enterprise, by_enterprise)


def assertion_members(
    token: TokenContext, due: AssertionAttestation, subject: Subject
) -> dict[int, Any]:
    """The members of the reply that carry a statement."""
    chosen = ENTERPRISE if due.enterprise else FORMATS["packed"]
    statement = {0x0A: chosen.make(token, subject)}
    return {0x09: True, **statement} if due.enterprise else statement
