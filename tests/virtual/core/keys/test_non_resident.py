"""Non-resident credentials: wrapped ids, their bounds and strangers; ids too short for a key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import Bench, S, SeededRng, check_signature, descriptor

from fidokit.types import CoseAlg, CredProtect
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.keys.non_resident import Deriver, WrappedCredential, Wrapper, derivable
from fidokit.virtual.core.profile import CTAP_2_1

WRAPPED_FOR = bytes(range(32))
WRAPPER = Wrapper(b"k" * 32, SeededRng())
ONE = WRAPPER.wrap(WRAPPED_FOR, CoseAlg.ES256, b"s" * 32, CredProtect.UV_REQUIRED)


@pytest.mark.check("MC-36")
@given(
    alg=st.sampled_from(CoseAlg),
    level=st.sampled_from(CredProtect),
    secret=st.binary(min_size=32, max_size=64),
    payment=st.booleans(),
)
def test_round_trip(alg: CoseAlg, level: CredProtect, secret: bytes, payment: bool) -> None:
    made = WRAPPER.wrap(WRAPPED_FOR, alg, secret, level, third_party_payment=payment)
    assert len(made.id) == 34 + len(secret)
    assert WRAPPER.unwrap(WRAPPED_FOR, made.id) == made
    assert made == WrappedCredential(made.id, WRAPPED_FOR, alg, secret, level, payment)


def test_ids_are_short_enough_for_u2f_and_openssh() -> None:
    assert len(ONE.id) == 66


@pytest.mark.check("GA-12")
@pytest.mark.parametrize("cut", range(len(ONE.id)))
def test_cut(cut: int) -> None:
    assert WRAPPER.unwrap(WRAPPED_FOR, ONE.id[:cut]) is None


@pytest.mark.check("GA-12")
@pytest.mark.parametrize("at", range(len(ONE.id)))
def test_changed(at: int) -> None:
    changed = ONE.id[:at] + bytes([ONE.id[at] ^ 0x80]) + ONE.id[at + 1 :]
    assert WRAPPER.unwrap(WRAPPED_FOR, changed) is None


def test_trailing_byte() -> None:
    assert WRAPPER.unwrap(WRAPPED_FOR, ONE.id + b"\0") is None


@pytest.mark.check("GA-12", "RST-04")
def test_strangers() -> None:
    assert WRAPPER.unwrap(bytes(32), ONE.id) is None
    assert Wrapper(b"K" * 32, SeededRng()).unwrap(WRAPPED_FOR, ONE.id) is None


def test_the_secret_is_neither_shown_nor_readable() -> None:
    assert ONE.secret not in ONE.id
    assert repr(ONE.secret) not in repr(ONE)


KEY, DERIVED_FOR = b"k" * 32, b"r" * 32
LEVEL = CredProtect.UV_OPTIONAL_WITH_LIST
LENGTHS = st.integers(16, 200)
ALGS = st.sampled_from([alg for alg in ALGORITHMS if derivable(alg)])


def deriver(key: bytes = KEY, seed: int = 1) -> Deriver:
    return Deriver(key, SeededRng(seed))


@given(LENGTHS, ALGS, st.sampled_from(CredProtect), st.booleans())
def test_an_id_finds_its_credential_again(
    longest: int, alg: CoseAlg, level: CredProtect, payment: bool
) -> None:
    made = deriver().make(DERIVED_FOR, alg, level, longest=longest, third_party_payment=payment)
    assert len(made.id) == min(longest, 32)
    assert len(made.secret) == ALGORITHMS[alg].secret_size
    assert (made.cred_protect, made.third_party_payment) == (level, payment)
    assert deriver(seed=2).find(DERIVED_FOR, made.id) == made


@pytest.mark.parametrize("length", [16, 24, 32])
def test_any_change_makes_it_a_stranger(length: int) -> None:
    made = deriver().make(DERIVED_FOR, CoseAlg.ES256, LEVEL, longest=length)
    for at in range(length):
        changed = bytearray(made.id)
        changed[at] ^= 1
        assert deriver().find(DERIVED_FOR, bytes(changed)) is None
    for cut in range(length):
        assert deriver().find(DERIVED_FOR, made.id[:cut]) is None
    assert deriver().find(DERIVED_FOR, made.id + b"\0") is None


def test_it_belongs_to_one_rp_and_one_token() -> None:
    made = deriver().make(DERIVED_FOR, CoseAlg.ES256, LEVEL, longest=32)
    assert deriver().find(b"s" * 32, made.id) is None
    assert deriver(b"l" * 32).find(DERIVED_FOR, made.id) is None


def test_each_has_its_own_key() -> None:
    source = deriver()
    made = [source.make(DERIVED_FOR, CoseAlg.EDDSA, LEVEL, longest=16) for _ in range(50)]
    assert len({credential.secret for credential in made}) == 50
    assert len({credential.id for credential in made}) == 50


@given(st.binary(max_size=40))
def test_random_ids_are_strangers(credential_id: bytes) -> None:
    assert deriver().find(DERIVED_FOR, credential_id) is None


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
