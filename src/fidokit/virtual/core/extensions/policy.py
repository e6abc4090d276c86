"""Extensions that tell a relying party of the token and its person: minPinLength,
pinComplexityPolicy and uvm (CTAP 2.3 sections 12.4 and 12.5, WebAuthn Level 2 section 10.3;
MPL-*, PCP-*, UVM-*)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions.extension import (
    NOTHING,
    Draft,
    Evaluate,
    Extension,
    Occasion,
    always,
)
from fidokit.virtual.core.person.consent import Evidence
from fidokit.virtual.core.ports import DurableState
from fidokit.virtual.core.schema import BOOL

# FIDO Registry of Predefined Values, sections 3.1 to 3.3
_PRESENCE: Final = 0x001
_FINGERPRINT: Final = 0x002
_EXTERNAL_PIN: Final = 0x800
_IN_SOFTWARE: Final = 0x0001


def _told_to_the_listed(
    tell: Callable[[DurableState], Any],
) -> Callable[[TokenContext, bool, Draft], Evaluate]:
    """A setting that only relying parties on the owner's list may learn."""

    def make(token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
        listed = draft.occasion.rp_id in token.state.min_pin_rp_ids
        return always(tell(token.state)) if wanted and listed else NOTHING

    return make


def _methods(evidence: Evidence) -> list[list[int]]:
    """One row: how the person was verified, or that nobody was but somebody is there."""
    method = _PRESENCE
    if evidence.verified:
        method = _FINGERPRINT if evidence.by_sensor else _EXTERNAL_PIN
    return [[method, _IN_SOFTWARE, _IN_SOFTWARE]]


def _made_by(_token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
    return always(_methods(draft.occasion.evidence)) if wanted else NOTHING


def _used_by(_token: TokenContext, wanted: bool, occasion: Occasion) -> Evaluate:
    return always(_methods(occasion.evidence)) if wanted else NOTHING


MIN_PIN_LENGTH: Final = Extension(
    make_input=BOOL, make=_told_to_the_listed(lambda state: state.min_pin_length)
)
PIN_COMPLEXITY_POLICY: Final = Extension(
    make_input=BOOL, make=_told_to_the_listed(lambda state: state.pin_complexity)
)
UVM: Final = Extension(make_input=BOOL, make=_made_by, get_input=BOOL, get=_used_by)
