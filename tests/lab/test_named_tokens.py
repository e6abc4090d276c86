"""Virtual tokens through the face, and through `--token virtual:NAME`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Person

from fidokit.client.ports import Quiet
from fidokit.errors import (
    FidokitError,
    TokenBusy,
    TokenNotFound,
    TouchRefused,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.lab import named_tokens
from fidokit.tokens import access
from fidokit.tokens import owner as pin
from fidokit.types import Transport

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_create_list_delete() -> None:
    assert named_tokens.list_virtual() == []
    made = named_tokens.create_virtual("one")
    assert made.selector == "virtual:one"
    assert made.path.exists()
    assert (made.profile, made.presence, made.problem) == ("ctap2.3", "auto", "")
    assert made.created is not None
    named_tokens.create_virtual("another", presence="deny")
    assert [found.name for found in named_tokens.list_virtual()] == ["another", "one"]
    named_tokens.delete_virtual("one")
    assert [found.name for found in named_tokens.list_virtual()] == ["another"]
    assert not made.path.exists()


def test_nothing_is_overwritten() -> None:
    named_tokens.create_virtual("one")
    with pytest.raises(WouldOverwrite):
        named_tokens.create_virtual("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0", "x" * 65, ".hidden"])
def test_bad_names(name: str) -> None:
    with pytest.raises(UsageError):
        named_tokens.create_virtual(name)


def test_what_is_not_there() -> None:
    with pytest.raises(TokenNotFound):
        named_tokens.delete_virtual("none")
    with pytest.raises(TokenNotFound), access.open_token("virtual:none"):
        pytest.fail("there is none")


def test_a_broken_one_is_listed_with_its_problem() -> None:
    made = named_tokens.create_virtual("one")
    made.path.write_bytes(b"rubbish")
    (found,) = named_tokens.list_virtual()
    assert found.problem
    assert (found.serial, found.created) == ("", None)
    with pytest.raises(FidokitError), access.open_token("virtual:one"):
        pytest.fail("it cannot be opened")
    named_tokens.delete_virtual("one")
    assert named_tokens.list_virtual() == []


def test_opening_by_name_keeps_what_is_done() -> None:
    named_tokens.create_virtual("one")
    person = Person()
    with access.open_token("virtual:one", person) as session:
        assert session.durable
        pin.set_pin(session)
    with access.open_token("virtual:one", person) as session:
        pin.verify_pin(session)


def test_one_truth_for_all_who_open_it() -> None:
    named_tokens.create_virtual("one")
    person = Person()
    with access.open_token("virtual:one", person) as first:
        with access.open_token("virtual:one", person) as second:
            pin.set_pin(first)
            pin.verify_pin(second)
        (found,) = access.list_tokens(backends=[access.VirtualBackend()])
        assert found.info is not None
        assert found.info.pin_set
        with pytest.raises(TokenBusy):
            named_tokens.delete_virtual("one")
        pin.verify_pin(first)
    named_tokens.delete_virtual("one")


def test_serving_keeps_it_powered_until_the_end() -> None:
    named_tokens.create_virtual("one", presence="deny")
    with named_tokens.serve_virtual("one", presence="auto") as token:
        with pytest.raises(TokenBusy), named_tokens.serve_virtual("one"):
            pytest.fail("it is served already")
        with access.open_token("virtual:one") as session:
            session.wink()
        assert token.winks == 1
    assert not token.plugged_in


class Toucher(Quiet):
    """Somebody at a terminal, who touches whatever asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask_gesture(self, token: str, *, verify: bool) -> None:
        self.asked.append(token)

    def gesture(self, seconds: float) -> bool | None:
        return True

    def gesture_over(self) -> None:
        pass


@pytest.mark.parametrize(("kept", "given"), [("prompt", None), ("deny", "prompt")])
def test_the_person_at_the_serving_terminal_is_asked(kept: str, given: str | None) -> None:
    named_tokens.create_virtual("one", presence=kept)
    toucher = Toucher()
    with (
        named_tokens.serve_virtual("one", presence=given, interaction=toucher),
        access.open_token("virtual:one") as session,
    ):
        session.select()
    assert toucher.asked == ["virtual:one"]


def test_where_nobody_can_be_asked_the_client_is_told() -> None:
    named_tokens.create_virtual("one", presence="prompt")
    with (
        named_tokens.serve_virtual("one"),
        access.open_token("virtual:one") as session,
        pytest.raises(TouchRefused) as caught,
    ):
        session.select()
    assert caught.value.hint


def test_what_cannot_be_shared_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.unix_socket._LONGEST", 0)
    monkeypatch.setattr("fidokit.unix_socket._PROC", Path("/none"))
    named_tokens.create_virtual("one")
    with pytest.raises(Unsupported, match="too long"), named_tokens.serve_virtual("one"):
        pytest.fail("nobody can reach it")
    with access.open_token("virtual:one"):
        pass


def test_a_listed_one() -> None:
    made = named_tokens.create_virtual("one")
    (found,) = access.list_tokens(backends=[access.VirtualBackend()])
    assert (found.selector, found.durable, found.serial) == ("virtual:one", True, made.serial)
    assert found.transport is Transport.VIRTUAL


def test_an_unreadable_state_folder_is_told(state: Path) -> None:
    backend = access.VirtualBackend()
    assert backend.problem() is None
    (state / "fidokit").mkdir(parents=True)
    (state / "fidokit/virtual").write_bytes(b"")
    assert list(backend.candidates()) == []


@pytest.mark.parametrize(
    ("selector", "kinds"),
    [
        (None, ["usb", "pcsc", "virtual"]),
        ("aaguid:00", ["usb", "pcsc", "virtual"]),
        ("virtual:x", ["virtual"]),
        ("usb:1", ["usb"]),
        ("pcsc:Reader 0", ["pcsc"]),
    ],
)
def test_only_the_backends_that_can_have_it_are_asked(
    selector: str | None, kinds: list[str]
) -> None:
    assert [backend.transport for backend in access.backends_for(selector)] == kinds
