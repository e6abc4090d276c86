"""Certification levels of the FIDO Alliance, and what the status reports of a model say about it.

Source: FIDO Metadata Service 3.0 section 3.1.4. A model may have reports of several levels, each
with the date that it holds from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fidokit.metadata.model import UNTRUSTED, Model
from fidokit.types import Word


class CertificationLevel(Word):
    """A certification level, by the word that policies use; later members are stricter."""

    L1 = "L1"
    L1_PLUS = "L1+"
    L2 = "L2"
    L2_PLUS = "L2+"
    L3 = "L3"
    L3_PLUS = "L3+"

    @property
    def rank(self) -> int:
        """Where the level stands, from 0; a greater number is stricter."""
        return _ORDER.index(self)


_ORDER: Final = tuple(CertificationLevel)
_STATUS: Final = {
    "FIDO_CERTIFIED": CertificationLevel.L1,
    **{f"FIDO_CERTIFIED_{str(level).replace('+', 'plus')}": level for level in _ORDER},
}
"""Levels by status; plain FIDO_CERTIFIED is what level 1 was called before levels had numbers."""


def certified_level(model: Model, today: str) -> CertificationLevel | None:
    """The strictest level that a model is certified for; None if it is not certified.

    Args:
        model: an entry of the metadata.
        today: an ISO 8601 date; reports that hold from a later day are left out.
    """
    levels = [
        _STATUS[report.status]
        for report in model.status_reports
        if report.status in _STATUS and report.effective <= today
    ]
    return max(levels, key=_ORDER.index, default=None)


_REVOKED: Final = "REVOKED"
_UPDATE: Final = "UPDATE_AVAILABLE"


@dataclass(frozen=True, slots=True)
class FirmwareAdvisory:
    """What status reports say against a firmware.

    Attributes:
        faults: what counts against it, half a sentence each.
        doubts: what may count against it, and cannot be told from what the token reports.
    """

    faults: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def firmware_advisory(model: Model, firmware: int | None, today: str) -> FirmwareAdvisory:
    """What the reports on a model say against one firmware of it.

    An update is meant to end the issues that were reported before it, from its version on. Only a
    revocation holds for every firmware.

    Args:
        model: an entry of the metadata.
        firmware: the version that the token reports; None if it reports none.
        today: an ISO 8601 date; reports that hold from a later day are left out.
    """
    faults: list[str] = []
    doubts: list[str] = []
    revoked = []
    for report in (one for one in model.status_reports if one.effective <= today):
        since = f" since {report.effective}" if report.effective else ""
        if report.status == _REVOKED:
            revoked.append(f"the model is reported as {report.status}{since}")
        elif report.status in UNTRUSTED:
            faults.append(f"{report.status} is reported{since}")
        elif report.status != _UPDATE:
            continue
        elif report.version is None or firmware is None:
            which = "a firmware" if report.version is None else f"firmware {report.version}"
            doubts.append(f"an update to {which} is reported{since}")
            doubts += faults
            faults = []
        elif firmware < report.version:
            faults.append(f"an update to firmware {report.version} is reported{since}")
        else:
            faults, doubts = [], []
    return FirmwareAdvisory((*revoked, *faults), tuple(doubts))
