"""Keys and signatures of every algorithm in the table."""

from __future__ import annotations

from collections import deque

import pytest
from cryptography.exceptions import InvalidSignature
from tests.virtual.core.client import SeededRng, check_signature

from fidokit.types import CoseAlg
from fidokit.virtual.core.algorithms import ALGORITHMS
from fidokit.virtual.core.private_keys import p256_private_key, p256_scalar

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(params=ALGORITHMS, ids=lambda alg: alg.name)
def alg(request: pytest.FixtureRequest) -> CoseAlg:
    chosen: CoseAlg = request.param
    return chosen


def test_signatures_verify(alg: CoseAlg) -> None:
    key = ALGORITHMS[alg].load(ALGORITHMS[alg].new_secret(SeededRng()))
    assert key.cose()[3] == alg
    check_signature(key.cose(), key.sign(b"message"), b"message")
    with pytest.raises(InvalidSignature):
        check_signature(key.cose(), key.sign(b"message"), b"massage")


def test_a_secret_is_the_whole_key(alg: CoseAlg) -> None:
    secrets = [ALGORITHMS[alg].new_secret(SeededRng(seed)) for seed in (1, 1, 2)]
    keys = [ALGORITHMS[alg].load(secret).cose() for secret in secrets]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.check("U2F-15")
def test_points_for_u2f() -> None:
    key = ALGORITHMS[CoseAlg.ES256].load(b"\1" * 32)
    point = key.u2f_point()
    assert point is not None
    assert point == b"\4" + key.cose()[-2] + key.cose()[-3]  # type: ignore[operator]
    assert ALGORITHMS[CoseAlg.EDDSA].load(b"\1" * 32).u2f_point() is None


class Scripted:
    """Randomness that begins with what no scalar may be."""

    def __init__(self, *draws: int) -> None:
        self.draws = deque(draw.to_bytes(32, "big") for draw in draws)

    def bytes(self, count: int) -> bytes:
        assert count == 32
        return self.draws.popleft()


def test_scalars_outside_the_group_are_drawn_again() -> None:
    assert p256_scalar(Scripted(0, ORDER, ORDER + 1, 2**256 - 1, 7)) == (7).to_bytes(32, "big")
    assert p256_scalar(Scripted(ORDER - 1)) == (ORDER - 1).to_bytes(32, "big")
    assert p256_private_key(Scripted(7)).private_numbers().private_value == 7
