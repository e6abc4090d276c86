"""The service, on virtual tokens: what OpenSSH asks, what it is told, and what the person is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from tests.support.desk import PIN, Desk

from fidokit import errors
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.signatures.signature import SkEcdsaSignature, SkEd25519Signature, verify
from fidokit.openssh.wire import Reader
from fidokit.provider.abi import Operation, Request, SkError, SkOption
from fidokit.provider.main import ProviderTokens
from fidokit.provider.service import answer, error_number
from fidokit.tokens import owner as pins
from fidokit.tokens.access import token_holding
from fidokit.types import Application, KeyHandle
from fidokit.virtual.token import VirtualToken

TOUCH, VERIFY, FORCE, RESIDENT = 0x01, 0x04, 0x10, 0x20
OK = 0


@dataclass
class Said:
    """One answer taken apart: its status, what follows, and what the person was told."""

    status: int
    rest: Reader
    told: list[str]


@dataclass
class Bench:
    """The service before a desk with tokens."""

    desk: Desk = field(default_factory=Desk)

    def ask(self, request: Request) -> Said:
        told: list[str] = []
        reply = answer(request.encode(), self._tokens, who=lambda: "me@here", tell=_into(told))
        reader = Reader(reply, "reply")
        return Said(reader.u8(), reader, told)

    def _tokens(self, pin: str | None) -> DeskTokens:
        return DeskTokens(self.desk, pin)

    def enroll(self, alg: int = 1, flags: int = TOUCH, **more: object) -> Said:
        fields = {"application": "ssh:", "data": b"challenge"} | more
        return self.ask(Request(10, Operation.ENROLL, flags, alg=alg, **fields))  # type: ignore[arg-type]

    def made(self, alg: int = 1, flags: int = TOUCH, **more: object) -> tuple[bytes, bytes]:
        """A key's point and handle."""
        said = self.enroll(alg, flags, **more)
        assert (said.status, said.told) == (OK, [])
        assert said.rest.u8() == flags & ~FORCE
        return said.rest.string(), said.rest.string()

    def sign(self, handle: bytes, alg: int = 1, flags: int = TOUCH, **more: object) -> Said:
        fields = {"application": "ssh:", "data": b"message"} | more
        request = Request(10, Operation.SIGN, flags, alg=alg, key_handle=handle, **fields)  # type: ignore[arg-type]
        return self.ask(request)

    def load(self, pin: str | None = None, *options: SkOption) -> Said:
        return self.ask(Request(10, Operation.LOAD_RESIDENT_KEYS, pin=pin, options=options))


def _into(told: list[str]) -> Callable[[FidokitError], None]:
    return lambda error: told.append(error.message)


