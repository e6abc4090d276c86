"""Ordinary private keys (ed25519, ecdsa, rsa, mldsa44-ed25519, certified or not): read, checked,
made to sign.

Sources: OpenSSH PROTOCOL.key, draft-ietf-sshm-ssh-agent section 3.2 (the same fields in an agent's
add request), RFC 8332 section 3 (which hash an RSA signature is over).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    CERTIFICATE_TYPES,
    Certificate,
    parse_certificate,
)
from fidokit.openssh.foreign_numbers import checked
from fidokit.openssh.keys.container import MAX_ROUNDS, parse_container, passphrase_wrong
from fidokit.openssh.keys.private import SkPrivate, read_private
from fidokit.openssh.keys.public import (
    ML_DSA_ED25519_NAMES,
    RSA_MAX_BITS,
    RSA_MIN_BITS,
    EcdsaPublic,
    Ed25519Public,
    MlDsaEd25519Public,
    PublicKey,
    RsaPublic,
    SkEcdsaPublic,
    SkEd25519Public,
)
from fidokit.openssh.signatures import composite
from fidokit.openssh.wire import Reader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_WHAT: Final = "private key"
_SK_TYPES: Final = frozenset({SkEd25519Public.type_name, SkEcdsaPublic.type_name})


class SignFlag(IntFlag):
    """Which hash an RSA signature is to be over (draft-ietf-sshm-ssh-agent section 3.6.1)."""

    RSA_SHA2_256 = 0x02
    RSA_SHA2_512 = 0x04


Sign = Callable[[bytes, int], bytes]
"""Message and `SignFlag`s in, signature blob out."""


@dataclass(frozen=True, slots=True)
class PlainPrivate:
    """A key that was checked to be the private half of `public`.

    Args:
        public: the public half.
        certificate: what stands in for it if there is one.
        sign: makes a signature blob; the secret is in it and nowhere else.
    """

    public: PublicKey
    certificate: Certificate | None
    sign: Sign = field(repr=False, compare=False)

    def public_blob(self) -> bytes:
        """The half that is shown: the certificate if there is one, else the key."""
        return self.certificate.blob() if self.certificate else self.public.blob()


AnyPrivate = PlainPrivate | SkPrivate


def read_any_private(data: bytes) -> tuple[AnyPrivate, int]:
    """The private key at the front of `data`, on a token or not, and how many bytes it took.

    Layout: string type, for a certificate string certificate, then the fields of its type.

    Raises:
        MalformedKey: another layout, an unknown type, or a secret that is not the public's.
    """
    reader = Reader(data, _WHAT)
    type_name = reader.text()
    base = CERTIFICATE_TYPES.get(type_name, type_name)
    if base in _SK_TYPES:
        reader = Reader(data, _WHAT)
        return read_private(reader), reader.offset
    read = _READERS.get(base)
    if read is None:
        raise MalformedKey(
            f"private key: type {type_name[:64]!r} is not known",
            hint="Known are ed25519, ecdsa, rsa and mldsa44-ed25519 keys, and those on tokens",
        )
    certificate = _certificate(type_name, reader) if type_name != base else None
    with checked(_mismatch):
        public, sign = read(reader, base, certificate.public if certificate else None)
    return PlainPrivate(public, certificate, _checked(sign)), reader.offset


def _checked(sign: Sign) -> Sign:
    """Numbers that pass as a key may still be useless: OpenSSL says so when it signs."""

    def checked_sign(message: bytes, flags: int) -> bytes:
        with checked(_mismatch):
            return sign(message, flags)

    return checked_sign


def _certificate(type_name: str, reader: Reader) -> Certificate:
    certificate = parse_certificate(reader.string())
    if certificate.type_name != type_name:
        raise MalformedKey("private key: its certificate is of another type than it says")
    return certificate


def _mismatch() -> MalformedKey:
    return MalformedKey("private key: the secret is not that of the public key beside it")


# --- ed25519 -------------------------------------------------------------------------------


def _read_ed25519(
    reader: Reader, _type: str, certified: PublicKey | None
) -> tuple[PublicKey, Sign]:
    """string point (32 bytes), string seed and point (64 bytes); both also with a certificate."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    point, secret = reader.string(), reader.string()
    if len(point) != 32 or len(secret) != 64 or secret[32:] != point:
        raise MalformedKey("private key: the Ed25519 fields have not their sizes, or disagree")
    key = Ed25519PrivateKey.from_private_bytes(secret[:32])
    public = Ed25519Public(key.public_key().public_bytes_raw())
    if public.point != point or certified not in (None, public):
        raise _mismatch()
    make, head = key.sign, wire.text(public.type_name)

    def sign(message: bytes, _flags: int) -> bytes:
        return head + wire.string(make(message))

    return public, sign


# --- ecdsa ---------------------------------------------------------------------------------


def _curves() -> Mapping[str, tuple[EllipticCurve, HashAlgorithm]]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }


def _read_ecdsa(
    reader: Reader, type_name: str, certified: PublicKey | None
) -> tuple[PublicKey, Sign]:
    """string curve, string point, mpint secret; with a certificate mpint secret alone."""
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    name = type_name.removeprefix("ecdsa-sha2-")
    curve, digest = _curves()[name]
    point = certified.point if isinstance(certified, EcdsaPublic) else b""
    if certified is None:
        reader.expect(name.encode())
        point = reader.string()
    with checked(lambda: MalformedKey("private key: the ECDSA secret is outside its curve")):
        key = ec.derive_private_key(reader.mpint(), curve)
    own = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if own != point:
        raise _mismatch()
    algorithm, head = ec.ECDSA(digest), wire.text(type_name)

    def sign(message: bytes, _flags: int) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(message, algorithm))
        return head + wire.string(wire.mpint(r) + wire.mpint(s))

    return EcdsaPublic(name, point), sign


