"""Each fault that a virtual token can have, against our own client: a clear error, no half file.

`test_hostile` breaks the link at every message; here the token itself breaks, as people who test
their clients with it will have it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.keys.test_hostile import whole_files_alone
from tests.support.desk import Desk
from tests.support.fake_link import HANGING_S, SteeredClock

from fidokit.client.discovery import Opener
from fidokit.client.links.watchdog import Patience
from fidokit.client.session import Session
from fidokit.errors import (
    FidokitError,
    SignatureInvalid,
    StoreFull,
    TokenGone,
    TokenMisbehaved,
    TokenRefused,
    TokenSilent,
    TouchTimedOut,
)
from fidokit.keys import holder, resident_keys
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.tokens import owner as pin
from fidokit.types import CtapStatus, KeyType
from fidokit.virtual import faults
from fidokit.virtual.faults import (
    Fault,
    NonCanonical,
    Oversize,
    PowerCycle,
    Refuse,
    Slow,
    Stall,
    StallInSilence,
    Truncate,
    Unplug,
    WrongCredentialId,
    WrongSignature,
)
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.wrong_answers import NonCanonicalForm

pytestmark = pytest.mark.usefixtures("home")

MAKE, GET = 0x01, 0x02
MISBEHAVED = (TokenMisbehaved, SignatureInvalid)

Expected = type[FidokitError] | tuple[type[FidokitError], ...]


def resident(folder: Path, name: str = "new") -> GenerateRequest:
    return GenerateRequest(
        KeyType.ED25519_SK,
        folder / name,
        application=f"ssh:{name}",
        resident=True,
        verify_required=True,
    )


@pytest.fixture
def used(desk: Desk, folder: Path) -> Desk:
    """A token with a PIN, and a key that is also in a file."""
    with desk.open() as session:
        generate_key(session, resident(folder, "old"))
    return desk


@contextmanager
def opened(desk: Desk, fault: Fault) -> Iterator[Session]:
    """A session whose time passes once the token wastes it."""
    clock, token = SteeredClock(), desk.tokens["ONE"]
    watcher = threading.Thread(target=_let_time_pass, args=[token, fault, clock])
    watcher.start()
    try:
        with Opener(desk.person, patience=clock.patience())(desk.candidate("ONE")) as session:
            yield session
    finally:
        watcher.join()


def _let_time_pass(token: VirtualToken, fault: Fault, clock: SteeredClock) -> None:
    if not isinstance(fault, Stall | StallInSilence | Slow):
        return
    assert token.faults.wait(seconds=HANGING_S)
    clock.advance(clock.patience().total)
    if isinstance(fault, StallInSilence) or (isinstance(fault, Stall) and not fault.obeys_cancel):
        clock.rush()


READ = [NonCanonicalForm.INDEFINITE, NonCanonicalForm.OVERLONG, NonCanonicalForm.UNSORTED]
"""Order and length forms carry no meaning: docs/tolerance.md."""
NEVER_READ = [form for form in NonCanonicalForm if form not in READ]

FAULTS: dict[str, tuple[Fault, Expected]] = {
    "unplugged before": (Unplug(), TokenGone),
    "unplugged after": (Unplug(acted=True), TokenGone),
    "power cycle before": (PowerCycle(), TokenGone),
    "power cycle after": (PowerCycle(acted=True), TokenGone),
    "waits for a touch for ever": (Stall(), TouchTimedOut),
    "works for ever": (Stall(status=faults.PROCESSING), TokenSilent),
    "deaf to cancel": (Stall(obeys_cancel=False), TokenSilent),
    "silent": (StallInSilence(), TokenSilent),
    "slow beyond patience": (Slow(60_000), TokenSilent),
    "some status": (Refuse(CtapStatus.OTHER), TokenRefused),
    "a status that nobody knows": (Refuse(0xC7), TokenRefused),
    "store full": (faults.KeyStoreFull(), StoreFull),
    "nothing at all": (Truncate(0), TokenMisbehaved),
    "half": (Truncate(), TokenMisbehaved),
    "status alone": (Truncate(1), TokenMisbehaved),
    "too long": (Oversize(), TokenMisbehaved),
    "a little too long": (Oversize(1000), TokenMisbehaved),
    **{f"not canonical: {form.name}": (NonCanonical(form), TokenMisbehaved) for form in NEVER_READ},
    "wrong signature": (WrongSignature(), MISBEHAVED),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_making_a_key(used: Desk, folder: Path, fault: Fault, expected: Expected) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    token = used.tokens["ONE"]
    with opened(used, fault) as session:
        token.faults.add(fault, command=MAKE)
        with pytest.raises(expected) as caught:
            generate_key(session, resident(folder))
    assert token.faults.struck == [fault]
    assert caught.value.message
    assert caught.value.hint
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    whole_files_alone(folder)
    token.faults.clear()


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_signing(used: Desk, folder: Path, fault: Fault, expected: Expected) -> None:
    token = used.tokens["ONE"]
    private = holder.open_key_file(folder / "old")
    with opened(used, fault) as session:
        token.faults.add(fault, command=GET)
        with pytest.raises(FidokitError) as caught:
            signatures.sign_message(SessionSigner(session, private), b"message")
    if not isinstance(fault, faults.KeyStoreFull):
        assert isinstance(caught.value, expected)
    assert caught.value.message
    token.faults.clear()


MANAGING = {
    name: fault
    for name, (fault, _) in FAULTS.items()
    if not isinstance(fault, WrongSignature)  # nothing is signed
    and fault != Truncate(1)  # no body is an empty list: docs/tolerance.md
}


@pytest.mark.parametrize("fault", MANAGING.values(), ids=MANAGING.keys())
def test_listing_keys(used: Desk, folder: Path, fault: Fault) -> None:
    token = used.tokens["ONE"]
    with opened(used, fault) as session:
        token.faults.add(fault, command=0x0A)
        with pytest.raises(FidokitError) as caught:
            resident_keys.list_keys(session, folders=[folder])
    assert token.faults.struck == [fault]
    assert caught.value.message
    token.faults.clear()


@pytest.mark.parametrize("command", [0x04, 0x06])
@pytest.mark.parametrize("fault", [Truncate(), Oversize(), Refuse(0x7F), Unplug()])
def test_what_comes_before_every_command(used: Desk, command: int, fault: Fault) -> None:
    used.tokens["ONE"].faults.add(fault, command=command)
    with pytest.raises(FidokitError) as caught, opened(used, fault) as session:
        resident_keys.list_keys(session)
    assert caught.value.message


@pytest.mark.parametrize("form", READ, ids=str)
def test_answers_in_other_forms_are_read(used: Desk, folder: Path, form: NonCanonicalForm) -> None:
    token, fault = used.tokens["ONE"], NonCanonical(form)
    with opened(used, fault) as session:
        token.faults.add(fault, count=1000)
        generate_key(session, resident(folder))
        private = holder.open_key_file(folder / "old")
        signatures.sign_message(SessionSigner(session, private), b"message")
        assert len(resident_keys.list_keys(session, folders=[folder])) == 2
    assert token.faults.struck
    token.faults.clear()


def test_a_list_without_a_body_is_empty(used: Desk, folder: Path) -> None:
    token = used.tokens["ONE"]
    with used.open() as session:
        token.faults.add(Truncate(1), command=0x0A)
        assert not any(row.on_token for row in resident_keys.list_keys(session, folders=[folder]))
    assert token.faults.struck == [Truncate(1)]


def test_a_key_with_another_id_is_not_taken(used: Desk, folder: Path) -> None:
    token = used.tokens["ONE"]
    with used.open() as session:
        token.faults.add(WrongCredentialId(), command=MAKE)
        with pytest.raises(MISBEHAVED):
            generate_key(session, resident(folder))
    assert not (folder / "new").exists()


def test_an_assertion_of_another_key_is_not_taken(used: Desk, folder: Path) -> None:
    token = used.tokens["ONE"]
    with used.open() as session:
        token.faults.add(WrongCredentialId(), command=GET)
        with pytest.raises(TokenMisbehaved):
            signatures.sign_message(
                SessionSigner(session, holder.open_key_file(folder / "old")), b"message"
            )
    assert token.faults.struck == [WrongCredentialId()]


@pytest.mark.parametrize("fault", [Slow(50), Stall(), StallInSilence()])
def test_who_waits_long_enough_is_served(used: Desk, folder: Path, fault: Fault) -> None:
    token = used.tokens["ONE"]
    with used.open() as session:
        token.faults.add(fault, command=GET)
        release = threading.Thread(target=_clear_once_struck, args=[token])
        release.start()
        signatures.sign_message(
            SessionSigner(session, holder.open_key_file(folder / "old")), b"message"
        )
        release.join()


def _clear_once_struck(token: VirtualToken) -> None:
    assert token.faults.wait(seconds=HANGING_S)
    token.faults.clear()


def test_a_busy_token_is_tried_again(used: Desk, folder: Path) -> None:
    token = used.tokens["ONE"]
    token.faults.add(Refuse(CtapStatus.CHANNEL_BUSY), count=2)
    with Opener(used.person, patience=Patience(busy=(0.0, 0.0)))(used.candidate("ONE")) as session:
        assert resident_keys.list_keys(session, folders=[folder])
    assert len(token.faults.struck) == 2


def test_a_lost_answer_does_not_cost_a_pin_try_twice(used: Desk) -> None:
    token = used.tokens["ONE"]
    with used.open() as session:
        token.faults.add(PowerCycle(acted=True), command=0x06, after=2)
        with pytest.raises(TokenGone):
            pin.verify_pin(session)
    with used.open() as session:
        assert pin.pin_status(session).retries == 8


# --- U2F ------------------------------------------------------------------------------------

U2F: dict[str, tuple[Fault, Expected]] = {
    name: FAULTS[name]
    for name in (
        "unplugged before",
        "unplugged after",
        "power cycle after",
        "silent",
        "nothing at all",
        "too long",
        "wrong signature",
    )
}
U2F |= {
    "some word": (Refuse(0x6F00), FidokitError),
    "store full": (faults.KeyStoreFull(), FidokitError),
    "another key": (WrongCredentialId(), MISBEHAVED),
    "half": (Truncate(40), FidokitError),  # its last two bytes are taken for a status word
}


@pytest.fixture
def old_token(bare_desk: Desk) -> VirtualToken:
    """A token that knows U2F alone."""
    return bare_desk.plug("ONE", VirtualToken(profile="u2f"))


@pytest.mark.parametrize(("fault", "expected"), U2F.values(), ids=U2F.keys())
def test_registering_with_u2f(
    bare_desk: Desk, old_token: VirtualToken, folder: Path, fault: Fault, expected: Expected
) -> None:
    with opened(bare_desk, fault) as session:
        old_token.faults.add(fault, u2f=0x01)
        with pytest.raises(expected) as caught:
            generate_key(session, GenerateRequest(KeyType.ECDSA_SK, folder / "new"))
    assert old_token.faults.struck == [fault]
    assert caught.value.message
    assert list(folder.iterdir()) == []
    old_token.faults.clear()
