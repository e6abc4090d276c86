"""Keys that can sign: ordinary ones, and ones that act as a token would, made from fixed seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    FOREVER,
    Certificate,
    CertificateBody,
    CertKind,
    CertOption,
    encode_tbs,
)
from fidokit.openssh.keys.public import (
    EcdsaPublic,
    Ed25519Public,
    MlDsaEd25519Public,
    PublicKey,
    RsaPublic,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
)
from fidokit.openssh.signatures.signature import (
    PlainSignature,
    Signature,
    SkSignature,
    WebauthnSkEcdsaSignature,
    from_assertion,
    sk_signed_bytes,
)
from fidokit.openssh.signatures.sshsig import SshSig, digest, to_be_signed
from fidokit.types import Application, KeyType

SSH = Application("ssh:")


def ed25519_private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


def ec_private(seed: int, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(seed + 1, curve or ec.SECP256R1())


def _point(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass(frozen=True)
class Token:
    """One sk key and the signing that its token would do."""

    public: SkPublic
    key_type: KeyType
    raw_sign: Callable[[bytes], bytes]

    def sign(self, message: bytes, *, flags: int = 1, counter: int = 7) -> SkSignature:
        signed = sk_signed_bytes(self.public.application, flags, counter, message)
        return from_assertion(self.key_type, flags, counter, self.raw_sign(signed))


def ed25519_token(seed: int = 1, application: str = SSH) -> Token:
    private = ed25519_private(seed)
    point = private.public_key().public_bytes_raw()
    public = SkEd25519Public(point, Application(application))
    return Token(public, KeyType.ED25519_SK, private.sign)


def ecdsa_token(seed: int = 1, application: str = SSH) -> Token:
    private = ec_private(seed)
    public = SkEcdsaPublic(_point(private), Application(application))
    return Token(
        public, KeyType.ECDSA_SK, lambda data: private.sign(data, ec.ECDSA(hashes.SHA256()))
    )


def webauthn_signature(
    message: bytes,
    *,
    seed: int = 1,
    flags: int = 1,
    counter: int = 7,
    origin: str = "https://example.com",
    extensions: bytes = b"",
    client_data: bytes | None = None,
) -> WebauthnSkEcdsaSignature:
    """What a browser and `ecdsa_token(seed)` give together."""
    import base64
    import json

    challenge = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
    if client_data is None:
        members = {
            "type": "webauthn.get",
            "challenge": challenge,
            "origin": origin,
            "crossOrigin": False,
        }
        client_data = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
    signed = sk_signed_bytes(SSH, flags, counter, client_data, extensions=extensions)
    der = ec_private(seed).sign(signed, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return WebauthnSkEcdsaSignature(r, s, flags, counter, origin, client_data, extensions)


@dataclass(frozen=True)
class PlainKey:
    """One ordinary ssh key that signs."""

    public: PublicKey
    sign: Callable[[bytes], PlainSignature]


def ed25519_key(seed: int = 2) -> PlainKey:
    private = ed25519_private(seed)
    return PlainKey(
        Ed25519Public(private.public_key().public_bytes_raw()),
        lambda data: PlainSignature("ssh-ed25519", private.sign(data)),
    )


_CURVES: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}


def ecdsa_key(curve: str = "nistp256", seed: int = 2) -> PlainKey:
    shape, hash_alg = _CURVES[curve]
    private = ec_private(seed, shape)

    def sign(data: bytes) -> PlainSignature:
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hash_alg)))
        return PlainSignature(f"ecdsa-sha2-{curve}", wire.mpint(r) + wire.mpint(s))

    return PlainKey(EcdsaPublic(curve, _point(private)), sign)


@cache
def _rsa_private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def rsa_key(type_name: str = "rsa-sha2-512") -> PlainKey:
    """The same key within one run of the tests: there are no seeds for RSA."""
    private = _rsa_private()
    numbers = private.public_key().public_numbers()
    hash_alg = hashes.SHA512() if type_name == "rsa-sha2-512" else hashes.SHA256()
    return PlainKey(
        RsaPublic(numbers.e, numbers.n),
        lambda data: PlainSignature(type_name, private.sign(data, padding.PKCS1v15(), hash_alg)),
    )


def ml_dsa_key(seed: int = 2, type_name: str = "ssh-mldsa44-ed25519") -> PlainKey:
    """Both signatures over what draft-ietf-lamps-pq-composite-sigs section 2.2 has signed."""
    pair = MLDSA44PrivateKey.from_seed_bytes(seed.to_bytes(32, "big")), ed25519_private(seed)
    label = b"COMPSIG-MLDSA44-Ed25519-SHA512"

    def sign(data: bytes) -> PlainSignature:
        digest = hashlib.sha512(data).digest()
        signed = b"CompositeAlgorithmSignatures2025" + label + b"\0" + digest
        return PlainSignature(type_name, pair[0].sign(signed, label) + pair[1].sign(signed))

    points = b"".join(private.public_key().public_bytes_raw() for private in pair)
    return PlainKey(MlDsaEd25519Public(points, type_name), sign)


def sshsig(
    public: PublicKey | Certificate,
    sign: Callable[[bytes], Signature],
    message: bytes,
    namespace: str = "file",
    hash_alg: str = "sha512",
) -> SshSig:
    """An SSHSIG over `message`."""
    tbs = to_be_signed(namespace, hash_alg, digest(hash_alg, [message]))
    return SshSig(public, namespace, hash_alg, sign(tbs))


def certificate(
    public: PublicKey,
    authority: PlainKey,
    *,
    principals: tuple[str, ...] = ("alice",),
    kind: CertKind = CertKind.USER,
    valid_after: int = 0,
    valid_before: int = FOREVER,
    critical_options: tuple[CertOption, ...] = (),
    extensions: tuple[CertOption, ...] = (CertOption("permit-pty"),),
    serial: int = 0,
    key_id: str = "a certificate",
) -> Certificate:
    """A certificate signed by `authority`, with a nonce that depends on the key alone."""
    body = CertificateBody(
        public=public,
        nonce=hashlib.sha256(public.blob()).digest(),
        serial=serial,
        kind=kind,
        key_id=key_id,
        principals=principals,
        valid_after=valid_after,
        valid_before=valid_before,
        critical_options=critical_options,
        extensions=extensions,
        signature_key=authority.public,
        reserved=b"",
    )
    return body.signed(authority.sign(encode_tbs(body)))


TOKENS = (ed25519_token(), ecdsa_token())
"""One token key of each type."""


def plain_keys() -> tuple[PlainKey, ...]:
    """One ordinary key of each type and signature type."""
    return (
        ed25519_key(),
        *(ecdsa_key(curve) for curve in _CURVES),
        rsa_key("rsa-sha2-256"),
        rsa_key("rsa-sha2-512"),
    )