# --- rsa -----------------------------------------------------------------------------------


def _read_rsa(reader: Reader, _type: str, certified: PublicKey | None) -> tuple[PublicKey, Sign]:
    """mpint n, e, d, iqmp, p, q; with a certificate without n and e."""
    if isinstance(certified, RsaPublic):
        public = certified
    else:
        n, e = reader.mpint(), reader.mpint()
        public = RsaPublic(e, n)
    d, iqmp, p, q = (reader.mpint() for _ in range(4))
    # bounded before any arithmetic: a large number costs time, and its inverse more
    if not RSA_MIN_BITS <= public.n.bit_length() <= RSA_MAX_BITS or p * q != public.n:
        raise MalformedKey("private key: the RSA modulus is too small, too large, or not p times q")
    if max(d, iqmp, public.e) >= public.n:
        raise MalformedKey("private key: an RSA number is larger than the modulus")
    if not _belong_together(public.e, d, (p, q, iqmp)):
        raise _mismatch()
    return public, _rsa_signer(public, d, (p, q, iqmp))


def _belong_together(e: int, d: int, primes: tuple[int, int, int]) -> bool:
    """Whether d undoes e, modulo p and q (RFC 8017 section 3.2).

    That p and q are prime is not asked: it takes a minute for the largest, OpenSSH does not ask
    either, and who adds a key that is none gets signatures that verify nowhere.
    """
    p, q, iqmp = primes
    if min(p, q) < 3 or not (p & 1 and q & 1):
        return False
    one = e * d - 1
    return one % (p - 1) == one % (q - 1) == 0 and iqmp * q % p == 1


def _rsa_signer(public: RsaPublic, d: int, primes: tuple[int, int, int]) -> Sign:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    p, q, iqmp = primes
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        iqmp,
        rsa.RSAPublicNumbers(public.e, public.n),
    )
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)  # see _belong_together
    scheme = padding.PKCS1v15()
    # without flags SHA-1, as OpenSSH's agent: a client that knows better says so
    known: Mapping[int, tuple[bytes, HashAlgorithm]] = {
        0: (wire.text("ssh-rsa"), hashes.SHA1()),  # noqa: S303
        SignFlag.RSA_SHA2_256: (wire.text("rsa-sha2-256"), hashes.SHA256()),
        SignFlag.RSA_SHA2_512: (wire.text("rsa-sha2-512"), hashes.SHA512()),
    }

    def sign(message: bytes, flags: int) -> bytes:
        wanted = flags & SignFlag.RSA_SHA2_256 or flags & SignFlag.RSA_SHA2_512
        head, digest = known[wanted]
        return head + wire.string(key.sign(message, scheme, digest))

    return sign


# --- mldsa44-ed25519 ------------------------------------------------------------------------

_SEED: Final = 32
"""Bytes of either seed (FIPS 204 section 3.6.1, RFC 8032 section 5.1.5)."""


def _read_ml_dsa_ed25519(
    reader: Reader, type_name: str, certified: PublicKey | None
) -> tuple[PublicKey, Sign]:
    """string points (as in the public key), string seeds (ML-DSA-44's 32 bytes, Ed25519's 32);
    with a certificate the seeds alone. Source: OpenSSH's ssh-mldsa-eddsa.c."""
    points = reader.string() if certified is None else None
    seeds = reader.string()
    if len(seeds) != 2 * _SEED:
        raise MalformedKey("private key: the ML-DSA and Ed25519 seeds have not their sizes")
    ml_dsa = composite.ml_dsa_private(seeds[:_SEED])
    ed25519 = composite.ed25519_private(seeds[_SEED:])
    own = ml_dsa.public_key().public_bytes_raw() + ed25519.public_key().public_bytes_raw()
    public = MlDsaEd25519Public(own, type_name)
    if points not in (None, own) or certified not in (None, public):
        raise _mismatch()
    head = wire.text(type_name)

    def sign(message: bytes, _flags: int) -> bytes:
        return head + wire.string(composite.sign(ml_dsa, ed25519, message))

    return public, sign


_Read = Callable[[Reader, str, PublicKey | None], tuple[PublicKey, Sign]]
_READERS: Final[Mapping[str, _Read]] = {
    Ed25519Public.type_name: _read_ed25519,
    RsaPublic.type_name: _read_rsa,
    **{f"ecdsa-sha2-nistp{bits}": _read_ecdsa for bits in (256, 384, 521)},
    **dict.fromkeys(ML_DSA_ED25519_NAMES, _read_ml_dsa_ed25519),
}


# --- files ---------------------------------------------------------------------------------


def parse_any_private(text: bytes, passphrase: Callable[[], bytes]) -> tuple[AnyPrivate, str]:
    """The key in a private key file, on a token or not, and its comment.

    Args:
        text: the file.
        passphrase: asks for the passphrase, once, where the file is under one.

    Raises:
        MalformedKey: not such a file, or one that contradicts itself.
        PassphraseWrong: the passphrase does not open it.
    """
    container = parse_container(text, MAX_ROUNDS)
    words = b"" if container.kdf is None else passphrase()
    if container.kdf is not None and not words:
        raise passphrase_wrong()
    section = container.opened(words)
    key, size = read_any_private(section[8:])
    comment = Reader(section[8 + size :], _WHAT).string().decode("utf-8", "surrogateescape")
    if key.public_blob() != container.public_blob:
        raise MalformedKey("private key: the public half outside is not the one inside")
    return key, comment
