"""Constraints on keys in agents: round trips, cuts, limits, and what contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.samples import ED25519, ML_DSA, RSA, SK_ED25519
from tests.support.signers import certificate, ed25519_key

from fidokit.errors import MalformedKey
from fidokit.openssh import agent_constraints as con
from fidokit.openssh import wire
from fidokit.openssh.agent_constraints import (
    Constraints,
    Destination,
    Hop,
    KeySpec,
    read_constraints,
)
from fidokit.openssh.certificates.certificate import CertKind, UnknownKey
from fidokit.openssh.wire import Reader

HOST_CERT = certificate(ED25519, ed25519_key(), kind=CertKind.HOST, principals=("h",))
FAR = Hop("me", "far.example", (KeySpec(ED25519, is_ca=False), KeySpec(RSA, is_ca=True)))
NEAR = Hop("", "near.example", (KeySpec(HOST_CERT, is_ca=False),))
FULL = Constraints(
    lifetime=600,
    confirm=True,
    provider="internal",
    destinations=(Destination(Hop(), NEAR), Destination(NEAR, FAR)),
    certificates=(certificate(SK_ED25519, ed25519_key()),),
    certificates_only=True,
)


def read(data: bytes) -> Constraints:
    return read_constraints(Reader(data, "test"))


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(),
        Constraints(lifetime=0),
        Constraints(confirm=True),
        Constraints(provider="/usr/lib/x.so"),
        replace(FULL, certificates=(), certificates_only=False),
        FULL,
    ],
)
def test_round_trip(constraints: Constraints) -> None:
    assert read(constraints.encode()) == constraints


def test_cut_at_every_byte() -> None:
    whole = FULL.encode()
    complete = {0}
    at = 0
    for part in ("lifetime", "confirm", "provider", "destinations", "certificates"):
        at += len(Constraints(**_only(part)).encode())
        complete.add(at)
    assert max(complete) == len(whole)
    for cut in range(len(whole)):
        if cut not in complete:
            with pytest.raises(MalformedKey):
                read(whole[:cut])


def _only(part: str) -> dict[str, Any]:
    more = {"certificates_only": True} if part == "certificates" else {}
    return {part: getattr(FULL, part), **more}


def test_a_host_key_of_an_unknown_type_is_no_reason_to_fail() -> None:
    """`ssh-add -h HOST` names every key that known_hosts has of it."""
    new = UnknownKey(wire.text("ssh-of-tomorrow") + wire.string(b"points"))
    keys = (KeySpec(new, is_ca=False), KeySpec(ML_DSA, is_ca=False), KeySpec(ED25519, is_ca=False))
    constraints = Constraints(destinations=(Destination(Hop(), Hop("", "near.example", keys)),))
    assert read(constraints.encode()) == constraints
    for broken in (wire.text("ssh-ed25519"), wire.text(""), b"\0\0", wire.text("\x07")):
        hop = Hop("", "near.example", (KeySpec(UnknownKey(broken), is_ca=False),))
        with pytest.raises(MalformedKey):
            read(Constraints(destinations=(Destination(Hop(), hop),)).encode())


@pytest.mark.parametrize(
    "part",
    [Constraints(lifetime=1), Constraints(confirm=True), Constraints(provider="internal"), FULL],
)
def test_each_kind_comes_once(part: Constraints) -> None:
    with pytest.raises(MalformedKey, match="twice"):
        read(part.encode() * 2)


@pytest.mark.parametrize("data", [b"\x03\0\0\0\1", b"\x00", con._extension("other@example.org")])
def test_unknown_constraints_are_refused(data: bytes) -> None:
    """A key must not be held under fewer constraints than its owner asked for."""
    with pytest.raises(MalformedKey):
        read(data)


@pytest.mark.parametrize(
    "destination",
    [
        Destination(Hop("user"), FAR),
        Destination(Hop("", "host"), FAR),
        Destination(Hop("", "", NEAR.keys), FAR),
        Destination(Hop(), Hop("me", "far.example")),
        Destination(Hop(), Hop("me", "", FAR.keys)),
    ],
)
def test_destinations_that_contradict_themselves(destination: Destination) -> None:
    with pytest.raises(MalformedKey):
        read(Constraints(destinations=(destination,)).encode())


def restricted(body: bytes) -> bytes:
    return con._extension(con.RESTRICT_DESTINATION) + wire.string(body)


def test_no_destination_at_all_is_not_any_destination() -> None:
    with pytest.raises(MalformedKey, match="empty"):
        read(restricted(b""))


def test_too_many_destinations() -> None:
    one = Destination(Hop(), Hop("", "h", (KeySpec(ED25519, is_ca=False),))).encode()
    assert len(read(restricted(one * con.MAX_DESTINATIONS)).destinations) == con.MAX_DESTINATIONS
    with pytest.raises(MalformedKey, match="more than"):
        read(restricted(one * (con.MAX_DESTINATIONS + 1)))


@pytest.mark.parametrize("split", [True, False], ids=["in two destinations", "in one"])
def test_too_many_host_keys(split: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(con, "MAX_HOST_KEYS", 4)
    key = (KeySpec(ED25519, is_ca=False),)

    def some(count: int) -> bytes:
        parts = (count // 2, count - count // 2) if split else (count,)
        hops = [Destination(Hop(), Hop("", "h", key * part)).encode() for part in parts]
        return restricted(b"".join(hops))

    assert sum(len(found.to.keys) for found in read(some(4)).destinations) == 4
    with pytest.raises(MalformedKey, match="host keys"):
        read(some(5))


def test_extensions_of_destinations_are_refused() -> None:
    hop = wire.text("") + wire.text("h") + wire.string(b"new")
    inner = wire.string(Hop().encode()) + wire.string(hop) + wire.string(b"")
    with pytest.raises(MalformedKey, match="extensions"):
        read(restricted(wire.string(inner)))
    inner = wire.string(Hop().encode()) + wire.string(FAR.encode()) + wire.string(b"new")
    with pytest.raises(MalformedKey, match="extensions"):
        read(restricted(wire.string(inner)))