class DeskTokens:
    """ProviderTokens whose tokens lie on a desk."""

    def __init__(self, desk: Desk, pin: str | None) -> None:
        self.desk = desk
        desk.person = ProviderTokens(pin)._person  # type: ignore[assignment]
        self.warnings: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def open(self, selector: str | None) -> AbstractContextManager[Session]:
        return self.desk.open(selector)

    def holding(
        self, key_handle: KeyHandle, application: Application, selector: str | None
    ) -> AbstractContextManager[Session]:
        person, where = self.desk.person, [self.desk]
        return token_holding(key_handle, application, person, selector=selector, backends=where)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.delenv("FIDOKIT_TOKEN", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")
    bench = Bench()
    bench.desk.plug("ONE")
    yield bench
    bench.desk.close()


@pytest.fixture
def with_pin(bench: Bench) -> Bench:
    with bench.desk.open() as session:
        pins.set_pin(session, PinCode.parse(PIN))
    return bench


@pytest.mark.parametrize("alg", [0, 1])
@pytest.mark.parametrize("flags", [0, TOUCH])
def test_a_key_is_made_and_signs(bench: Bench, alg: int, flags: int) -> None:
    point, handle = bench.made(alg, flags)
    said = bench.sign(handle, alg, flags)
    assert said.status == OK
    signed_flags, counter = said.rest.u8(), said.rest.u32()
    r, s = said.rest.string(), said.rest.string()
    said.rest.end()
    assert signed_flags == flags
    application = Application("ssh:")
    if alg == 0:
        numbers = int.from_bytes(r, "big"), int.from_bytes(s, "big")
        verify(
            SkEcdsaPublic(point, application),
            SkEcdsaSignature(*numbers, signed_flags, counter),
            b"message",
            require_touch=bool(flags),
        )
    else:
        assert s == b""
        verify(
            SkEd25519Public(point, application),
            SkEd25519Signature(r, signed_flags, counter),
            b"message",
            require_touch=bool(flags),
        )


def test_what_an_enrollment_gives(bench: Bench) -> None:
    said = bench.enroll(alg=0)
    assert (said.status, said.rest.u8()) == (OK, TOUCH)
    point, handle, signature, certificate, auth_data = (said.rest.string() for _ in range(5))
    said.rest.end()
    assert len(point) == 65
    assert certificate.startswith(b"\x30\x82")  # DER
    assert auth_data[:2] == b"\x58" + bytes([len(auth_data) - 2])  # a CBOR byte string
    assert auth_data[2:34] == hashlib.sha256(b"ssh:").digest()
    assert handle in auth_data
    assert signature


def test_a_pin_is_asked_for_and_then_used(with_pin: Bench) -> None:
    flags = TOUCH | VERIFY
    assert with_pin.enroll(flags=flags).status == SkError.PIN_REQUIRED
    assert with_pin.enroll(flags=flags).told == []
    _, handle = with_pin.made(flags=flags, pin=PIN)
    assert with_pin.sign(handle, flags=flags).status == SkError.PIN_REQUIRED
    said = with_pin.sign(handle, flags=flags, pin=PIN)
    assert (said.status, said.rest.u8()) == (OK, TOUCH | VERIFY)


@pytest.mark.parametrize(
    ("pin", "tries", "words"),
    [
        ("wrong", 7, "the PIN of Maker Token (usb:ONE) is wrong; 7 tries are left"),
        ("12", 8, "too short"),
    ],
)
def test_a_wrong_pin_costs_one_try_and_is_asked_for_again(
    with_pin: Bench, pin: str, tries: int, words: str
) -> None:
    said = with_pin.enroll(flags=TOUCH | VERIFY, pin=pin)
    assert said.status == SkError.PIN_REQUIRED
    assert words in said.told[0]
    with with_pin.desk.open() as session:
        assert pins.pin_status(session).retries == tries


def test_the_last_try_is_not_spent(with_pin: Bench) -> None:
    token = with_pin.desk.tokens["ONE"]
    for wrong in range(7):
        assert with_pin.load(f"wrong{wrong}").status in {SkError.PIN_REQUIRED, SkError.GENERAL}
        token.power_cycle()
    said = with_pin.load(PIN)
    assert said.status == SkError.GENERAL, "or OpenSSH would ask for yet another PIN"
    assert "one PIN try is left" in said.told[0]


def test_an_empty_pin_is_none(with_pin: Bench) -> None:
    assert with_pin.load("").status == SkError.PIN_REQUIRED
    with with_pin.desk.open() as session:
        assert pins.pin_status(session).retries == 8


def test_no_pin_is_set(bench: Bench) -> None:
    said = bench.enroll(flags=TOUCH | RESIDENT)
    assert said.status == SkError.GENERAL
    assert "has none yet" in said.told[0]


def test_resident_keys_are_loaded_with_their_users(with_pin: Bench) -> None:
    user = (SkOption("user", "alice", True),)
    first = with_pin.made(1, TOUCH | RESIDENT, pin=PIN, options=user)
    second = with_pin.made(0, TOUCH | RESIDENT | VERIFY, pin=PIN, application="ssh:two")
    with_pin.made(1, TOUCH | RESIDENT, pin=PIN, application="example.org")
    assert with_pin.load().status == SkError.PIN_REQUIRED
    said = with_pin.load(PIN)
    assert (said.status, said.rest.u32()) == (OK, 2)
    found = {}
    for _ in range(2):
        alg, application, flags = said.rest.u32(), said.rest.text(), said.rest.u8()
        user_id = said.rest.string()
        found[application] = alg, flags, user_id, (said.rest.string(), said.rest.string())
    said.rest.end()
    assert found == {
        "ssh:": (1, TOUCH | RESIDENT, b"alice".ljust(32, b"\0"), first),
        "ssh:two": (0, TOUCH | RESIDENT | VERIFY, bytes(32), second),
    }


def test_an_existing_credential_and_force(with_pin: Bench) -> None:
    flags = TOUCH | RESIDENT
    first = with_pin.made(flags=flags, pin=PIN)
    said = with_pin.enroll(flags=flags, pin=PIN)
    assert (said.status, said.told) == (SkError.CREDENTIAL_EXISTS, [])
    assert with_pin.made(flags=flags | FORCE, pin=PIN) != first


def test_an_existing_credential_where_nobody_can_ask(with_pin: Bench) -> None:
    """OpenSSH 8.9 and 9.0 know no number for it: the old key stays, and a sentence says why."""
    handle = with_pin.made(flags=TOUCH | RESIDENT, pin=PIN)[1]
    fields = {"alg": 1, "application": "ssh:", "data": b"challenge", "pin": PIN}
    said = with_pin.ask(Request(9, Operation.ENROLL, TOUCH | RESIDENT, **fields))  # type: ignore[arg-type]
    assert said.status == SkError.GENERAL
    assert len(said.told) == 1
    assert with_pin.sign(handle).status == OK


def test_no_touch_is_remembered_on_the_token(with_pin: Bench) -> None:
    with_pin.made(flags=RESIDENT, pin=PIN)
    said = with_pin.load(PIN)
    assert [said.rest.u32(), said.rest.u32(), said.rest.text(), said.rest.u8()][3] == RESIDENT


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["/dev/TWO", "usb:TWO"])
def test_the_device_by_selector_and_by_node(bench: Bench, device: str) -> None:
    bench.desk.plug("TWO")
    _, handle = bench.made(options=(SkOption("device", device, True),))
    bench.desk.plugged = {"ONE"}
    assert bench.sign(handle).status == SkError.DEVICE_NOT_FOUND
    bench.desk.plugged = {"TWO"}
    assert bench.sign(handle).status == OK


