"""Keys and signatures of every algorithm in the table."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fido2.cose import CoseKey, UnsupportedKey
from tests.virtual.core.client import SeededRng, check_signature

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys.algorithms import (
    ALGORITHMS,
    PrivateKey,
    ec_scalar,
    p256_private_key,
    p256_scalar,
)
from fidokit.virtual.world import SystemRng

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

EC2, OKP, RSA, AKP = 2, 1, 3, 7
SHAPES: dict[CoseAlg, dict[int, int]] = {
    CoseAlg.ES256: {1: EC2, -1: 1, -2: 32, -3: 32},
    CoseAlg.ESP256: {1: EC2, -1: 1, -2: 32, -3: 32},
    CoseAlg.ES384: {1: EC2, -1: 2, -2: 48, -3: 48},
    CoseAlg.ESP384: {1: EC2, -1: 2, -2: 48, -3: 48},
    CoseAlg.ES512: {1: EC2, -1: 3, -2: 66, -3: 66},
    CoseAlg.ESP512: {1: EC2, -1: 3, -2: 66, -3: 66},
    CoseAlg.ES256K: {1: EC2, -1: 8, -2: 32, -3: 32},
    CoseAlg.EDDSA: {1: OKP, -1: 6, -2: 32},
    CoseAlg.ED25519: {1: OKP, -1: 6, -2: 32},
    CoseAlg.ED448: {1: OKP, -1: 7, -2: 57},
    CoseAlg.RS256: {1: RSA, -1: 256, -2: 3},
    CoseAlg.PS256: {1: RSA, -1: 256, -2: 3},
    CoseAlg.ML_DSA_44: {1: AKP, -1: 1312},
    CoseAlg.ML_DSA_65: {1: AKP, -1: 1952},
    CoseAlg.ML_DSA_87: {1: AKP, -1: 2592},
}
"""Members of each COSE key: integers as they are, byte strings by their length (MC-35)."""

SIGNATURE_SIZES = {
    CoseAlg.EDDSA: 64,
    CoseAlg.ED25519: 64,
    CoseAlg.ED448: 114,
    CoseAlg.RS256: 256,
    CoseAlg.PS256: 256,
    CoseAlg.ML_DSA_44: 2420,
    CoseAlg.ML_DSA_65: 3309,
    CoseAlg.ML_DSA_87: 4627,
}

RANDOMIZED = {CoseAlg.PS256, CoseAlg.ML_DSA_44, CoseAlg.ML_DSA_65, CoseAlg.ML_DSA_87}
UNSEEDED = {CoseAlg.RS256, CoseAlg.PS256}

VECTORS = {
    CoseAlg.ES256: (
        "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    CoseAlg.ES384: (
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
        0x94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46,
        0x99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8,
    ),
}
"""RFC 6979 appendices A.2.5 and A.2.6: scalar, then r and s for "sample" under the curve's hash."""


@pytest.fixture(params=ALGORITHMS, ids=lambda alg: alg.name)
def alg(request: pytest.FixtureRequest) -> CoseAlg:
    chosen: CoseAlg = request.param
    return chosen


def fresh(alg: CoseAlg, seed: int = 1) -> PrivateKey:
    return ALGORITHMS[alg].load(ALGORITHMS[alg].new_secret(SeededRng(seed)))


def test_the_table_holds_every_number_that_we_name() -> None:
    assert set(ALGORITHMS) == set(CoseAlg) == set(SHAPES)


def test_signatures_verify(alg: CoseAlg) -> None:
    key = fresh(alg)
    signature = key.sign(b"message")
    assert len(signature) == SIGNATURE_SIZES.get(alg, len(signature))
    check_signature(key.cose(), signature, b"message")
    with pytest.raises(InvalidSignature):
        check_signature(key.cose(), signature, b"massage")


def test_python_fido2_takes_key_and_signature(alg: CoseAlg) -> None:
    key = fresh(alg)
    parsed = CoseKey.parse(dict(key.cose()))
    assert not isinstance(parsed, UnsupportedKey)
    assert alg == parsed.ALGORITHM
    parsed.verify(b"message", key.sign(b"message"))
    with pytest.raises(InvalidSignature):
        parsed.verify(b"massage", key.sign(b"message"))


@pytest.mark.check("MC-35", "MC-10")
def test_cose_keys_have_exactly_their_members(alg: CoseAlg) -> None:
    key: Any = fresh(alg).cose()
    seen = {k: len(v) if isinstance(v, bytes) else v for k, v in key.items()}
    assert seen == SHAPES[alg] | {3: alg}
    assert type(key[3]) is int


