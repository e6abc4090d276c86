"""The same commands, the same bytes."""

from __future__ import annotations

import hashlib

import pytest
from tests.support.sandbox import Sandbox

from fidokit import cbor
from fidokit.lab.program import throw_away
from fidokit.lab.repeatable import world
from fidokit.virtual.token import VirtualToken

CHALLENGE = hashlib.sha256(b"challenge").digest()
MAKE: dict[object, cbor.Encodable] = {
    1: CHALLENGE,
    2: {"id": "example.org", "name": "example"},
    3: {"id": b"ada", "name": "ada"},
    4: [{"alg": -7, "type": "public-key"}],
    7: {"rk": True},
}
ASK: dict[object, cbor.Encodable] = {1: "example.org", 2: CHALLENGE}


def life(token: VirtualToken) -> list[bytes]:
    """What a token answers to a registration, a login and a PIN protocol's key."""
    link = token.link()
    requests = [b"\x01" + cbor.encode(MAKE), b"\x02" + cbor.encode(ASK)]
    answers = [link.cbor(request) for request in [*requests, b"\x06" + cbor.encode({1: 2, 2: 2})]]
    assert all(answer[0] == 0 for answer in answers)
    return [token.identity.serial.encode(), *answers]


def seeded(seed: str | None, clock: int | None = 0, **given: str) -> list[bytes]:
    with throw_away(world=world(seed, clock), **given) as token:
        return life(token)


@pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3"])
def test_a_seed_repeats_everything(profile: str) -> None:
    assert seeded("one", profile=profile) == seeded("one", profile=profile)


def test_another_seed_and_none_at_all() -> None:
    lives = [seeded(seed) for seed in ("one", "other", None, None)]
    assert all(len(set(answers)) == 4 for answers in zip(*lives, strict=True))


def test_a_clock_alone_is_no_seed() -> None:
    assert seeded(None, 5) != seeded(None, 5)


def test_a_created_token_has_the_same_serial_again(sandbox: Sandbox) -> None:
    made = []
    for _ in range(2):
        done = sandbox.run("--json", "virtual", "create", "t", "--seed", "one")
        assert "protect nothing" in done.err
        made.append(done.out.partition('"serial"')[2][:20])
        sandbox.run("virtual", "delete", "t", "--yes")
    assert made[0] == made[1]


SCRIPT = """if True:
    import hashlib
    from fido2.ctap2 import Ctap2
    from fido2.hid import CtapHidDevice
    (device,) = CtapHidDevice.list_devices()
    with device:
        ctap = Ctap2(device)
        made = ctap.make_credential(
            bytes(32),
            {"id": "example.org", "name": "x"},
            {"id": b"ada", "name": "ada"},
            [{"type": "public-key", "alg": -7}],
        )
        print(device.serial_number, made.auth_data.hex())
        print(ctap.get_assertion("example.org", bytes(32), [
            {"type": "public-key", "id": made.auth_data.credential_data.credential_id}
        ]).signature.hex())
"""


@pytest.mark.compiled
def test_from_the_command_line(sandbox: Sandbox) -> None:
    import sys

    def run(seed: str) -> str:
        words = ("virtual", "run", "--seed", seed, "--clock", "0", "--", sys.executable, "-c")
        done = sandbox.run(*words, SCRIPT)
        assert done.code == 0, done.err
        assert "use it for tests alone" in done.err
        return done.out

    first, again, other = map(run, ("demo", "demo", "another"))
    assert first == again
    assert not set(first.splitlines()) & set(other.splitlines())
