"""authenticatorBioEnrollment (09, preview 40): fingers, enrolled sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from fidokit import cbor
from fidokit.types import CtapStatus
from fidokit.virtual.core.context import Command, FingerEnrollment, Reply, TokenContext
from fidokit.virtual.core.factory import TEMPLATE_ID_LENGTH
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection, Outcome, PresenceKind, Steps, Template
from fidokit.virtual.core.schema import BOOL, BYTES, MAP, TEXT, UINT, Member, Params, Record, check

_FINGERPRINT: Final = 0x01

REQUEST = Record(
    {
        0x01: Member("modality", UINT),
        0x02: Member("subCommand", UINT),
        0x03: Member("params", MAP),
        0x04: Member("pinUvAuthProtocol", UINT),
        0x05: Member("pinUvAuthParam", BYTES),
        0x06: Member("getModality", BOOL),
    }
)

_TIMEOUT = Record({0x03: Member("timeout", UINT)})
_OF_TEMPLATE = Record({0x01: Member("templateId", BYTES, required=True)})
_NEXT = Record({**_OF_TEMPLATE.members, **_TIMEOUT.members})
_NEW_NAME = Record({**_OF_TEMPLATE.members, 0x02: Member("name", TEXT, required=True)})

SAMPLE_STATUS: Final[Mapping[Outcome, int]] = MappingProxyType(
    {
        Outcome.TOUCHED: 0x00,
        Outcome.SAMPLE_GOOD: 0x00,
        Outcome.SAMPLE_HIGH: 0x01,
        Outcome.SAMPLE_LOW: 0x02,
        Outcome.SAMPLE_LEFT: 0x03,
        Outcome.SAMPLE_RIGHT: 0x04,
        Outcome.SAMPLE_FAST: 0x05,
        Outcome.SAMPLE_SLOW: 0x06,
        Outcome.SAMPLE_POOR: 0x07,
        Outcome.SAMPLE_SKEWED: 0x08,
        Outcome.SAMPLE_SHORT: 0x09,
        Outcome.SAMPLE_UNMERGED: 0x0A,
        Outcome.SAMPLE_KNOWN: 0x0B,
        Outcome.TIMED_OUT: 0x0D,
        Outcome.SAMPLE_UNMOVED: 0x0E,
    }
)
"""lastEnrollSampleStatus (BIO-07); 0C, a full database, is an error status since CTAP 2.1."""

_GOOD: Final = 0x00


@dataclass(frozen=True, slots=True)
class _Subcommand:
    """One subcommand.

    Args:
        run: what it does with its checked inner parameters.
        form: of those; None if it has none.
        inner_required: whether the inner map itself must be there.
        authorized: whether it takes a pinUvAuthToken of permission be.
    """

    run: Callable[[TokenContext, Params], Reply | Steps[Reply]]
    form: Record | None = None
    inner_required: bool = True
    authorized: bool = True


def run(token: TokenContext, params: Params) -> Reply | Steps[Reply]:
    """Enroll, name and remove fingers (CTAP 2.3 section 6.7).

    Raises:
        CtapRejection: see BIO-01 to BIO-06.
    """
    if params.get("getModality", False):
        return {0x01: _FINGERPRINT}
    if "modality" not in params or "subCommand" not in params:
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    if params["modality"] != _FINGERPRINT:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    subcommand = _SUBCOMMANDS.get(params["subCommand"])
    if subcommand is None:
        raise CtapRejection(CtapStatus.INVALID_SUBCOMMAND)
    if subcommand.authorized and "pinUvAuthParam" not in params:
        raise CtapRejection(CtapStatus.PUAT_REQUIRED)
    inner = _inner(params, subcommand)
    if subcommand.authorized:
        _authorize(token, params)
    return subcommand.run(token, inner)


def _inner(params: Params, subcommand: _Subcommand) -> Params:
    if subcommand.form is None or ("params" not in params and not subcommand.inner_required):
        return {}
    if "params" not in params:
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    return check(subcommand.form, params["params"])


def _authorize(token: TokenContext, params: Params) -> None:
    message = bytes([params["modality"], params["subCommand"]])
    if "params" in params:
        message += cbor.encode(params["params"])
    token.tokens.demand(params, message, TokenPermission.BIO_ENROLLMENT)


# --- enrolling -----------------------------------------------------------------------------------


def _begin(token: TokenContext, inner: Params) -> Steps[Reply]:
    token.enrollment = None
    if len(token.state.templates) >= token.profile.fingerprint.max_templates:
        raise CtapRejection(CtapStatus.FP_DATABASE_FULL)
    enrollment = FingerEnrollment(
        token.rng.bytes(TEMPLATE_ID_LENGTH), token.profile.fingerprint.samples
    )
    token.enrollment = enrollment
    sampled = yield from _sample(token, enrollment, inner)
    return {0x04: enrollment.template_id, **sampled}


def _go_on(token: TokenContext, inner: Params) -> Steps[Reply]:
    enrollment = token.enrollment
    if enrollment is None or enrollment.template_id != inner["templateId"]:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return (yield from _sample(token, enrollment, inner))


def _sample(
    token: TokenContext, enrollment: FingerEnrollment, inner: Params
) -> Steps[dict[int, int]]:
    """One look at the finger; the last good one makes the template durable."""
    wait_ms = min(inner.get("timeout", presence.WAIT_MS), presence.WAIT_MS)
    outcome = yield from presence.ask(token, PresenceKind.SAMPLE, wait_ms)
    if outcome not in SAMPLE_STATUS:
        raise CtapRejection(CtapStatus.OPERATION_DENIED)
    status = SAMPLE_STATUS[outcome]
    enrollment.remaining -= status == _GOOD
    if enrollment.remaining == 0:
        token.enrollment = None
        token.save(templates=(*token.state.templates, Template(enrollment.template_id)))
    return {0x05: status, 0x06: enrollment.remaining}


def _cancel(token: TokenContext, _inner: Params) -> Reply:
    token.enrollment = None
    return None


# --- what is enrolled ----------------------------------------------------------------------------


def _enumerate(token: TokenContext, _inner: Params) -> Reply:
    if not token.state.templates:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return {0x07: [{0x01: known.id, 0x02: known.name} for known in token.state.templates]}


def _rename(token: TokenContext, inner: Params) -> Reply:
    name: str = inner["name"]
    if len(name.encode()) > token.profile.fingerprint.max_name:
        raise CtapRejection(CtapStatus.INVALID_LENGTH)
    named = _named(token, inner)
    renamed = (t._replace(name=name) if t is named else t for t in token.state.templates)
    token.save(templates=tuple(renamed))
    return None


def _remove(token: TokenContext, inner: Params) -> Reply:
    named = _named(token, inner)
    token.save(templates=tuple(t for t in token.state.templates if t is not named))
    return None


def _named(token: TokenContext, inner: Params) -> Template:
    for known in token.state.templates:
        if known.id == inner["templateId"]:
            return known
    raise CtapRejection(CtapStatus.INVALID_OPTION)


def _sensor_info(token: TokenContext, _inner: Params) -> Reply:
    sensor = token.profile.fingerprint
    return {0x02: sensor.kind, 0x03: sensor.samples, 0x08: sensor.max_name}


_SUBCOMMANDS: Final[Mapping[int, _Subcommand]] = MappingProxyType(
    {
        0x01: _Subcommand(_begin, _TIMEOUT, inner_required=False),
        0x02: _Subcommand(_go_on, _NEXT),
        0x03: _Subcommand(_cancel, authorized=False),
        0x04: _Subcommand(_enumerate),
        0x05: _Subcommand(_rename, _NEW_NAME),
        0x06: _Subcommand(_remove, _OF_TEMPLATE),
        0x07: _Subcommand(_sensor_info, authorized=False),
    }
)

COMMAND = Command(run, REQUEST, lambda profile: profile.offers("bioEnroll"))

PREVIEW_COMMAND = Command(
    run, REQUEST, lambda profile: profile.offers("userVerificationMgmtPreview")
)
"""The command under its number of before CTAP 2.1."""
