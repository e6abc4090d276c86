"""The life of a key of every algorithm, at the bytes interface and under python-fido2's eyes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fido2.attestation import PackedAttestation
from fido2.cose import CoseKey
from fido2.webauthn import AuthenticatorData
from tests.fuzz.rsa import known_rsa_keys
from tests.support.blocking import BlockingAuthenticator
from tests.virtual.core.client import (
    GA,
    HASH,
    MC,
    RP,
    Answer,
    Bench,
    Made,
    Person,
    S,
    check_signature,
    descriptor,
    encode,
    get_request,
    make_request,
    param,
)

from fidokit.types import CoseAlg
from fidokit.virtual.core.factory import new_state
from fidokit.virtual.core.profile import CTAP_2_3, PROFILES, Profile
from fidokit.virtual.store import SqliteStore
from fidokit.virtual.store.schema import TokenIdentity
from fidokit.virtual.world import ManualClock, SystemRng

SELF = replace(CTAP_2_3, self_attestation=True)
IDENTITY = TokenIdentity("FK-1", "ctap2.3", "auto", 1_795_000_000)
EVERYTHING: dict[int, Any] = {6: {"credProtect": 1, "hmac-secret": True}}
OFFERED = [
    (model, alg) for model in PROFILES.values() if model.has_ctap2 for alg in model.algorithms
]


@pytest.fixture(autouse=True)
def _no_search_for_primes() -> Iterator[None]:
    """How RSA keys are found is for test_algorithms.py."""
    with known_rsa_keys():
        yield


@pytest.fixture(params=CTAP_2_3.algorithms, ids=lambda alg: alg.name)
def alg(request: pytest.FixtureRequest) -> CoseAlg:
    chosen: CoseAlg = request.param
    return chosen


def made_with(bench: Bench, alg: CoseAlg, *, rk: bool) -> Made:
    return bench.make({4: [param(-1), param(alg)], **EVERYTHING}, rk=rk)


def assert_signs(bench: Bench, made: Made) -> None:
    body = bench.get({3: [descriptor(made.id)]})
    check_signature(made.data.key, body[3], body[2] + HASH)
    seen = AuthenticatorData(made.raw_data).credential_data
    assert seen is not None
    seen.public_key.verify(body[2] + HASH, body[3])


@pytest.mark.check("MC-10", "MC-35", "MC-36", "GA-18")
@pytest.mark.parametrize("rk", [False, True])
def test_made_used_and_used_again_after_power_returns(alg: CoseAlg, rk: bool) -> None:
    bench = Bench()
    made = made_with(bench, alg, rk=rk)
    assert made.data.key[3] == alg
    assert len(made.id) <= bench.info()[8]
    assert_signs(bench, made)
    bench.power_up()
    assert_signs(bench, made)
    assert bench.status(GA, get_request({1: "ssh:other", 3: [descriptor(made.id)]})) == (
        S.NO_CREDENTIALS
    )


@pytest.mark.check("ATT-01")
def test_self_attestation_satisfies_python_fido2(alg: CoseAlg) -> None:
    made = made_with(Bench(SELF), alg, rk=True)
    assert made.statement["alg"] == alg
    seen = AuthenticatorData(made.raw_data)
    PackedAttestation().verify(dict(made.statement), seen, HASH)


@pytest.mark.check("CBR-11")
@pytest.mark.parametrize(("model", "alg"), OFFERED)
def test_replies_fit_into_a_message(model: Profile, alg: CoseAlg) -> None:
    for variant, rk in itertools.product((model, replace(model, self_attestation=True)), (0, 1)):
        bench = Bench(variant)
        request = make_request({4: [param(alg)], **EVERYTHING}, rk=bool(rk))
        reply = bench.authenticator.handle(bytes([MC]) + encode(request))
        assert Answer.parse(reply).status == 0
        assert len(reply) <= model.max_msg_size
        reply = bench.authenticator.handle(bytes([GA]) + encode(get_request()))
        assert len(reply) <= model.max_msg_size


def test_secrets_live_in_a_file(alg: CoseAlg, tmp_path: Any) -> None:
    def powered(store: SqliteStore) -> BlockingAuthenticator:
        return BlockingAuthenticator(CTAP_2_3, store, ManualClock(), SystemRng(), Person())

    path = tmp_path / "token"
    store = SqliteStore.create(path, IDENTITY, new_state(CTAP_2_3, SystemRng()))
    request = make_request({4: [param(alg)]}, rk=True)
    made = Answer.parse(powered(store).handle(bytes([MC]) + encode(request)))
    store.close()
    store = SqliteStore.open(path)
    got = Answer.parse(powered(store).handle(bytes([GA]) + encode(get_request())))
    store.close()
    seen = AuthenticatorData(made.body[2]).credential_data
    assert seen is not None
    CoseKey.parse(seen.public_key).verify(got.body[2] + HASH, got.body[3])


@pytest.mark.check("MC-36")
@pytest.mark.parametrize("longest", [16, 32, 65])
def test_ids_too_short_for_a_key_name_one_that_follows_from_the_tokens_own(longest: int) -> None:
    bench = Bench(replace(CTAP_2_3, max_credential_id_length=longest))
    made = bench.make(rk=False)
    assert len(made.id) == min(longest, 32)
    assert bench.store.count() == 0
    assert_signs(bench, made)


def test_room_for_an_elliptic_key_is_not_room_for_an_rsa_key() -> None:
    bench = Bench(replace(CTAP_2_3, max_credential_id_length=128))
    small, large = (bench.make({4: [param(alg)]}) for alg in (CoseAlg.ES512, CoseAlg.RS256))
    assert (len(small.id), len(large.id), bench.store.count()) == (100, 32, 1)
    for made in (small, large):
        assert_signs(bench, made)


@pytest.mark.check("GA-11")
def test_keys_kept_for_short_ids_stay_hidden_on_a_model_without_rk() -> None:
    bench = Bench(replace(CTAP_2_3.with_options(rk=None), max_credential_id_length=32))
    made = bench.make({4: [param(CoseAlg.RS256)]})
    assert bench.store.count() == 1
    assert bench.status(GA, get_request({1: RP})) == S.NO_CREDENTIALS
    assert_signs(bench, made)
