"""A reset: never without the right words, never the wrong token, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tests.support.desk import Desk

from fidokit.client.connection import Label
from fidokit.client.info import TokenInfo
from fidokit.client.session import Session
from fidokit.errors import PinRequired, TokenNotFound, TokenRefused, Unsupported, UsageError
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.tokens import owner as pin
from fidokit.tokens import reset as resetting
from fidokit.tokens.reset import ResetPlan
from fidokit.types import Aaguid, KeyType, Transport

pytestmark = pytest.mark.usefixtures("home")


@dataclass
class Guide:
    """Does what it is told, on the desk."""

    desk: Desk
    steps: list[str] = field(default_factory=list)
    when_inserting: Callable[[Desk], None] | None = None
    obedient: bool = True

    def unplug(self, name: str) -> None:
        self.steps.append("unplug")
        if self.obedient:
            self.desk.plugged.discard("ONE")

    def insert(self, name: str) -> None:
        self.steps.append("insert")
        if self.when_inserting:
            self.when_inserting(self.desk)
        else:
            self.desk.tokens["ONE"].power_cycle()
            self.desk.plugged.add("ONE")

    def inserted(self, name: str) -> None:
        self.steps.append("inserted")

    def once_more(self, name: str) -> None:
        self.steps.append("once more")


@dataclass
class Time:
    """Seconds that pass by sleeping alone."""

    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def plan(desk: Desk, *, ask_pin: bool = False) -> ResetPlan:
    with desk.open() as session:
        return resetting.plan_reset(session, ask_pin=ask_pin)


def reset(desk: Desk, wanted: ResetPlan, guide: Guide, typed: str = "ONE") -> Time:
    time = Time()
    resetting.reset_token(
        wanted,
        typed=typed,
        guide=guide,
        interaction=desk.person,
        backends=[desk],
        sleep=time.sleep,
        clock=time.clock,
    )
    return time


def pin_is_set(desk: Desk) -> bool:
    with desk.open() as session:
        return pin.pin_status(session).set


def test_what_dies_is_named(desk: Desk, folder: Path) -> None:
    for name in ("ssh:a", "ssh:b", "example.org"):
        request = GenerateRequest(
            KeyType.ED25519_SK,
            folder / name.replace(":", "_"),
            application=name,
            user="me",
            resident=True,
            allow_any_application=True,
        )
        with desk.open() as session:
            generate_key(session, request)
    found = plan(desk, ask_pin=True)
    assert found.credentials == ("ssh:a me", "ssh:b me")
    assert (found.resident, found.others) == (3, 1)
    assert (found.confirm, found.must_replug, found.selector) == ("ONE", True, "usb:ONE")


def test_without_the_pin_nothing_is_counted(desk: Desk) -> None:
    found = plan(desk)
    assert (found.resident, found.credentials, found.others) == (None, None, None)
    assert desk.person.asked == []
    desk.person.pin = None
    with pytest.raises(PinRequired):
        plan(desk, ask_pin=True)


def test_a_token_without_a_pin_holds_nothing(bare_desk: Desk) -> None:
    found = plan(bare_desk, ask_pin=True)
    assert (found.resident, found.credentials) == (0, ())


def test_a_reset(desk: Desk) -> None:
    guide = Guide(desk)
    reset(desk, plan(desk), guide)
    assert guide.steps == ["unplug", "insert", "inserted"]
    assert "resetting the token" in desk.person.touches
    assert not pin_is_set(desk)


def test_a_token_that_is_reset_by_the_first_command_alone(desk: Desk) -> None:
    """OpenSK: the tries of its PIN, by which it was told from others, are a command, too."""
    guide = Guide(desk)
    desk.tokens["ONE"].become(["reset-comes-first"])
    reset(desk, plan(desk), guide)
    once = ["unplug", "insert", "inserted"]
    assert guide.steps == [*once, "once more", *once]
    assert not pin_is_set(desk)


def test_a_refusal_is_not_asked_for_ever(desk: Desk) -> None:
    def talk_first(desk: Desk) -> None:
        desk.tokens["ONE"].power_cycle()
        desk.tokens["ONE"].link().cbor(b"\x06\xa1\x02\x01", lambda _: None, lambda: False)
        desk.plugged.add("ONE")

    desk.tokens["ONE"].become(["reset-comes-first"])
    guide = Guide(desk, when_inserting=talk_first)
    with pytest.raises(TokenRefused, match="just after power-up"):
        reset(desk, plan(desk), guide)
    assert guide.steps.count("once more") == 1
    assert pin_is_set(desk)


@pytest.mark.parametrize("typed", ["", "one", "ONE ", "yes", "y"])
def test_the_wrong_words_do_nothing(desk: Desk, typed: str) -> None:
    guide = Guide(desk)
    with pytest.raises(UsageError, match="nothing was reset"):
        reset(desk, plan(desk), guide, typed)
    assert guide.steps == []
    assert pin_is_set(desk)


def test_nobody_unplugs_it(desk: Desk) -> None:
    guide = Guide(desk, obedient=False)
    with pytest.raises(TokenNotFound, match="was not unplugged within 60 seconds"):
        reset(desk, plan(desk), guide)
    assert guide.steps == ["unplug"]
    assert pin_is_set(desk)


def test_it_does_not_come_back(desk: Desk) -> None:
    guide = Guide(desk, when_inserting=lambda desk: None)
    with pytest.raises(TokenNotFound, match="did not come back"):
        reset(desk, plan(desk), guide)


def plug_another(desk: Desk) -> None:
    desk.plug("OTHER")


def test_another_token_comes_back(desk: Desk) -> None:
    guide = Guide(desk, when_inserting=plug_another)
    with pytest.raises(TokenNotFound, match="did not come back"):
        reset(desk, plan(desk), guide)
    guide = Guide(desk, when_inserting=lambda desk: desk.plugged.add("ONE"))
    with pytest.raises(TokenNotFound, match="another token"):
        reset(desk, with_trait(plan_of(desk), aaguid=Aaguid(b"\x01" * 16)), guide)
    assert desk.tokens["OTHER"].plugged_in


def with_trait(plan: ResetPlan, **changes: object) -> ResetPlan:
    return replace(plan, trait=plan.trait._replace(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"pin_tries": 3},
        {"firmware": 7},
        {"remaining": 1},
        {"options": frozenset({("clientPin", False)})},
        {"versions": ("FIDO_2_0",)},
        {"transport": Transport.PCSC},
    ],
)
def test_a_token_of_the_same_model_that_differs_in_anything(
    desk: Desk, change: dict[str, object]
) -> None:
    guide = Guide(desk)
    with pytest.raises(TokenNotFound, match="another token"):
        reset(desk, with_trait(plan(desk), **change), guide)
    assert pin_is_set(desk)


def test_two_newcomers_are_one_too_many(desk: Desk) -> None:
    found = replace(plan_of(desk), durable=False)

    def come_back(desk: Desk) -> None:
        desk.tokens["ONE"].power_cycle()
        desk.plugged.add("ONE")
        desk.plug("OTHER")

    with pytest.raises(TokenNotFound, match="2 tokens were inserted"):
        reset(desk, found, Guide(desk, when_inserting=come_back))
    desk.plugged = {"ONE"}
    assert pin_is_set(desk)


@pytest.mark.parametrize("kind", [Transport.VIRTUAL, Transport.SOCKET])
def test_what_nobody_can_unplug_is_known_by_its_transport(desk: Desk, kind: Transport) -> None:
    with desk.open() as session:
        session.connection.transport = kind
        session.connection.selector = "usb:x"
        assert not resetting.plan_reset(session).must_replug
        session.connection.transport = Transport.USB
        session.connection.selector = "virtual:x"
        assert resetting.plan_reset(session).must_replug


def plan_of(desk: Desk) -> ResetPlan:
    desk.plugged = {"ONE"}
    return plan(desk)


def test_a_token_without_a_durable_name_is_the_newcomer(desk: Desk) -> None:
    """Its node may have another number when it comes back."""
    desk.plug("BYSTANDER")
    found = replace(plan_with(desk, "usb:ONE"), durable=False, confirm="ONE")

    def come_back(desk: Desk) -> None:
        token = desk.tokens.pop("ONE")
        token.power_cycle()
        desk.plug("RENAMED", token)

    reset(desk, found, Guide(desk, when_inserting=come_back))
    with desk.open("usb:RENAMED") as session:
        assert not pin.pin_status(session).set


def plan_with(desk: Desk, selector: str) -> ResetPlan:
    with desk.open(selector) as session:
        return resetting.plan_reset(session)


def test_the_words_for_a_token_without_a_name(desk: Desk) -> None:
    with desk.open() as session:
        session.connection.durable = False
        assert resetting.plan_reset(session).confirm == "Maker Token"
        session.connection._label = Label("\x1b\x07 (usb:/dev/hidraw3)")
        assert resetting.plan_reset(session).confirm == "reset"


def test_a_virtual_token_needs_no_hands(desk: Desk) -> None:
    desk.kind = Transport.VIRTUAL
    found = plan(desk)
    assert not found.must_replug
    desk.tokens["ONE"].power_cycle()
    guide = Guide(desk)
    reset(desk, found, guide)
    assert guide.steps == []
    assert not pin_is_set(desk)


def on_a_reader(*ways: str) -> Session:
    """A token there that says over what it is reset (CTAP 2.3); over anything where it does not."""
    info = TokenInfo(versions=("FIDO_2_3",), transports_for_reset=ways)
    connection = SimpleNamespace(transport=Transport.PCSC, info=info)
    made = SimpleNamespace(
        info=info, selector="here", name="Reader 0", durable=False, connection=connection
    )
    return cast("Session", made)


@pytest.mark.parametrize("ways", [("usb",), ("usb", "hybrid")])
def test_a_token_that_is_not_reset_on_a_card_reader(ways: tuple[str, ...]) -> None:
    """Nobody is made to type or to unplug in vain."""
    with pytest.raises(Unsupported, match=f"only over {', '.join(ways)}"):
        resetting.plan_reset(on_a_reader(*ways))


@pytest.mark.parametrize("ways", [(), ("usb", "nfc"), ("smart-card",)])
def test_a_token_that_is_reset_on_a_card_reader(ways: tuple[str, ...]) -> None:
    assert resetting.plan_reset(on_a_reader(*ways)).must_replug
