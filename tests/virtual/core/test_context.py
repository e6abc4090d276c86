"""Signature counters, one for all or one for each credential."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from tests.virtual.core.client import RP, AuthData, Bench, Made, descriptor

from fidokit.virtual.core.profile import CTAP_2_3, Behavior

OWN = replace(CTAP_2_3, behavior=Behavior(counter_per_credential=True))


def signed(bench: Bench, made: Made) -> int:
    body = bench.get({3: [descriptor(made.id)]})
    return AuthData.parse(body[2]).counter


def u2f_signed(bench: Bench, made: Made) -> int:
    handle = bytes([len(made.id)]) + made.id
    data = bytes(32) + sha256(RP.encode()).digest() + handle
    reply = bench.authenticator.handle_msg(b"\0\2\3\0" + bytes([len(data)]) + data)
    assert reply[-2:] == b"\x90\0"
    return int.from_bytes(reply[1:5])


@pytest.mark.check("GA-17", "U2F-13")
def test_one_for_all() -> None:
    bench = Bench()
    one, two = bench.make(rk=True), bench.make(rk=False)
    assert (one.data.counter, two.data.counter) == (1, 2)
    assert [signed(bench, made) for made in (one, two, one)] == [3, 4, 5]
    assert u2f_signed(bench, two) == 6


@pytest.mark.check("GA-17", "U2F-13")
def test_one_for_each() -> None:
    bench = Bench(OWN)
    one, two = bench.make(rk=True), bench.make(rk=False)
    assert one.data.counter == two.data.counter == 0
    assert [signed(bench, made) for made in (one, two, one, one)] == [1, 1, 2, 3]
    assert u2f_signed(bench, two) == 2
    bench.power_up()
    assert [signed(bench, made) for made in (one, two)] == [4, 3]


@pytest.mark.check("GA-17")
def test_every_reply_of_an_enumeration_counts_for_its_credential() -> None:
    bench = Bench(OWN)
    for user in (b"a", b"b"):
        bench.make({3: {"id": user}}, rk=True)
    first = AuthData.parse(bench.get()[2]).counter
    second = AuthData.parse(bench.ok(0x08)[2]).counter
    assert (first, second) == (1, 1)
    assert AuthData.parse(bench.get()[2]).counter == 2
