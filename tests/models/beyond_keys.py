"""What certified models have beside keys, used by our client; expected by the metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from tests.client.owner.test_persistent import Nobody, Shelf
from tests.models.life import PATIENT, PIN, WORK, Outcome, abilities
from tests.support.fake_link import Person, session_on

from fidokit.client.blobs import large_blobs
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import bio, config, pin
from fidokit.client.owner.persistent import Reading
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError, Unsupported
from fidokit.metadata.model import Model
from fidokit.types import KeyType
from fidokit.virtual.models import profiles
from fidokit.virtual.token import VirtualToken

ENTERPRISE, MIN_PIN, LONG_TOUCH = 1, 3, 4
"""Subcommands of authenticatorConfig."""


def _finger(session: Session) -> None:
    before = bio.list_fingers(session)
    made = bio.enroll_finger(session, "thumb")
    assert bio.list_fingers(session) == [*before, made]
    bio.delete_finger(session, made)
    assert bio.list_fingers(session) == before


def _blob(session: Session) -> None:
    enroll(session, Enrollment(KeyType.ECDSA_SK, WORK, resident=True, large_blob=True))
    (key,) = resident.list_credentials(session, application=WORK)
    large_blobs.put(session, key, b"a certificate")
    assert large_blobs.get(session, key) == b"a certificate"
    assert [stored.credential for stored in large_blobs.list_blobs(session, [key]).blobs] == [key]
    large_blobs.delete(session, [key])
    assert large_blobs.list_blobs(session, [key]).blobs == ()
    resident.delete(session, key)


def _enterprise(session: Session) -> None:
    config.enable_enterprise_attestation(session)
    assert config.configuration(session).enterprise_attestation


def _long_touch(session: Session) -> None:
    config.enable_long_touch_reset(session)
    assert config.configuration(session).long_touch_reset


def _complexity(session: Session) -> None:
    length = session.info.min_pin_length
    pin.set_min_pin_length(session, length, complexity=True)
    assert config.configuration(session).pin_complexity


STEPS: Mapping[str, Callable[[Session], None]] = {
    "finger": _finger,
    "blob": _blob,
    "enterprise attestation": _enterprise,
    "long touch": _long_touch,
    "complexity": _complexity,
}


def live(model: Model) -> dict[str, Outcome]:
    """How each step ended, with a PIN where the model can have one."""
    outcomes: dict[str, Outcome] = {}
    with VirtualToken(model=model.document()) as token:
        if "clientPin" in _options(model):
            pin.set_pin(session_on(token.link(), Person(PIN), PATIENT), PinCode.parse(PIN))
        for name, step in STEPS.items():
            session = session_on(token.link(), Person(PIN), PATIENT)
            outcomes[name] = _ended(lambda: step(session))  # noqa: B023  called at once
        outcomes["remember"] = _ended(lambda: _remember(token))
    return outcomes


def _remember(token: VirtualToken) -> None:
    """List with the PIN once, and then, the token plugged in anew, without."""
    shelf = Shelf()
    for person in (Person(PIN), Nobody()):
        session = session_on(token.link(), person, PATIENT)
        if not session.info.has_persistent_reading:
            raise Unsupported("no right that lasts")
        session.owner.reading = Reading(shelf, wanted=isinstance(person, Person))
        resident.list_credentials(session)
        token.power_cycle()


def _ended(step: Callable[[], None]) -> Outcome:
    try:
        step()
    except FidokitError as error:
        return type(error)
    return None


# --- what the metadata lets us expect ------------------------------------------------------------


def _info(model: Model) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", model.get_info or {})


def _options(model: Model) -> Mapping[str, bool]:
    return cast("Mapping[str, bool]", _info(model).get("options", {}))


def _configures(model: Model, subcommand: int) -> bool:
    """Whether authenticatorConfig has a subcommand; what no getInfo lists is not ruled out."""
    listed = _info(model).get("authenticatorConfigCommands")
    return _options(model).get("authnrCfg", False) and (listed is None or subcommand in listed)


def expected(model: Model) -> dict[str, Outcome]:
    """How each step must end."""
    info, options = _info(model), _options(model)
    can, withheld = abilities(model), profiles.impersonate(model.document()).withheld
    # PIN-22: the permission for it comes with bioEnroll; the preview is from before permissions
    fingers = "bioEnroll" in options or (
        "userVerificationMgmtPreview" in options and not options.get("pinUvAuthToken", False)
    )
    array = options.get("largeBlobs", False) and "largeBlobKey" in info.get("extensions", [])
    able = {
        "finger": fingers and can.pin,
        "blob": array and can.ecdsa and can.resident and can.management,
        "enterprise attestation": "ep" in options
        and "ep" not in withheld  # its certificate chain does not fit into the model's messages
        and (options["ep"] or _configures(model, ENTERPRISE)),
        # GI-10 has it come with the member; twelve models of 2026 show that, and no subcommand 4
        "long touch": "longTouchForReset" in info
        and (_configures(model, LONG_TOUCH) or info["longTouchForReset"]),
        "complexity": "pinComplexityPolicy" in info
        and options.get("setMinPINLength", False)
        and can.pin
        and _configures(model, MIN_PIN),
        "remember": options.get("perCredMgmtRO", False)
        and options.get("credMgmt", False)
        and can.management,
    }
    return {name: None if there else Unsupported for name, there in able.items()}
