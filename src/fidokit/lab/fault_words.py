"""Faults, commands and samples of a finger by the names that testers type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from fidokit.errors import UsageError
from fidokit.types import CtapCommand
from fidokit.virtual import faults
from fidokit.virtual.faults import Fault
from fidokit.virtual.presence import SAMPLES
from fidokit.virtual.wrong_answers import NonCanonicalForm

__all__ = ["COMMANDS", "FAULTS", "SAMPLES", "command_code", "fault"]

FAULTS: Final[Mapping[str, type[Fault]]] = {
    "key-store-full": faults.KeyStoreFull,
    "non-canonical": faults.NonCanonical,
    "oversize": faults.Oversize,
    "power-cycle": faults.PowerCycle,
    "refuse": faults.Refuse,
    "slow": faults.Slow,
    "stall": faults.Stall,
    "stall-in-silence": faults.StallInSilence,
    "truncate": faults.Truncate,
    "unplug": faults.Unplug,
    "wrong-credential-id": faults.WrongCredentialId,
    "wrong-signature": faults.WrongSignature,
}

COMMANDS: Final[Mapping[str, int]] = {
    "makeCredential": CtapCommand.MAKE_CREDENTIAL,
    "getAssertion": CtapCommand.GET_ASSERTION,
    "getInfo": CtapCommand.GET_INFO,
    "clientPIN": CtapCommand.CLIENT_PIN,
    "reset": CtapCommand.RESET,
    "getNextAssertion": CtapCommand.GET_NEXT_ASSERTION,
    "bioEnrollment": CtapCommand.BIO_ENROLLMENT,
    "credentialManagement": CtapCommand.CREDENTIAL_MANAGEMENT,
    "selection": CtapCommand.SELECTION,
    "largeBlobs": CtapCommand.LARGE_BLOBS,
    "config": CtapCommand.CONFIG,
}
"""CTAP2 commands by the names of the specification, without their prefix authenticator."""

_MOST: Final = 1_000_000_000


def fault(name: str, given: Mapping[str, object]) -> Fault:
    """The fault of a name.

    Args:
        name: of `FAULTS`.
        given: its parameters, by name.

    Raises:
        UsageError: there is none of this name, or a parameter that is not valid.
    """
    kind = FAULTS.get(name)
    if kind is None:
        raise UsageError(f"there is no fault {name!r}", hint=f"choose among {', '.join(FAULTS)}")
    known = {field.name: str(field.type) for field in fields(kind)}
    values: dict[str, Any] = {}
    for parameter, value in given.items():
        if parameter not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UsageError(f"the fault {name} has no parameter {parameter!r}", hint=takes)
        values[parameter] = _value(name, parameter, known[parameter], value)
    try:
        return kind(**values)
    except TypeError:
        missing = ", ".join(known)
        raise UsageError(f"the fault {name} needs its parameters: {missing}") from None


def _value(name: str, parameter: str, kind: str, value: object) -> object:
    match kind:
        case "bool" if isinstance(value, bool):
            return value
        case "int" | "int | None" if type(value) is int and 0 <= value <= _MOST:
            return value
        case "NonCanonicalForm" if isinstance(value, str) and value.upper() in _FORMS:
            return NonCanonicalForm[value.upper()]
    forms = ", ".join(_FORMS).lower()
    wanted = {"bool": "true or false", "NonCanonicalForm": f"one of {forms}"}.get(kind, "a number")
    raise UsageError(f"{parameter} of the fault {name} is {wanted}")


_FORMS: Final = tuple(NonCanonicalForm.__members__)


def command_code(given: object) -> int:
    """The byte of a CTAP2 command, by number or name.

    Raises:
        UsageError: it is neither.
    """
    if type(given) is int and 0 <= given <= 0xFF:
        return given
    if isinstance(given, str):
        if given in COMMANDS:
            return COMMANDS[given]
        try:
            return command_code(int(given, 0))
        except ValueError:
            pass
    names = ", ".join(COMMANDS)
    raise UsageError(
        f"{given!r} is not a CTAP2 command", hint=f"give its byte (0x01), or one of {names}"
    )
