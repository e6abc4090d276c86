"""Certification levels of the FIDO Alliance, and what the status reports of a model say about it.

Source: FIDO Metadata Service 3.0 section 3.1.4. A model may have reports of several levels, each
with the date that it holds from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fidokit.types import Word

if TYPE_CHECKING:
    from fidokit.metadata.model import Model


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
