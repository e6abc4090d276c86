"""Keys whose application a token cut, types that SSH has not, and failures in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.desk import PIN
from tests.support.fake_link import Person, SteeredClock, session_on

from fidokit import cbor
from fidokit.client.credentials import resident
from fidokit.client.owner import pin
from fidokit.client.ports import Link, PinCode
from fidokit.client.session import Session
from fidokit.errors import NotTaken, NotTried, TokenRefused, Unsupported
from fidokit.inventory.key_list import label, resolve
from fidokit.keys import resident_keys
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.types import KeyType
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

LONG = "ssh:a-name-that-is-longer-than-thirty-two-bytes"
Reply = Callable[[bytes, bytes], bytes]
"""From a request and the true answer to what is answered."""


class Changed:
    """A link whose answers a test changes."""

    def __init__(self, link: Link, change: Reply) -> None:
        self.capabilities = link.capabilities
        self.msg, self.wink, self.close = link.msg, link.wink, link.close
        self._link, self._change = link, change

    def cbor(
        self, request: bytes, keepalive: Callable[[int], None], canceled: Callable[[], bool]
    ) -> bytes:
        return self._change(request, self._link.cbor(request, keepalive, canceled))


def cutting(size: int, mark: str = "") -> Reply:
    """A token that returns at most so many bytes of an RP id."""

    def change(request: bytes, reply: bytes) -> bytes:
        if request[0] != 0x0A or reply[:1] != b"\0" or len(reply) == 1:
            return reply
        members = cbor.decode(reply[1:])
        assert isinstance(members, dict)
        rp = members.get(3)
        if isinstance(rp, dict) and isinstance(rp["id"], str) and len(rp["id"]) > size:
            rp["id"] = rp["id"][: size - len(mark.encode())] + mark
        return b"\0" + cbor.encode(members)

    return change


@pytest.fixture
def token(folder: Path) -> VirtualToken:
    with session_on((made := VirtualToken(presence="auto")).link()) as session:
        pin.set_pin(session, PinCode.parse(PIN))
    return made


@contextmanager
def opened(token: VirtualToken, change: Reply = lambda _request, reply: reply) -> Iterator[Session]:
    patience = SteeredClock().patience(sleep=lambda _seconds: None)
    with session_on(Changed(token.link(), change), Person(PIN), patience) as session:
        yield session


def make(token: VirtualToken, folder: Path, application: str, user: str = "") -> Path:
    path = folder / f"{application.replace(':', '_')}{user}"
    request = GenerateRequest(
        KeyType.ED25519_SK,
        path,
        application=application,
        user=user,
        resident=True,
        allow_any_application=True,
    )
    with opened(token) as session:
        generate_key(session, request)
    return path


CUTS = [
    pytest.param(32, "…", id="32, marked"),
    pytest.param(32, "", id="32"),
    pytest.param(45, "", id="45"),
]


@pytest.mark.parametrize(("size", "mark"), CUTS)
def test_a_cut_application_is_found_whole(
    token: VirtualToken, folder: Path, size: int, mark: str
) -> None:
    private = make(token, folder, LONG).read_bytes()
    with opened(token, cutting(size, mark)) as session:
        (row,) = resident_keys.list_keys(session, only_token=True)
        assert row.application_cut
        assert row.key_type is None
        assert "application cut by the token" in label(row)
        assert session.departures == ("rp-id-cut",)
        (one,) = resident_keys.list_keys(session, only_token=True, application=LONG)
        assert (one.application, one.application_cut) == (LONG, False)
        (saved,) = resident_keys.download_keys(session, folder, application=LONG)
        assert saved.error is None
        assert saved.path.read_bytes()[:40] == private[:40]
        (refused,) = resident_keys.download_keys(session, folder)
        assert isinstance(refused.error, Unsupported)
        assert "--application" in refused.error.hint


def test_a_cut_application_is_known_from_a_file(token: VirtualToken, folder: Path) -> None:
    make(token, folder, LONG)
    with opened(token, cutting(32)) as session:
        rows = resident_keys.list_keys(session, folders=[folder], only_token=True)
    assert [(row.application, row.key_type) for row in rows] == [(LONG, KeyType.ED25519_SK)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_key_with_a_cut_application_is_deleted(
    token: VirtualToken, folder: Path, whole: bool
) -> None:
    make(token, folder, LONG)
    with opened(token, cutting(32, "…")) as session:
        rows = resident_keys.list_keys(
            session, only_token=True, application=LONG if whole else None
        )
        assert rows[0].credential_id is not None
        row = resolve(LONG if whole else rows[0].credential_id.hex()[:16], rows)
        assert [done.error for done in resident_keys.delete_keys(session, [row])] == [None]
        assert resident_keys.list_keys(session, only_token=True) == []


def test_a_type_that_ssh_does_not_have_is_named(token: VirtualToken, folder: Path) -> None:
    with opened(token) as session:
        request = {
            1: bytes(32),
            2: {"id": "ssh:es384"},
            3: {"id": b"x", "name": "x"},
            4: [{"alg": -35, "type": "public-key"}],
            7: {"rk": True},
        }
        from fidokit.client.owner.owner import Use
        from fidokit.client.owner.proofs import Permission, Wish
        from fidokit.types import CtapCommand

        wish = Wish(Permission.MAKE_CREDENTIAL, "ssh:es384", "making it")
        session.owner.perform(
            Use(CtapCommand.MAKE_CREDENTIAL, dict(request), bytes(32), wish), at_once=True
        )
        (row,) = resident_keys.list_keys(session, only_token=True)
        assert (row.key_type, row.other_type) == (None, "ES384")
        assert "website" not in label(row)
        (refused,) = resident_keys.download_keys(session, folder)
    assert refused.error is not None
    assert "of type ES384, which SSH does not have" in refused.error.message


# --- several keys ------------------------------------------------------------------------------


def refusing(*positions: int, status: int = 0x7F) -> Reply:
    """A token that refuses these deletions, counted from 0; a refused one has not happened."""
    seen: list[bytes] = []

    def change(request: bytes, reply: bytes) -> bytes:
        if request[0] == 0x0A and cbor.decode(request[1:])[1] == 6:  # type: ignore[index]
            seen.append(request)
            if len(seen) - 1 in positions:
                return bytes([status])
        return reply

    return change


def names(results: list[resident_keys.DeleteResult]) -> dict[str, str]:
    return {
        done.row.application: type(done.error).__name__ if done.error else "gone"
        for done in results
    }


def test_what_cannot_be_deleted_does_not_stop_the_others(token: VirtualToken, folder: Path) -> None:
    for name in "abc":
        make(token, folder, f"ssh:{name}")
    with opened(token, refusing(1)) as session:
        rows = resident_keys.list_keys(session, only_token=True)
        done = list(resident_keys.delete_keys(session, rows))
    assert names(done) == {"ssh:a": "gone", "ssh:b": "TokenRefused", "ssh:c": "gone"}


def test_after_the_token_went_nothing_more_is_tried(token: VirtualToken, folder: Path) -> None:
    for name in "abc":
        make(token, folder, f"ssh:{name}")

    def unplugged(request: bytes, reply: bytes) -> bytes:
        if request[0] == 0x0A and cbor.decode(request[1:])[1] == 6 and seen:  # type: ignore[index]
            raise OSError(19, "No such device")
        seen.extend(request[:1] if request[0] == 0x0A and request[2:4] == b"\x01\x06" else b"")
        return reply

    seen: list[int] = []
    with opened(token, unplugged) as session:
        rows = resident_keys.list_keys(session, only_token=True)
        done = list(resident_keys.delete_keys(session, rows))
    assert names(done) == {"ssh:a": "gone", "ssh:b": "TokenGone", "ssh:c": "NotTried"}
    assert isinstance(done[-1].error, NotTried)


def test_a_proof_that_dies_at_each_deletion(token: VirtualToken, folder: Path) -> None:
    """FIDO2Applet: three keys are deleted, and the PIN is asked for again each time."""
    for name in "abc":
        make(token, folder, f"ssh:{name}")
    dead: list[bool] = []

    class Dying(Changed):
        def cbor(
            self, request: bytes, keepalive: Callable[[int], None], canceled: Callable[[], bool]
        ) -> bytes:
            if request[0] == 6:
                dead.clear()
            if request[0] == 0x0A and dead:
                return b"\x33"
            reply = self._link.cbor(request, keepalive, canceled)
            if request[0] == 0x0A and cbor.decode(request[1:])[1] == 6:  # type: ignore[index]
                dead.append(True)
            return reply

    person = Person(PIN)
    with session_on(Dying(token.link(), lambda _request, reply: reply), person) as session:
        rows = resident_keys.list_keys(session, only_token=True)
        done = list(resident_keys.delete_keys(session, rows))
        assert names(done) == {"ssh:a": "gone", "ssh:b": "gone", "ssh:c": "gone"}
        assert session.departures == ("proof-died",)
    assert len(person.asked) == 3


def test_one_application_that_cannot_be_listed(token: VirtualToken, folder: Path) -> None:
    for name in "abc":
        make(token, folder, f"ssh:{name}")
    seen: list[bytes] = []

    def second_fails(request: bytes, reply: bytes) -> bytes:
        if request[0] == 0x0A and cbor.decode(request[1:])[1] == 4:  # type: ignore[index]
            seen.append(request)
            return b"\x7f" if len(seen) == 2 else reply
        return reply

    failed: list[resident.RpFailure] = []
    with opened(token, second_fails) as session:
        rows = resident_keys.list_keys(session, only_token=True, failed=failed)
        assert len(rows) == 2
        assert len(failed) == 1
        assert {row.application for row in rows} | {failed[0].application} == {
            "ssh:a",
            "ssh:b",
            "ssh:c",
        }
        seen.clear()
        with pytest.raises(TokenRefused):
            resident_keys.list_keys(session, only_token=True)


# --- names -------------------------------------------------------------------------------------


def kept(change: Callable[[str], str | None]) -> Reply:
    """A token that stores this of each displayName."""

    def reply_with(request: bytes, reply: bytes) -> bytes:
        if request[0] != 0x0A or reply[:1] != b"\0" or len(reply) == 1:
            return reply
        members = cbor.decode(reply[1:])
        assert isinstance(members, dict)
        user = members.get(6)
        if isinstance(user, dict) and isinstance(user.get("displayName"), str):
            name = change(str(user.pop("displayName")))
            user |= {} if name is None else {"displayName": name}
        return b"\0" + cbor.encode(members)

    return reply_with


@pytest.mark.parametrize(
    ("change", "found"), [(lambda name: name[:8], "a new co"), (lambda _name: None, "")]
)
def test_what_the_token_kept_of_a_new_name_is_told(
    token: VirtualToken, folder: Path, change: Callable[[str], str | None], found: str
) -> None:
    make(token, folder, "ssh:work")
    with opened(token, kept(change)) as session:
        (row,) = resident_keys.list_keys(session, only_token=True)
        kept_name = resident_keys.rename_key(
            session, row, comment="a new comment", user_name="another"
        )
        assert kept_name == found
        assert "names-cut" in session.departures


def test_a_new_name_that_did_not_take(token: VirtualToken, folder: Path) -> None:
    make(token, folder, "ssh:work")

    class Deaf(Changed):
        def cbor(
            self, request: bytes, keepalive: Callable[[int], None], canceled: Callable[[], bool]
        ) -> bytes:
            if request[0] == 0x0A and cbor.decode(request[1:])[1] == 7:  # type: ignore[index]
                return b"\0"
            return self._link.cbor(request, keepalive, canceled)

    link = Deaf(token.link(), lambda _request, reply: reply)
    with session_on(link, Person(PIN)) as session:
        (row,) = resident_keys.list_keys(session, only_token=True)
        with pytest.raises(NotTaken, match="new name"):
            resident_keys.rename_key(session, row, comment="another")
