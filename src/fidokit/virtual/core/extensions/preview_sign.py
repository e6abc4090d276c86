"""previewSign, Yubico's draft: a second key beside a credential that signs what it is given, bare
(draft 4 of the WebAuthn sign extension, 2025-08-21).

Of our own profiles `ctap2.3-preview` alone lists it. Its keys are of the ordinary algorithms and
of ARKG-P256, of which the token keeps the private seed: whoever has the public seed can make public
keys whose private keys the token alone can derive (draft-bradleylundberg-cfrg-arkg-10).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fidokit import cbor
from fidokit.errors import MalformedCbor
from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual.core.attestation import statements
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions.extension import Beside, Draft, Evaluate, Extension, Occasion
from fidokit.virtual.core.keys.algorithms import PrivateKey
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import BYTES, INT, UINT, ListOf, Member, Record, check

MAX_CONTEXT: Final = 64
HANDLE_LENGTH: Final = 81
_TAG: Final = 16

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_INSTANCE: Final = b"ARKG-P256"
_KEM_INSTANCE: Final = b"ARKG-ECDH.ARKG-P256"

# Numbers that the drafts hold places with until IANA assigns them.
_KTY_ARKG_PUBLIC: Final = -65537
_ALG_ARKG_P256: Final = -65700
_ESP256: Final = -9

_SHA256_BLOCK: Final = 64
_ARKG_DIGEST: Final = 32
_UNIFORM: Final = 48  # bytes for a scalar whose bias is below 2^-128


def _hash_to_scalar(message: bytes, domain: bytes) -> int:
    """hash_to_field of RFC 9380 section 5.2, into P-256's scalars by expand_message_xmd."""
    suffix = domain + len(domain).to_bytes(1)
    seed = hashlib.sha256(
        bytes(_SHA256_BLOCK) + message + _UNIFORM.to_bytes(2) + b"\0" + suffix
    ).digest()
    first = hashlib.sha256(seed + b"\1" + suffix).digest()
    mixed = bytes(a ^ b for a, b in zip(seed, first, strict=True))
    second = hashlib.sha256(mixed + b"\2" + suffix).digest()
    return int.from_bytes((first + second)[:_UNIFORM]) % _ORDER


def _expand(shared: bytes, label: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _ARKG_DIGEST, None, label).derive(shared)


class ArkgSeed(NamedTuple):
    """The private seed.

    Args:
        blinding: what derived keys are offsets from.
        encapsulation: what opens the secrets that the offsets come from.
    """

    blinding: ec.EllipticCurvePrivateKey
    encapsulation: ec.EllipticCurvePrivateKey

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """The seed that a secret of 32 random bytes stands for."""
        scalars = (_hash_to_scalar(secret, b"fidokit " + part) for part in (b"BL", b"KEM"))
        return cls(*(ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in scalars))

    def cose(self) -> Mapping[int, Any]:
        """The public seed; keys derived from it verify as ESP256."""
        return {
            1: _KTY_ARKG_PUBLIC,
            3: _ALG_ARKG_P256,
            -1: _point(self.blinding),
            -2: _point(self.encapsulation),
            -3: _ESP256,
        }

    def derive(self, handle: bytes, context: bytes) -> ec.EllipticCurvePrivateKey | None:
        """The private key to a public key that was derived from the public seed.

        Args:
            handle: 16 bytes of HMAC, then an uncompressed point, as made with the public key.
            context: at most 64 bytes, the same as then.

        Returns:
            None if this seed, handle and context do not belong together.
        """
        if len(handle) != HANDLE_LENGTH or len(context) > MAX_CONTEXT:
            return None
        sized = len(context).to_bytes(1) + context
        secret = self._open(handle, b"ARKG-Derive-Key-KEM." + sized)
        if secret is None:
            return None
        domain = b"ARKG-BL-EC." + _INSTANCE + b"ARKG-Derive-Key-BL." + sized
        offset = _hash_to_scalar(secret, domain)
        scalar = (self.blinding.private_numbers().private_value + offset) % _ORDER
        return ec.derive_private_key(scalar, ec.SECP256R1()) if scalar else None

    def _open(self, handle: bytes, context: bytes) -> bytes | None:
        """KEM-Decaps: the secret inside a handle, or None if its tag is wrong."""
        tag, point = handle[:_TAG], handle[_TAG:]
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:  # not a point of the curve
            return None
        shared = self.encapsulation.exchange(ec.ECDH(), peer)
        key = _expand(shared, b"ARKG-KEM-HMAC-mac." + _KEM_INSTANCE + context)
        if not hmac.compare_digest(hmac.digest(key, point, "sha256")[:_TAG], tag):
            return None
        return _expand(shared, b"ARKG-KEM-HMAC-shared." + _KEM_INSTANCE + context)


