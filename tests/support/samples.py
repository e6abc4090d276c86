"""Public keys of every type for tests: fixed ones, and hypothesis strategies for more."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from fidokit.openssh.keys.key_types import NIST_CURVES, NistCurve, on_ed25519_curve
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
from fidokit.types import Application


def nist_point(curve: NistCurve, x: int, odd: bool = False) -> bytes:
    """The first point of `curve` at or after `x`: every p here is 3 mod 4, so roots are easy."""
    p = curve.p
    while True:
        x %= p
        square = (x * x * x - 3 * x + curve.b) % p
        y = pow(square, (p + 1) // 4, p)
        if y * y % p == square:
            break
        x += 1
    if y % 2 != odd:
        y = p - y
    return b"\x04" + x.to_bytes(curve.size, "big") + y.to_bytes(curve.size, "big")


def ed25519_point(seed: int) -> bytes:
    """The first encoding of a point of edwards25519 at or after the number `seed`."""
    while True:
        seed %= 1 << 255
        point = seed.to_bytes(32, "little")
        if on_ed25519_curve(point):
            return point
        seed += 1


SSH = Application("ssh:")
SK_ED25519 = SkEd25519Public(ed25519_point(0x1234 << 200), SSH)
SK_ECDSA = SkEcdsaPublic(nist_point(NIST_CURVES["nistp256"], 0x1234 << 240), SSH)
ED25519 = Ed25519Public(ed25519_point(0xABCD << 200))
# Stock OpenSSH refuses coordinates of less than half the curve's bits, which chance never makes.
ECDSA = {name: EcdsaPublic(name, nist_point(c, 7 << c.bits - 8)) for name, c in NIST_CURVES.items()}
RSA = RsaPublic(65537, (1 << 1024) + 0x1234567)

SK_KEYS: tuple[SkPublic, ...] = (SK_ED25519, SK_ECDSA)
PUBLIC_KEYS: tuple[PublicKey, ...] = (*SK_KEYS, ED25519, *ECDSA.values(), RSA)
"""Of every type that all releases of OpenSSH read."""
ML_DSA = MlDsaEd25519Public(bytes(1312) + ED25519.point)
"""OpenSSH 10.6 reads it."""


def key_id(value: object) -> str | None:
    """A short test id for a key; None leaves other parameters to pytest."""
    return value.type_name if isinstance(value, get_args(PublicKey)) else None


# Any text but NUL and lone surrogates: the application comes from strangers' files.
applications = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300
).map(Application)
comments = st.text(
    st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=80
).map(lambda comment: comment.lstrip(" \t"))


def _points(curve: str) -> st.SearchStrategy[bytes]:
    parameters = NIST_CURVES[curve]
    return st.builds(
        nist_point, st.just(parameters), st.integers(0, parameters.p - 1), st.booleans()
    )


_rsa = st.integers(1024, 4096).flatmap(
    lambda bits: st.builds(
        RsaPublic, st.integers(1, 1 << 64), st.integers(1 << bits - 1, (1 << bits) - 1)
    )
)
sk_keys: st.SearchStrategy[SkPublic] = st.one_of(
    st.builds(SkEd25519Public, st.binary(min_size=32, max_size=32), applications),
    st.builds(SkEcdsaPublic, _points("nistp256"), applications),
)
public_keys: st.SearchStrategy[PublicKey] = st.one_of(
    sk_keys,
    st.builds(Ed25519Public, st.binary(min_size=32, max_size=32)),
    st.sampled_from(sorted(NIST_CURVES)).flatmap(
        lambda curve: st.builds(EcdsaPublic, st.just(curve), _points(curve))
    ),
    _rsa,
)
