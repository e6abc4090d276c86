"""Ids that are too short for a key name one that follows from the token's secret."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import Bench, S, SeededRng, check_signature, descriptor

from fidokit.types import CoseAlg, CredProtect
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.keys.derived import Deriver, derivable
from fidokit.virtual.core.profile import CTAP_2_1

KEY, RP_HASH = b"k" * 32, b"r" * 32
LEVEL = CredProtect.UV_OPTIONAL_WITH_LIST
LENGTHS = st.integers(16, 200)
ALGS = st.sampled_from([alg for alg in ALGORITHMS if derivable(alg)])


def deriver(key: bytes = KEY, seed: int = 1) -> Deriver:
    return Deriver(key, SeededRng(seed))


@given(LENGTHS, ALGS, st.sampled_from(CredProtect), st.booleans())
def test_an_id_finds_its_credential_again(
    longest: int, alg: CoseAlg, level: CredProtect, payment: bool
) -> None:
    made = deriver().make(RP_HASH, alg, level, longest=longest, third_party_payment=payment)
    assert len(made.id) == min(longest, 32)
    assert len(made.secret) == ALGORITHMS[alg].secret_size
    assert (made.cred_protect, made.third_party_payment) == (level, payment)
    assert deriver(seed=2).find(RP_HASH, made.id) == made


@pytest.mark.parametrize("length", [16, 24, 32])
def test_any_change_makes_it_a_stranger(length: int) -> None:
    made = deriver().make(RP_HASH, CoseAlg.ES256, LEVEL, longest=length)
    for at in range(length):
        changed = bytearray(made.id)
        changed[at] ^= 1
        assert deriver().find(RP_HASH, bytes(changed)) is None
    for cut in range(length):
        assert deriver().find(RP_HASH, made.id[:cut]) is None
    assert deriver().find(RP_HASH, made.id + b"\0") is None


def test_it_belongs_to_one_rp_and_one_token() -> None:
    made = deriver().make(RP_HASH, CoseAlg.ES256, LEVEL, longest=32)
    assert deriver().find(b"s" * 32, made.id) is None
    assert deriver(b"l" * 32).find(RP_HASH, made.id) is None


def test_each_has_its_own_key() -> None:
    source = deriver()
    made = [source.make(RP_HASH, CoseAlg.EDDSA, LEVEL, longest=16) for _ in range(50)]
    assert len({credential.secret for credential in made}) == 50
    assert len({credential.id for credential in made}) == 50


@given(st.binary(max_size=40))
def test_random_ids_are_strangers(credential_id: bytes) -> None:
    assert deriver().find(RP_HASH, credential_id) is None


def test_rsa_is_not_derived() -> None:
    assert not derivable(CoseAlg.RS256)
    assert derivable(CoseAlg.ES256)


@pytest.mark.check("MC-36", "CM-13", "RST-04")
@pytest.mark.parametrize("length", [16, 48])
def test_a_terse_model_keeps_nothing(length: int) -> None:
    bench = Bench(replace(CTAP_2_1, max_credential_id_length=length))
    made = bench.make()
    assert len(made.id) <= length
    assert bench.store.count() == 0
    bench.power_up()
    got = bench.get({3: [descriptor(made.id)]})
    assert got[1]["id"] == made.id
    check_signature(made.data.key, got[3], got[2] + bytes(range(32)))
    assert bench.status(0x07) == S.OK
    assert bench.status(0x02, {1: "ssh:work", 2: bytes(32), 3: [descriptor(made.id)]}) == (
        S.NO_CREDENTIALS
    )


@pytest.mark.check("MC-36")
def test_u2f_handles_are_as_short() -> None:
    bench = Bench(replace(CTAP_2_1, max_credential_id_length=16))
    register = bytes.fromhex("00010000000040") + bytes(64)
    reply = bench.authenticator.handle_msg(register)
    assert reply[66] == 16
    handle = reply[67 : 67 + 16]
    look = bytes(64) + bytes([16]) + handle
    apdu = bytes.fromhex("000207000000") + bytes([len(look)]) + look
    assert bench.authenticator.handle_msg(apdu) == b"\x69\x85"