def _point(key: ec.EllipticCurvePrivateKey) -> Mapping[int, Any]:
    numbers = key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    return {1: 2, 3: CoseAlg.ES256.value, -1: 1, -2: x, -3: y}


NAME: Final = "previewSign"
ESP256_SPLIT_ARKG: Final = -65539

_UP: Final = 0b001
_UV: Final = 0b100
_POLICIES: Final = frozenset({0, _UP, _UP | _UV})

_ALG, _FLAGS, _HANDLE, _SIGNED, _ARGS = 3, 4, 2, 6, 7
_ATTESTATION: Final = 7

_GENERATE: Final = Record(
    {_ALG: Member("algorithms", ListOf(INT), required=True), _FLAGS: Member("flags", UINT)}
)
_SIGN: Final = Record(
    {
        _HANDLE: Member("handle", BYTES),
        _SIGNED: Member("tbs", BYTES),
        _ARGS: Member("args", BYTES),
    }
)
_ARKG_ARGS: Final = Record(
    {
        3: Member("alg", INT),
        -1: Member("handle", BYTES, required=True),
        -2: Member("context", BYTES, required=True),
    }
)

_ROOM_FOR_CERTIFICATES: Final = 2048
"""Bytes of a reply that has the batch certificate for the credential and for the signing key, too;
the tokens that are known to have this extension take 1536 (CBR-11)."""

_HEAD = struct.Struct(">Bi")  # policy, algorithm
_SPLIT = ec.ECDSA(Prehashed(hashes.SHA256()))


class _Signer(Protocol):
    """A signing key of this extension."""

    def cose(self) -> Mapping[int, Any]: ...

    def sign(self, tbs: bytes, args: bytes | None) -> bytes: ...


class _Ordinary(NamedTuple):
    """A key of an algorithm that credentials have too."""

    key: PrivateKey

    def cose(self) -> Mapping[int, Any]:
        return self.key.cose()

    def sign(self, tbs: bytes, args: bytes | None) -> bytes:
        if args is not None:
            raise CtapRejection(CtapStatus.INVALID_PARAMETER)
        return self.key.sign(tbs)


class _Derived(NamedTuple):
    """A seed of ARKG-P256; each signature says which of the derived keys makes it."""

    seed: ArkgSeed

    def cose(self) -> Mapping[int, Any]:
        return self.seed.cose()

    def sign(self, tbs: bytes, args: bytes | None) -> bytes:
        if args is None:
            raise CtapRejection(CtapStatus.MISSING_PARAMETER)
        given = check(_ARKG_ARGS, _decoded(args))
        if given.get("alg") != ESP256_SPLIT_ARKG:
            raise CtapRejection(CtapStatus.INVALID_CREDENTIAL)
        key = self.seed.derive(given["handle"], given["context"])
        if key is None:
            raise CtapRejection(CtapStatus.INVALID_PARAMETER)
        if len(tbs) != hashes.SHA256.digest_size:
            raise CtapRejection(CtapStatus.INVALID_LENGTH)
        return key.sign(tbs, _SPLIT)


def _decoded(args: bytes) -> Any:
    try:
        return cbor.decode(args)
    except MalformedCbor:
        raise CtapRejection(CtapStatus.INVALID_CBOR) from None


def _wrapped_alg(alg: int) -> CoseAlg:
    """The algorithm whose secret is wrapped: a seed of ARKG is made of one like ES256's."""
    return CoseAlg.ES256 if alg == ESP256_SPLIT_ARKG else CoseAlg(alg)


