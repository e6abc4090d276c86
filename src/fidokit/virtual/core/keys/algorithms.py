"""Credential key algorithms: a table from COSE number to what makes and loads their keys.

A credential stores only its secret; everything else follows from it. Secrets are short, so that a
wrapped credential, which carries its secret in its id, has an id of bounded size. Keys on elliptic
curves are made of the injected randomness alone, so that a seeded token repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from types import MappingProxyType
from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from fidokit.types import CoseAlg
from fidokit.virtual.core.ports import Rng

CoseKey = Mapping[int, "int | bytes"]

_P256 = ec.SECP256R1()


class PrivateKey(Protocol):
    """A loaded private key."""

    def sign(self, message: bytes) -> bytes:
        """The signature in the form that WebAuthn section 6.5.5 gives this algorithm."""
        ...

    def cose(self) -> CoseKey:
        """The public half with exactly the members its key type has (MC-35)."""
        ...

    def u2f_point(self) -> bytes | None:
        """The public half as 04 x y (65 bytes), or None if U2F has no form for it."""
        ...


def coordinate_size(curve: ec.EllipticCurve) -> int:
    """Bytes of a scalar, and of a coordinate."""
    return (curve.key_size + 7) // 8


def ec_scalar(curve: ec.EllipticCurve, rng: Rng) -> bytes:
    """A uniform private scalar, `coordinate_size` bytes, big-endian.

    Values outside 1..n-1 are drawn again; a reduction modulo n would favor small ones.
    """
    size = coordinate_size(curve)
    surplus = 8 * size - curve.key_size
    while True:
        scalar = int.from_bytes(rng.bytes(size), "big") >> surplus
        if 0 < scalar < curve.group_order:
            return scalar.to_bytes(size, "big")


def p256_scalar(rng: Rng) -> bytes:
    """A uniform private scalar of P-256, 32 bytes, big-endian."""
    return ec_scalar(_P256, rng)


def p256_from_scalar(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a scalar that `p256_scalar` made."""
    return ec.derive_private_key(int.from_bytes(scalar, "big"), _P256)


def p256_private_key(rng: Rng) -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return p256_from_scalar(p256_scalar(rng))


_KTY_EC2 = 2


class EcForm:
    """One algorithm on one curve.

    Args:
        alg: the COSE number that its keys carry.
        curve: where the points lie.
        cose_curve: the curve's COSE number.
        digest: how messages are hashed.
    """

    def __init__(
        self, alg: CoseAlg, curve: ec.EllipticCurve, cose_curve: int, digest: hashes.HashAlgorithm
    ) -> None:
        self.alg, self.curve, self.cose_curve, self._digest = alg, curve, cose_curve, digest

    @cached_property
    def signing(self) -> ec.ECDSA:
        """How messages are hashed and signed, with fresh nonces."""
        return ec.ECDSA(self._digest)

    @cached_property
    def repeatable(self) -> ec.ECDSA:
        """How messages are hashed and signed with the nonces of RFC 6979.

        The first one loads the ciphers of `cryptography`, 8 ms that only a signature is worth.
        """
        return ec.ECDSA(self._digest, deterministic_signing=True)


EC_FORMS: Mapping[CoseAlg, EcForm] = MappingProxyType(
    {
        form.alg: form
        for form in (
            EcForm(CoseAlg.ES256, ec.SECP256R1(), 1, hashes.SHA256()),
            EcForm(CoseAlg.ESP256, ec.SECP256R1(), 1, hashes.SHA256()),
            EcForm(CoseAlg.ES384, ec.SECP384R1(), 2, hashes.SHA384()),
            EcForm(CoseAlg.ESP384, ec.SECP384R1(), 2, hashes.SHA384()),
            EcForm(CoseAlg.ES512, ec.SECP521R1(), 3, hashes.SHA512()),
            EcForm(CoseAlg.ESP512, ec.SECP521R1(), 3, hashes.SHA512()),
            EcForm(CoseAlg.ES256K, ec.SECP256K1(), 8, hashes.SHA256()),
        )
    }
)
"""COSE leaves the curve of ES384 and ES512 open; WebAuthn section 5.8.5 fixes it."""


