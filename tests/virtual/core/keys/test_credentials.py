"""Lookup over resident and wrapped credentials, and the cache of loaded keys."""

from __future__ import annotations

import hashlib

from tests.virtual.core.client import RP, Bench

from fidokit.types import CoseAlg, CredProtect
from fidokit.virtual.core.keys import credentials
from fidokit.virtual.core.keys.credentials import Credentials

RP_HASH = hashlib.sha256(RP.encode()).digest()


def of(bench: Bench) -> Credentials:
    return bench.authenticator.token.credentials


def test_both_kinds_are_found_for_their_rp_alone(bench: Bench) -> None:
    for rk in (True, False):
        made = bench.make(rk=rk)
        found = of(bench).find(RP_HASH, made.id)
        assert found is not None
        assert found.id == made.id
        assert found.cred_protect is CredProtect.UV_OPTIONAL
        assert of(bench).find(bytes(32), made.id) is None
    assert of(bench).find(RP_HASH, b"") is None


def test_the_cache_is_bounded_and_keeps_the_recent(bench: Bench) -> None:
    cache = of(bench)
    first = cache.wrap(RP_HASH, CoseAlg.EDDSA)
    kept = cache.key(first)
    for _ in range(credentials.KEY_CACHE_SIZE - 1):
        cache.key(cache.wrap(RP_HASH, CoseAlg.EDDSA))
    assert cache.key(first) is kept
    for _ in range(credentials.KEY_CACHE_SIZE):
        cache.key(cache.wrap(RP_HASH, CoseAlg.EDDSA))
    again = cache.key(first)
    assert again is not kept
    assert again.cose() == kept.cose()
    assert len(cache._keys) == credentials.KEY_CACHE_SIZE


def test_hmac_secrets_are_stable_and_apart(bench: Bench) -> None:
    one, two = (of(bench).wrap(RP_HASH, CoseAlg.ES256) for _ in range(2))
    with_uv = of(bench).hmac_secret(one, verified=True)
    assert with_uv == of(bench).hmac_secret(one, verified=True)
    others = {of(bench).hmac_secret(two, verified=True), of(bench).hmac_secret(one, verified=False)}
    assert len(others | {with_uv}) == 3