def test_no_such_device(bench: Bench) -> None:
    said = bench.load(None, SkOption("device", "/dev/NONE", True))
    assert said.status == SkError.DEVICE_NOT_FOUND
    assert "/dev/NONE" in said.told[0]


def test_unknown_options(bench: Bench) -> None:
    assert bench.enroll(options=(SkOption("shape", "round", False),)).status == OK
    said = bench.enroll(options=(SkOption("shape", "round", True),))
    assert said.status == SkError.UNSUPPORTED
    assert "'shape'" in said.told[0]
    assert bench.load(None, SkOption("user", "me", True)).status == SkError.UNSUPPORTED


def test_fidokit_token_says_which(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.desk.plug("TWO")
    monkeypatch.setenv("FIDOKIT_TOKEN", "usb:TWO")
    _, handle = bench.made()
    monkeypatch.delenv("FIDOKIT_TOKEN")
    bench.desk.plugged = {"TWO"}
    assert bench.sign(handle).status == OK


def test_the_token_that_holds_the_key_is_found(bench: Bench) -> None:
    handles = []
    for name in ("ONE", "TWO"):
        bench.desk.plugged = set()
        bench.desk.plug(name, bench.desk.tokens.get(name))
        handles.append(bench.made()[1])
    bench.desk.plugged = {"ONE", "TWO"}
    assert [bench.sign(handle).status for handle in handles] == [OK, OK]


def test_the_key_is_on_no_token(bench: Bench) -> None:
    said = bench.sign(b"h" * 64)
    assert said.status == SkError.DEVICE_NOT_FOUND
    assert "does not hold this key" in said.told[0]
    bench.desk.plugged = set()
    assert bench.sign(b"h" * 64).status == SkError.DEVICE_NOT_FOUND


# --- what tokens cannot do ---------------------------------------------------------------------


def test_an_algorithm_that_nobody_knows(bench: Bench) -> None:
    assert bench.enroll(alg=7).status == SkError.UNSUPPORTED


def test_u2f(bench: Bench) -> None:
    bench.desk.plug("ONE", VirtualToken(profile="u2f"))
    _, handle = bench.made(alg=0)
    assert bench.sign(handle, alg=0).status == OK
    assert bench.enroll(alg=1).status == SkError.UNSUPPORTED
    assert bench.load(PIN).status == SkError.UNSUPPORTED


def test_touch_refused(bench: Bench) -> None:
    bench.desk.plug("ONE", VirtualToken(presence="deny"))
    said = bench.enroll()
    assert said.status == SkError.GENERAL
    assert said.told


def test_junk_is_answered(bench: Bench) -> None:
    told: list[str] = []
    assert answer(b"junk", bench._tokens, who=str, tell=_into(told)) == bytes([SkError.GENERAL])
    assert told


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (errors.CredentialInTheWay("x"), SkError.CREDENTIAL_EXISTS),
        (errors.PinRequired("x"), SkError.PIN_REQUIRED),
        (errors.PinWrong("x", retries=3), SkError.PIN_REQUIRED),
        (errors.UvBlocked("x"), SkError.PIN_REQUIRED),
        (errors.PinLastTry("x"), SkError.GENERAL),
        (errors.PinNotSet("x"), SkError.GENERAL),
        (errors.PinBlocked("x"), SkError.GENERAL),
        (errors.PinAuthBlocked("x"), SkError.GENERAL),
        (errors.TokenNotFound("x"), SkError.DEVICE_NOT_FOUND),
        (errors.SeveralTokens("x"), SkError.DEVICE_NOT_FOUND),
        (errors.TokenBusy("x"), SkError.DEVICE_NOT_FOUND),
        (errors.NoPermission("x"), SkError.DEVICE_NOT_FOUND),
        (errors.StoreFull("x"), SkError.UNSUPPORTED),
        (errors.TouchTimedOut("x"), SkError.GENERAL),
        (errors.TokenMisbehaved("x"), SkError.GENERAL),
        (errors.TokenSilent("x"), SkError.GENERAL),
    ],
)
def test_errors_in_openssh_s_numbers(error: FidokitError, number: SkError) -> None:
    assert error_number(error) is number
