"""Virtual tokens through the face, and through `--token virtual:NAME`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.desk import Person

from fidokit.api import backends, pins, tokens, virtual
from fidokit.errors import (
    FidokitError,
    TokenBusy,
    TokenNotFound,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.types import Transport


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_create_list_delete() -> None:
    assert virtual.list_virtual() == []
    made = virtual.create_virtual("one")
    assert made.selector == "virtual:one"
    assert made.path.exists()
    assert (made.profile, made.presence, made.problem) == ("ctap2.3", "auto", "")
    assert made.created is not None
    virtual.create_virtual("another", presence="deny")
    assert [found.name for found in virtual.list_virtual()] == ["another", "one"]
    virtual.delete_virtual("one")
    assert [found.name for found in virtual.list_virtual()] == ["another"]
    assert not made.path.exists()


def test_nothing_is_overwritten() -> None:
    virtual.create_virtual("one")
    with pytest.raises(WouldOverwrite):
        virtual.create_virtual("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0", "x" * 65, ".hidden"])
def test_bad_names(name: str) -> None:
    with pytest.raises(UsageError):
        virtual.create_virtual(name)


def test_what_is_not_there() -> None:
    with pytest.raises(TokenNotFound):
        virtual.delete_virtual("none")
    with pytest.raises(TokenNotFound), tokens.open_token("virtual:none"):
        pytest.fail("there is none")


def test_a_broken_one_is_listed_with_its_problem() -> None:
    made = virtual.create_virtual("one")
    made.path.write_bytes(b"rubbish")
    (found,) = virtual.list_virtual()
    assert found.problem
    assert (found.serial, found.created) == ("", None)
    with pytest.raises(FidokitError), tokens.open_token("virtual:one"):
        pytest.fail("it cannot be opened")
    virtual.delete_virtual("one")
    assert virtual.list_virtual() == []


def test_opening_by_name_keeps_what_is_done() -> None:
    virtual.create_virtual("one")
    person = Person()
    with tokens.open_token("virtual:one", person) as session:
        assert session.durable
        pins.set_pin(session)
    with tokens.open_token("virtual:one", person) as session:
        pins.verify_pin(session)


def test_one_truth_for_all_who_open_it() -> None:
    virtual.create_virtual("one")
    person = Person()
    with tokens.open_token("virtual:one", person) as first:
        with tokens.open_token("virtual:one", person) as second:
            pins.set_pin(first)
            pins.verify_pin(second)
        (found,) = tokens.list_tokens(backends=[backends.VirtualBackend()])
        assert found.info is not None
        assert found.info.pin_set
        with pytest.raises(TokenBusy):
            virtual.delete_virtual("one")
        pins.verify_pin(first)
    virtual.delete_virtual("one")


def test_serving_keeps_it_powered_until_the_end() -> None:
    virtual.create_virtual("one", presence="deny")
    with virtual.serve_virtual("one", presence="auto") as token:
        with pytest.raises(TokenBusy), virtual.serve_virtual("one"):
            pytest.fail("it is served already")
        with tokens.open_token("virtual:one") as session:
            tokens.wink(session)
        assert token.winks == 1
    assert not token.plugged_in


def test_what_cannot_be_shared_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.virtual.transports.unix_address._LONGEST", 0)
    monkeypatch.setattr("fidokit.virtual.transports.unix_address._PROC", Path("/none"))
    virtual.create_virtual("one")
    with pytest.raises(Unsupported, match="too long"), virtual.serve_virtual("one"):
        pytest.fail("nobody can reach it")
    with tokens.open_token("virtual:one"):
        pass


def test_a_listed_one() -> None:
    made = virtual.create_virtual("one")
    (found,) = tokens.list_tokens(backends=[backends.VirtualBackend()])
    assert (found.selector, found.durable, found.serial) == ("virtual:one", True, made.serial)
    assert found.transport is Transport.VIRTUAL


def test_an_unreadable_state_folder_is_told(state: Path) -> None:
    backend = backends.VirtualBackend()
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
    assert [backend.transport for backend in backends.backends_for(selector)] == kinds
