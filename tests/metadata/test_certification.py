"""The certification level of a model is the strictest that a status report in force names."""

from __future__ import annotations

import pytest

from fidokit.metadata.catalog import load
from fidokit.metadata.certification import CertificationLevel, certified_level
from fidokit.metadata.model import Model, StatusReport

TODAY = "2026-12-01"


def certified(*reports: StatusReport) -> CertificationLevel | None:
    return certified_level(Model(None, "model", "fido2", status_reports=reports), TODAY)


@pytest.mark.parametrize(
    ("statuses", "level"),
    [
        ((), None),
        (("NOT_FIDO_CERTIFIED",), None),
        (("FIDO_CERTIFIED",), "L1"),
        (("FIDO_CERTIFIED", "FIDO_CERTIFIED_L2", "FIDO_CERTIFIED_L1"), "L2"),
        (("FIDO_CERTIFIED_L3plus",), "L3+"),
        (("SOMETHING_NEW",), None),
    ],
)
def test_levels(statuses: tuple[str, ...], level: str | None) -> None:
    assert certified(*(StatusReport(status, "2020-01-01") for status in statuses)) == level


def test_a_report_from_tomorrow_does_not_count() -> None:
    reports = (StatusReport("FIDO_CERTIFIED_L2", "2026-12-02"), StatusReport("FIDO_CERTIFIED_L1"))
    assert certified(*reports) is CertificationLevel.L1


def test_levels_are_ordered() -> None:
    assert [level.rank for level in CertificationLevel] == list(range(6))


def test_the_metadata_has_certified_models() -> None:
    levels = {certified_level(model, TODAY) for model in load().models}
    assert {None, CertificationLevel.L1, CertificationLevel.L2} <= levels
