"""What lasts between commands: the files, and what they are good for."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.desk import PIN, Desk

from fidokit.client.owner.persistent import KeptToken
from fidokit.client.ports import PinCode
from fidokit.errors import (
    MalformedFile,
    NoPermission,
    PinRequired,
    TokenNotFound,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.keys.resident_keys import list_keys
from fidokit.tokens.access import list_tokens, token_info
from fidokit.tokens.owner import change_pin, set_pin
from fidokit.tokens.remembered import StateKeeper, _decode, forget_token, forget_tokens, keeper
from fidokit.tokens.reset import plan_reset, reset_token
from fidokit.types import Transport
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

KEPT = KeptToken(2, bytes(range(32)), bytes(16), "usb:1", "Token (usb:1)")


@pytest.fixture
def remembered(desk: Desk) -> Desk:
    """A desk whose token is remembered, and a person who has forgotten the PIN."""
    with desk.open() as session:
        list_keys(session, remember=True)
    desk.person.asked.clear()
    desk.person.pin = None
    return desk


def the_file(home: Path) -> Path:
    (path,) = (home / ".local/state/fidokit/readers").iterdir()
    return path


def test_the_next_listing_needs_no_pin(remembered: Desk) -> None:
    with remembered.open() as session:
        assert list_keys(session) == []
    remembered.tokens["ONE"].power_cycle()
    with remembered.open() as session:
        assert list_keys(session) == []


def test_nothing_is_kept_unasked(desk: Desk, home: Path) -> None:
    with desk.open() as session:
        list_keys(session)
        assert len(desk.person.asked) == 1
    assert not (home / ".local/state/fidokit").exists()


def test_it_can_be_left_out(remembered: Desk) -> None:
    with remembered.open() as session, pytest.raises(PinRequired):
        list_keys(session, remember=False)


def test_the_file_is_the_user_s_alone(remembered: Desk, home: Path) -> None:
    path = the_file(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(json.loads(path.read_text())) == {
        "schema", "protocol", "token", "identifier", "selector", "name"
    }  # fmt: skip


def test_the_configuration_may_agree_once_and_for_all(desk: Desk, home: Path) -> None:
    config = home / ".config" / "fidokit" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("remember = true\n")
    for _ in range(2):
        with desk.open() as session:
            list_keys(session)
    assert len(desk.person.asked) == 1
    config.write_text("remember = 1\n")
    with desk.open() as session, pytest.raises(MalformedFile, match="true nor false"):
        list_keys(session)


def test_a_changed_pin_asks_once_more(remembered: Desk, home: Path) -> None:
    with remembered.open() as session:
        change_pin(session, PinCode.parse(PIN), PinCode.parse("8888"))
    old = the_file(home).read_text()
    remembered.person.pin = "8888"
    for _ in range(2):
        with remembered.open() as session:
            list_keys(session)
    assert len(remembered.person.asked) == 1
    assert the_file(home).read_text() != old


def test_forgetting(remembered: Desk, home: Path) -> None:
    with remembered.open() as session:
        assert forget_token(session) is True
        assert forget_token(session) is False
        with pytest.raises(PinRequired):
            list_keys(session)
    assert list((home / ".local/state/fidokit/readers").iterdir()) == []


def test_forgetting_all(remembered: Desk, home: Path) -> None:
    (the_file(home).parent / "broken.json").write_text("{")
    assert forget_tokens() == 2
    assert forget_tokens() == 0


def test_a_reset_forgets(remembered: Desk, home: Path) -> None:
    class Guide:
        def unplug(self, name: str) -> None:
            remembered.plugged.clear()

        def insert(self, name: str) -> None:
            remembered.tokens["ONE"].power_cycle()
            remembered.plugged.add("ONE")

        def inserted(self, name: str) -> None:
            """Here it is."""

        def once_more(self, name: str) -> None:
            raise AssertionError(name)

    path = the_file(home)
    with remembered.open() as session:
        plan = plan_reset(session)
    reset_token(
        plan, typed=plan.confirm, guide=Guide(), backends=[remembered], sleep=lambda _: None
    )
    assert not path.exists()


def test_tokens_without_it(bare_desk: Desk) -> None:
    desk = Desk()
    desk.plug("OLD", VirtualToken(profile="ctap2.1"))
    with desk.open() as session:
        set_pin(session, PinCode.parse(PIN))
        with pytest.raises(Unsupported) as caught:
            list_keys(session, remember=True)
        assert "--remember" in caught.value.hint
        assert list_keys(session) == []
    desk.close()


# --- recognizing ---------------------------------------------------------------------------------


def test_a_remembered_token_has_a_durable_name(remembered: Desk) -> None:
    (seen,) = list_tokens(backends=[remembered])
    assert seen.identifier is not None
    assert seen.selector == "usb:ONE"  # it has a better one
    with remembered.open(seen.identifier) as session:
        assert token_info(session).identifier == seen.identifier
    with pytest.raises(TokenNotFound) as caught, remembered.open("id:0123456789abcdef"):
        pass
    assert "--remember" in caught.value.hint


@pytest.mark.parametrize("selector", ["id:", "id:xyz", "id:0123", "id:0123456789abcdeg"])
def test_selectors_that_name_nothing(remembered: Desk, selector: str) -> None:
    with pytest.raises(UsageError), remembered.open(selector):
        pass


def test_among_several(remembered: Desk) -> None:
    (seen,) = list_tokens(backends=[remembered])
    remembered.plug("TWO")
    with remembered.open(seen.identifier) as session:
        assert session.selector == "usb:ONE"


def test_a_token_without_a_lasting_selector_gets_one(
    remembered: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    plain = remembered.candidate("ONE")
    passing = replace(plain, selector="usb:/dev/hidraw3", durable=False, transport=Transport.USB)
    monkeypatch.setattr(remembered, "candidates", lambda: [passing])
    (seen,) = list_tokens(backends=[remembered])
    assert seen.durable
    assert seen.selector == seen.identifier


# --- files ---------------------------------------------------------------------------------------


def test_keep_and_read(tmp_path: Path) -> None:
    shelf = StateKeeper(tmp_path / "a" / "b")
    assert shelf.is_empty()
    assert list(shelf.kept()) == []
    shelf.forget(KEPT)
    shelf.keep(KEPT)
    assert list(shelf.kept()) == [KEPT]
    newer = KeptToken(1, bytes(16), KEPT.identifier, "usb:2")
    shelf.keep(newer)
    assert list(shelf.kept()) == [newer]
    other = KeptToken(2, bytes(32), None, "usb:1")
    shelf.keep(other)
    assert set(shelf.kept()) == {newer, other}
    shelf.forget(newer)
    assert list(shelf.kept()) == [other]


Change = Callable[[dict[str, object]], object]
CHANGES: list[Change] = [
    lambda m: {**m, "schema": 2},
    lambda m: {**m, "protocol": 3},
    lambda m: {**m, "protocol": True},
    lambda m: {**m, "token": "00"},
    lambda m: {**m, "token": "zz" * 32},
    lambda m: {**m, "token": None},
    lambda m: {**m, "identifier": "00"},
    lambda m: {**m, "identifier": 7},
    lambda m: {k: v for k, v in m.items() if k != "name"},
    lambda m: [m],
]


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_are_none_of_ours(tmp_path: Path, change: Change) -> None:
    shelf = StateKeeper(tmp_path / "readers")
    shelf.keep(KEPT)
    (path,) = shelf.folder.iterdir()
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert list(shelf.kept()) == []
    assert not shelf.is_empty()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 4000, b" " * 5000, b"null"])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert list(StateKeeper(tmp_path).kept()) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_anything_at_all(members: object) -> None:
    assert _decode(members) is None


def test_links_and_folders_are_left_alone(tmp_path: Path) -> None:
    shelf = StateKeeper(tmp_path / "readers")
    shelf.keep(KEPT)
    (path,) = shelf.folder.iterdir()
    path.rename(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    with pytest.raises(WouldOverwrite):
        shelf.keep(KEPT)
    (shelf.folder / "folder.json").mkdir()
    assert list(shelf.kept()) == [KEPT]


def test_a_disk_that_refuses(desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fidokit.files import atomic

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic, "_write_synced", refuse)
    with desk.open() as session, pytest.raises(NoPermission):
        list_keys(session, remember=True)
    assert keeper().is_empty()