@pytest.mark.check("MC-35")
def test_coordinates_keep_their_leading_zeros() -> None:
    """One coordinate in 256 begins with a zero byte, and in P-521 nearly every other."""
    for name, size in ((CoseAlg.ES256, 32), (CoseAlg.ES384, 48), (CoseAlg.ES512, 66)):
        keys: Any = [ALGORITHMS[name].load(n.to_bytes(size)).cose() for n in range(1, 600)]
        assert any(key[-2][0] == 0 for key in keys)
        assert {len(key[label]) for key in keys for label in (-2, -3)} == {size}


def test_a_secret_is_the_whole_key(alg: CoseAlg) -> None:
    secret = ALGORITHMS[alg].new_secret(SeededRng())
    assert len(secret) == ALGORITHMS[alg].secret_size
    assert ALGORITHMS[alg].load(secret).cose() == ALGORITHMS[alg].load(secret).cose()


def test_a_seed_repeats_its_keys(alg: CoseAlg) -> None:
    one, same, other = (fresh(alg, seed).cose() for seed in (1, 1, 2))
    assert (one == same) is (alg not in UNSEEDED)
    assert one != other


def test_signatures_repeat_where_the_algorithm_lets_them(alg: CoseAlg) -> None:
    key = fresh(alg)
    assert (key.sign(b"message") == key.sign(b"message")) is (alg not in RANDOMIZED)


def test_real_randomness_reaches_the_nonces_too(alg: CoseAlg) -> None:
    secret = ALGORITHMS[alg].new_secret(SystemRng())
    key, seeded = (ALGORITHMS[alg].key(secret, rng) for rng in (SystemRng(), SeededRng()))
    ecdsa = SHAPES[alg][1] == EC2
    assert key.cose() == seeded.cose()
    assert (key.sign(b"message") != key.sign(b"message")) is (ecdsa or alg in RANDOMIZED)
    check_signature(seeded.cose(), key.sign(b"message"), b"message")


@pytest.mark.parametrize("alg", VECTORS, ids=lambda alg: alg.name)
def test_ecdsa_nonces_are_those_of_rfc_6979(alg: CoseAlg) -> None:
    scalar, r, s = VECTORS[alg]
    key = ALGORITHMS[alg].load(bytes.fromhex(scalar))
    assert key.sign(b"sample") == encode_dss_signature(r, s)


@pytest.mark.parametrize("alg", [CoseAlg.EDDSA, CoseAlg.ED25519])
def test_ed25519_vector(alg: CoseAlg) -> None:
    """RFC 8032 section 7.1, test 1."""
    secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    key = ALGORITHMS[alg].load(bytes.fromhex(secret))
    point = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.cose()[-2] == bytes.fromhex(point)
    assert key.sign(b"") == bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_ed448_vector() -> None:
    """RFC 8032 section 7.4, "Blank"."""
    secret = (
        "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3"
        "528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b"
    )
    point = (
        "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"
        "edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180"
    )
    key = ALGORITHMS[CoseAlg.ED448].load(bytes.fromhex(secret))
    assert key.cose()[-2] == bytes.fromhex(point)


@pytest.mark.check("U2F-15")
def test_points_for_u2f(alg: CoseAlg) -> None:
    key = fresh(alg)
    cose: Any = key.cose()
    assert key.u2f_point() == (b"\4" + cose[-2] + cose[-3] if alg is CoseAlg.ES256 else None)


class Scripted:
    """Randomness that begins with what no scalar may be."""

    repeatable = True

    def __init__(self, *draws: int, size: int = 32) -> None:
        self.draws = deque(draw.to_bytes(size, "big") for draw in draws)
        self.size = size

    def bytes(self, count: int) -> bytes:
        assert count == self.size
        return self.draws.popleft()


def test_scalars_outside_the_group_are_drawn_again() -> None:
    assert p256_scalar(Scripted(0, ORDER, ORDER + 1, 2**256 - 1, 7)) == (7).to_bytes(32, "big")
    assert p256_scalar(Scripted(ORDER - 1)) == (ORDER - 1).to_bytes(32, "big")
    assert p256_private_key(Scripted(7)).private_numbers().private_value == 7


def test_a_scalar_takes_no_more_bits_than_its_curve_has() -> None:
    curve = ec.SECP521R1()
    top = curve.group_order - 1
    low_bits_go = Scripted((2**521 - 1) << 7 | 5, top << 7 | 127, size=66)
    assert ec_scalar(curve, low_bits_go) == top.to_bytes(66, "big")
