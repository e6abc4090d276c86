"""What tokens did in earlier sessions that CTAP's text does not say: kept, and told again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.fake_link import Person

from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.client.tolerance import DEPARTURES
from fidokit.keys.resident_keys import list_keys
from fidokit.lab.named_tokens import create_virtual
from fidokit.tokens import departures
from fidokit.tokens.access import list_tokens, open_token, token_info
from fidokit.tokens.owner import set_pin
from fidokit.types import Transport

PIN = "246810"


@pytest.fixture
def kept(home: Path) -> Path:
    """The file; nothing is in it yet."""
    return home / ".local/state/fidokit" / departures.FILE


@contextmanager
def opened(name: str) -> Iterator[Session]:
    with open_token(f"virtual:{name}", Person(PIN)) as session:
        yield session


def list_nothing(name: str, *quirks: str) -> None:
    """Make a token, and list its keys, of which there are none."""
    create_virtual(name, quirks=quirks)
    with opened(name) as session:
        set_pin(session, PinCode.parse(PIN))
    with opened(name) as session:
        assert list_keys(session, only_token=True, search_home=False) == []


def told(name: str) -> list[str]:
    with opened(name) as session:
        return [one.name for one in token_info(session).departures]


def test_what_a_list_showed_is_told_by_info_and_by_doctor(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok")
    assert told("untidy") == ["empty-list"]
    (summary,) = list_tokens()
    assert [one.sentence for one in summary.departures] == [
        "answers success where it has nothing to list; the list is empty"
    ]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_tidy_token_leaves_no_file_and_another_is_not_blamed(kept: Path) -> None:
    list_nothing("tidy")
    assert not kept.exists()
    list_nothing("untidy", "empty-list-is-ok")
    assert told("tidy") == []


def test_what_shows_now_comes_first_and_each_once(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok", "algorithms-untold")
    assert told("untidy") == ["algorithms-untold", "empty-list"]


def test_nothing_is_written_that_is_there_already(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok")
    before = kept.stat().st_ino
    with opened("untidy") as session:
        list_keys(session, only_token=True, search_home=False)
    assert kept.stat().st_ino == before


def test_other_firmware_starts_anew(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok")
    with opened("untidy") as session:
        session.info  # noqa: B018  it tells the model
        session.connection.notes.model += "1"
        assert departures.met(session) == ()


def test_a_token_at_a_socket_and_one_without_name_are_not_kept(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok")
    kept.unlink()
    with opened("untidy") as session:
        list_keys(session, only_token=True, search_home=False)
        session.connection.transport = Transport.SOCKET
        departures.keep(session)
        session.connection.transport = Transport.VIRTUAL
        session.connection.durable = False
        session.connection.notes.model = ""
        departures.keep(session)
        assert not kept.exists()


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"schema": 2, "tokens": {}}', '{"schema": 1, "tokens": {"a": 5}}', "[" * 9000],
)
def test_a_file_that_is_none_of_ours_says_nothing_and_is_replaced(kept: Path, content: str) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text(content)
    list_nothing("untidy", "empty-list-is-ok")
    assert told("untidy") == ["empty-list"]


def test_names_of_a_later_version_are_passed_over(kept: Path) -> None:
    list_nothing("untidy", "empty-list-is-ok")
    members = json.loads(kept.read_text())
    (token,) = members["tokens"]
    members["tokens"][token] += ["from-the-future", 7]
    kept.write_text(json.dumps(members))
    assert told("untidy") == ["empty-list"]


def test_the_file_stays_small(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "MAX_TOKENS", 2)
    for name in ("one", "two", "three"):
        list_nothing(name, "empty-list-is-ok")
    assert [told(name) for name in ("one", "two", "three")] == [[], ["empty-list"], ["empty-list"]]


def test_the_fullest_file_can_be_read() -> None:
    token = json.dumps({"x" * 120: sorted(DEPARTURES)}, indent=2)
    assert len(token) * departures.MAX_TOKENS < departures.MAX_FILE


def test_a_disk_that_refuses_does_not_stop_the_command(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.mkdir(parents=True)
    list_nothing("untidy", "empty-list-is-ok")
    assert told("untidy") == []