class EcKey:
    """A key of one of `EC_FORMS`.

    Args:
        form: its algorithm.
        secret: the private scalar, as long as a coordinate.
        repeatable: whether the same message gets the same signature; that takes 11% longer.
    """

    def __init__(self, form: EcForm, secret: bytes, *, repeatable: bool = True) -> None:
        self._form = form
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), form.curve)
        self._signing = form.repeatable if repeatable else form.signing

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature, DER of r and s."""
        return self._key.sign(message, self._signing)

    def cose(self) -> CoseKey:
        """Coordinates have the curve's size, with leading zeros."""
        x, y = self._coordinates()
        return {1: _KTY_EC2, 3: self._form.alg.value, -1: self._form.cose_curve, -2: x, -3: y}

    def u2f_point(self) -> bytes | None:
        """U2F knows ES256 alone."""
        return b"\x04%b%b" % self._coordinates() if self._form.alg is CoseAlg.ES256 else None

    def _coordinates(self) -> tuple[bytes, bytes]:
        # Not by `public_bytes`, whose arguments take 13 ms to import.
        size, point = coordinate_size(self._form.curve), self._key.public_key().public_numbers()
        return point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")


_KTY_OKP = 1
_KTY_AKP = 7
_ML_DSA_SEED = 32  # FIPS 204 section 3.6.1, at every strength

_SeedKey = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)


class SeedForm(NamedTuple):
    """One algorithm whose keys are made of any bytes: Edwards curves and ML-DSA.

    Args:
        alg: the COSE number that its keys carry.
        size: bytes of a secret.
        load: makes the key of a secret.
        key_type: OKP (RFC 9053 section 2.2, RFC 9864) or AKP (RFC 9964).
        cose_curve: the curve's COSE number; AKP has none.
    """

    alg: CoseAlg
    size: int
    load: Callable[[bytes], _SeedKey]
    key_type: int
    cose_curve: int | None = None


SEED_FORMS: Mapping[CoseAlg, SeedForm] = MappingProxyType(
    {
        form.alg: form
        for form in (
            SeedForm(CoseAlg.EDDSA, 32, ed25519.Ed25519PrivateKey.from_private_bytes, _KTY_OKP, 6),
            SeedForm(
                CoseAlg.ED25519, 32, ed25519.Ed25519PrivateKey.from_private_bytes, _KTY_OKP, 6
            ),
            SeedForm(CoseAlg.ED448, 57, ed448.Ed448PrivateKey.from_private_bytes, _KTY_OKP, 7),
            *(
                SeedForm(alg, _ML_DSA_SEED, load, _KTY_AKP)
                for alg, load in (
                    (CoseAlg.ML_DSA_44, mldsa.MLDSA44PrivateKey.from_seed_bytes),
                    (CoseAlg.ML_DSA_65, mldsa.MLDSA65PrivateKey.from_seed_bytes),
                    (CoseAlg.ML_DSA_87, mldsa.MLDSA87PrivateKey.from_seed_bytes),
                )
            ),
        )
    }
)
"""COSE leaves the curve of EdDSA open; WebAuthn section 5.8.5 fixes Ed25519."""


class SeedKey:
    """A key of one of `SEED_FORMS`.

    Args:
        form: its algorithm.
        secret: any bytes of the form's size.
    """

    def __init__(self, form: SeedForm, secret: bytes) -> None:
        self._form = form
        self._key = form.load(secret)

    def sign(self, message: bytes) -> bytes:
        """Pure EdDSA (64 bytes, 114 on Ed448), or pure ML-DSA with an empty context, hedged with
        randomness (2420, 3309 or 4627 bytes)."""
        return self._key.sign(message)

    def cose(self) -> CoseKey:
        """The point as RFC 8032 encodes it, or a public key of 1312, 1952 or 2592 bytes."""
        form, public = self._form, self._key.public_key().public_bytes_raw()
        head = {1: form.key_type, 3: form.alg.value}
        if form.cose_curve is None:
            return {**head, -1: public}
        return {**head, -1: form.cose_curve, -2: public}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""


