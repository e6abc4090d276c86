"""Levels and advisories of a model are what its status reports in force say."""

from __future__ import annotations

import pytest

from fidokit.metadata.catalog import load
from fidokit.metadata.certification import (
    CertificationLevel,
    certified_level,
    firmware_advisory,
)
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


BYPASS = StatusReport("USER_VERIFICATION_BYPASS", "2020-01-01", 2)


def advisory(firmware: int | None, *reports: StatusReport) -> tuple[int, int]:
    """How many faults and doubts there are."""
    model = Model(None, "model", "fido2", status_reports=reports)
    found = firmware_advisory(model, firmware, TODAY)
    return len(found.faults), len(found.doubts)


@pytest.mark.parametrize(
    ("firmware", "reports", "expected"),
    [
        (1, (), (0, 0)),
        (1, (StatusReport("FIDO_CERTIFIED_L2", "2020-01-01", 5),), (0, 0)),
        (9, (BYPASS,), (1, 0)),
        (None, (BYPASS,), (1, 0)),
        (3, (BYPASS, StatusReport("UPDATE_AVAILABLE", "2021-01-01", 3)), (0, 0)),
        (2, (BYPASS, StatusReport("UPDATE_AVAILABLE", "2021-01-01", 3)), (2, 0)),
        (None, (BYPASS, StatusReport("UPDATE_AVAILABLE", "2021-01-01", 3)), (0, 2)),
        (3, (BYPASS, StatusReport("UPDATE_AVAILABLE", "2021-01-01")), (0, 2)),
        (3, (StatusReport("UPDATE_AVAILABLE", "2021-01-01", 3), BYPASS), (1, 0)),
        (3, (StatusReport("UPDATE_AVAILABLE", "2027-01-01", 4),), (0, 0)),
        (3, (StatusReport("REVOKED"), StatusReport("UPDATE_AVAILABLE", "", 3)), (1, 0)),
    ],
)
def test_advisories_count_until_an_update(
    firmware: int | None, reports: tuple[StatusReport, ...], expected: tuple[int, int]
) -> None:
    assert advisory(firmware, *reports) == expected