def _signer(token: TokenContext, alg: int, wrapped: Credential) -> _Signer:
    if alg == ESP256_SPLIT_ARKG:
        return _Derived(ArkgSeed.from_secret(wrapped.secret))
    return _Ordinary(token.credentials.key(wrapped))


def _place(credential: Credential, head: bytes) -> bytes:
    """What a signing key is sealed for: its policy, its algorithm and its credential."""
    bound = NAME.encode() + head + credential.rp_id_hash + credential.id
    return hashlib.sha256(bound).digest()


# --- making a key --------------------------------------------------------------------------------


def _generate(token: TokenContext, value: Any, draft: Draft) -> Evaluate:
    flags = value.get(_FLAGS, _UP)
    if flags not in _POLICIES:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    alg = _chosen(token, value[_ALG])

    def finish(credential: Credential) -> Beside:
        made = _attested_key(token, draft.occasion, credential, _HEAD.pack(flags, alg))
        return Beside(signed={_ALG: alg}, unsigned={_ATTESTATION: made})

    return finish


def _chosen(token: TokenContext, wanted: list[int]) -> int:
    supported = {ESP256_SPLIT_ARKG, *(alg.value for alg in token.profile.algorithms)}
    for alg in wanted:
        if alg in supported:
            return alg
    raise CtapRejection(CtapStatus.UNSUPPORTED_ALGORITHM)


def _attested_key(
    token: TokenContext, occasion: Occasion, credential: Credential, head: bytes
) -> bytes:
    """An attestation object of its own for a new signing key, whose handle is its credential id."""
    flags, alg = _HEAD.unpack(head)
    wrapped = token.credentials.wrap(_place(credential, head), _wrapped_alg(alg))
    signer = _signer(token, alg, wrapped)
    data = statements.authenticator_data(
        credential.rp_id_hash,
        statements.UP | (statements.UV if occasion.evidence.verified else 0),
        0,
        {NAME: {_FLAGS: flags}},
        statements.attested_credential(token.state.aaguid, head + wrapped.id, signer.cose()),
    )
    key = token.credentials.key(wrapped)
    subject = statements.Subject(wrapped, key, data, occasion.client_data_hash)
    name, statement = _statement(token, alg, subject)
    return cbor.encode({1: name, 2: data, 3: statement})


def _statement(
    token: TokenContext, alg: int, subject: statements.Subject
) -> tuple[str, statements.Statement]:
    """By the batch key, in replies that hold its certificate twice; else by the key itself."""
    profile = token.profile
    if not profile.self_attestation and profile.max_msg_size >= _ROOM_FOR_CERTIFICATES:
        return "packed", statements.FORMATS["packed"].make(token, subject)
    if alg == ESP256_SPLIT_ARKG:  # a seed signs nothing by itself
        return "none", {}
    return "packed", statements.by_itself(subject)


# --- signing -------------------------------------------------------------------------------------


def _sign(token: TokenContext, value: Any, occasion: Occasion) -> Evaluate:
    given = _SIGN.named(value)
    if not given.keys() >= {"handle", "tbs"}:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    head, handle = given["handle"][: _HEAD.size], given["handle"][_HEAD.size :]
    if not occasion.listed:
        raise CtapRejection(CtapStatus.INVALID_OPTION)

    def finish(credential: Credential) -> dict[int, bytes]:
        wrapped = token.credentials.find(_place(credential, head), handle)
        if wrapped is None:
            raise CtapRejection(CtapStatus.INVALID_CREDENTIAL)
        flags, alg = _HEAD.unpack(head)
        _require(occasion, flags)
        return {_SIGNED: _signer(token, alg, wrapped).sign(given["tbs"], given.get("args"))}

    return finish


def _require(occasion: Occasion, flags: int) -> None:
    if flags & _UP and not occasion.up:
        raise CtapRejection(CtapStatus.UP_REQUIRED)
    if flags & _UV and not occasion.evidence.verified:
        raise CtapRejection(CtapStatus.PUAT_REQUIRED)


PREVIEW_SIGN: Final = Extension(make_input=_GENERATE, make=_generate, get_input=_SIGN, get=_sign)
