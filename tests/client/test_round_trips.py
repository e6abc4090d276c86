"""How many CTAP messages each operation costs: a regression shows as another number here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.client.conftest import PIN, Opened
from tests.client.owner.test_persistent import Shelf
from tests.support.fake_link import Person

from fidokit.client.blobs import array, large_blobs
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.owner import bio, config, pin
from fidokit.client.owner.persistent import Reading
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, CredentialId, CredProtect, KeyType, UserId

WORK, HOME = Application("ssh:work"), Application("ssh:home")
Operation = Callable[[Session], object]

# Every row begins with getInfo; "PIN" is getPINRetries, getKeyAgreement, getPinUvAuthToken...
TABLE: dict[str, tuple[int, Operation]] = {
    "info": (1, lambda s: s.info),
    "pin status": (2, pin.pin_status),  # + getPINRetries
    "pin verify": (4, pin.verify_pin),  # + PIN
    "pin change": (  # + getPINRetries, getKeyAgreement, changePIN
        4,
        lambda s: pin.change_pin(s, PinCode.parse(PIN), PinCode.parse(PIN)),
    ),
    "force change": (6, pin.force_pin_change),  # + PIN, setMinPINLength, getInfo read back
    "min length": (6, lambda s: pin.set_min_pin_length(s, 6)),
    "always-uv, no change": (1, lambda s: config.set_always_uv(s, False)),
    "always-uv, change": (6, lambda s: config.set_always_uv(s, True)),
    "select": (2, Session.select),
    "enroll": (2, lambda s: enroll(s, Enrollment(KeyType.ECDSA_SK, HOME))),
    "enroll, verify-required": (  # + PIN, makeCredential
        5,
        lambda s: enroll(s, Enrollment(KeyType.ECDSA_SK, HOME, verify_required=True)),
    ),
    "enroll, resident": (  # + PIN, silent getAssertion, makeCredential
        6,
        lambda s: enroll(s, Enrollment(KeyType.ECDSA_SK, HOME, resident=True)),
    ),
    "enroll, resident, replacing": (
        5,
        lambda s: enroll(s, Enrollment(KeyType.ECDSA_SK, WORK, resident=True, replace=True)),
    ),
    "list": (7, resident.list_credentials),  # + PIN, 1 RP, 2 keys
    "list one application": (
        6,  # + PIN, 2 keys
        lambda s: resident.list_credentials(s, application=WORK),
    ),
    "remaining": (5, resident.remaining),
    "list and remaining": (8, lambda s: (resident.list_credentials(s), resident.remaining(s))),
    "list and delete": (
        7,
        lambda s: resident.delete(s, resident.list_credentials(s, application=WORK)[0]),
    ),
    "list and rename": (
        9,  # + PIN, 2 keys, updateUserInformation, 2 keys read back
        lambda s: resident.rename(s, resident.list_credentials(s, application=WORK)[0], "a", "b"),
    ),
    "list, remembering": (8, lambda s: remembering(s, Shelf())),  # + PIN, getInfo, 1 RP, 2 keys
    "list, remembered": (4, lambda s: remembering(s, SHELF)),  # + 1 RP, 2 keys
    "settings": (1, config.configuration),
    "long touch": (6, config.enable_long_touch_reset),
    "sensor": (2, bio.sensor),
    "fingers": (5, bio.list_fingers),
    "finger": (9, bio.enroll_finger),  # + PIN, 5 samples
    "finger with a name": (11, lambda s: bio.enroll_finger(s, "thumb")),  # + sensor, name
    "finger, renamed and deleted": (
        12,  # + PIN, 5 samples, getInfo anew, name, deletion
        lambda s: bio.delete_finger(s, bio.rename_finger(s, bio.enroll_finger(s), "thumb")),
    ),
    "blob array": (2, array.read_array),
    "blob": (2, lambda s: large_blobs.get(s, OWNER)),
    "set blob": (6, lambda s: large_blobs.put(s, OWNER, b"text")),  # + get, PIN, set
    "list keys, set blob": (
        9,  # + PIN, 1 RP, 2 keys, get, set
        lambda s: (
            large_blobs.authorize_change(s),
            resident.list_credentials(s),
            large_blobs.put(s, OWNER, b""),
        ),
    ),
    "delete blob": (6, lambda s: large_blobs.delete(s, [OWNER])),
    "delete all blobs": (5, large_blobs.delete_all),
}

SHELF: Shelf = Shelf()
OWNER: resident.ResidentCredential = resident.ResidentCredential(
    CredentialId(b"id"), WORK, UserId(b""), "", "", None, CredProtect.UV_OPTIONAL, bytes(32)
)


def remembering(session: Session, shelf: Shelf) -> None:
    session.owner.reading = Reading(shelf, wanted=True)
    resident.list_credentials(session)


@pytest.fixture
def stocked(with_pin: Opened) -> Opened:
    """A token with a PIN and two resident keys of one application."""
    for user in ("a", "b"):
        enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, WORK, user=user, resident=True))
    SHELF.tokens.clear()
    remembering(with_pin(), SHELF)
    large_blobs.put(with_pin(), OWNER, b"text")
    return with_pin


@pytest.mark.parametrize("name", TABLE)
def test_messages(stocked: Opened, name: str) -> None:
    expected, operation = TABLE[name]
    session = stocked()
    operation(session)
    asked = session.round_trips
    assert asked == expected


@pytest.mark.parametrize(("verify", "expected"), [(False, 2), (True, 5)])
def test_signing(with_pin: Opened, verify: bool, expected: int) -> None:
    made = enroll(with_pin(), Enrollment(KeyType.ED25519_SK, HOME, verify_required=verify))
    session = with_pin()
    sign(session, SkPrivate(made.public, made.flags, made.key_handle), b"m")
    assert session.round_trips == expected


def test_setting_the_first_pin(opened: Opened) -> None:
    session = opened()
    pin.set_pin(session, PinCode.parse(PIN))
    assert session.round_trips == 4  # getInfo, getKeyAgreement, setPIN, getInfo read back


def test_a_wrong_pin_costs_three_more(with_pin: Opened) -> None:
    session = with_pin(Person("wrong1", PIN))
    pin.verify_pin(session)
    assert session.round_trips == 7