_KTY_RSA = 3
_RSA_BITS = 2048
_RSA_EXPONENT = 65537
_RSA_PRIME = _RSA_BITS // 16

RSA_SECRET = 2 * _RSA_PRIME
"""Bytes: both primes, from which everything else of a key follows."""

RSA_PADDINGS: Mapping[CoseAlg, padding.AsymmetricPadding] = MappingProxyType(
    {
        CoseAlg.RS256: padding.PKCS1v15(),
        CoseAlg.PS256: padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
    }
)


def new_rsa_secret(_rng: Rng) -> bytes:
    """Both primes of a fresh key, 128 bytes each.

    The search for primes is OpenSSL's, with its own randomness: a seeded token does not repeat its
    RSA keys.
    """
    numbers = rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS).private_numbers()
    return numbers.p.to_bytes(_RSA_PRIME, "big") + numbers.q.to_bytes(_RSA_PRIME, "big")


def load_rsa(secret: bytes) -> rsa.RSAPrivateKey:
    """The private key of a secret that `new_rsa_secret` made."""
    p, q = (int.from_bytes(secret[at : at + _RSA_PRIME], "big") for at in (0, _RSA_PRIME))
    d = rsa.rsa_recover_private_exponent(_RSA_EXPONENT, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(_RSA_EXPONENT, p * q),
    )
    # testing the primes again takes 28 ms of a load's 28.1, and they are our own
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


class RsaKey:
    """RS256 or PS256.

    Args:
        alg: which of `RSA_PADDINGS`.
        secret: from `new_rsa_secret`.
    """

    def __init__(self, alg: CoseAlg, secret: bytes) -> None:
        self._alg = alg
        self._key = load_rsa(secret)

    def sign(self, message: bytes) -> bytes:
        """256 bytes; SHA-256, and in PSS for MGF1 and as salt length too."""
        return self._key.sign(message, RSA_PADDINGS[self._alg], hashes.SHA256())

    def cose(self) -> CoseKey:
        """Modulus and exponent without leading zeros (RFC 8230 section 4)."""
        public = self._key.public_key().public_numbers()
        n, e = (v.to_bytes((v.bit_length() + 7) // 8, "big") for v in (public.n, public.e))
        return {1: _KTY_RSA, 3: self._alg.value, -1: n, -2: e}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""


class Algorithm(NamedTuple):
    """How one algorithm's keys come to be.

    Args:
        secret_size: bytes of a secret.
        new_secret: draws the secret of a fresh key.
        load: makes the key of a secret; its signatures repeat themselves where the algorithm
            knows how.
        load_faster: makes the key of a secret without that, where it is faster.
    """

    secret_size: int
    new_secret: Callable[[Rng], bytes]
    load: Callable[[bytes], PrivateKey]
    load_faster: Callable[[bytes], PrivateKey] | None = None

    def key(self, secret: bytes, rng: Rng) -> PrivateKey:
        """The key of a secret, for a token with this randomness."""
        return (self.load if rng.repeatable else self.load_faster or self.load)(secret)


def _ec(form: EcForm) -> Algorithm:
    return Algorithm(
        coordinate_size(form.curve),
        partial(ec_scalar, form.curve),
        partial(EcKey, form),
        partial(EcKey, form, repeatable=False),
    )


def _of_any_bytes(form: SeedForm) -> Algorithm:
    return Algorithm(form.size, lambda rng: rng.bytes(form.size), partial(SeedKey, form))


ALGORITHMS: Mapping[CoseAlg, Algorithm] = MappingProxyType(
    {
        **{alg: _ec(form) for alg, form in EC_FORMS.items()},
        **{alg: _of_any_bytes(form) for alg, form in SEED_FORMS.items()},
        **{
            alg: Algorithm(RSA_SECRET, new_rsa_secret, partial(RsaKey, alg)) for alg in RSA_PADDINGS
        },
    }
)
"""From 32 bytes of secret (P-256, Ed25519, ML-DSA) to 256 (RSA); see `wrapped_length` for ids."""
