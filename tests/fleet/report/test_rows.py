"""What is kept of a host."""

from __future__ import annotations

from tests.fleet.planning.audits import account, audited, finding, key_line
from tests.fleet.report.fleets import ANA, BOB, HOSTILE, NOW, rows, small_fleet

from fidokit.fleet.report.rows import EntryWay, FleetLogin, RowMaker


def test_ways_in() -> None:
    web2, _, db1, down1, _ = rows(small_fleet())
    assert web2.logins == (
        FleetLogin("root", EntryWay.TOKEN, ANA, "ED25519-SK", "ana@laptop", True, False),
        FleetLogin("bob", EntryWay.FILE, BOB, "ED25519", "bob"),
    )
    assert [login.way for login in db1.logins] == [EntryWay.CERTIFICATE, EntryWay.FILE]
    assert (db1.checked, db1.checked_at, db1.holds, db1.accounts) == (True, int(NOW), True, 2)
    assert db1.troubles[0].account == HOSTILE
    assert (down1.checked, down1.checked_at, down1.holds) == (False, 0, False)


def test_passwords_and_doubts() -> None:
    found = audited("web1", account("ana"), account("bob"))
    assert found.document is not None
    found.document["ways"].update(password=["ana"], unknown=["bob"])
    (row,) = rows([found])
    assert row.logins == (FleetLogin("ana", EntryWay.PASSWORD), FleetLogin("bob", EntryWay.UNKNOWN))


def test_long_texts_are_cut_and_findings_limited() -> None:
    line = key_line(ANA, comment="x" * 10_000)
    many = [finding("y" * 10_000) for _ in range(1500)]
    (row,) = rows([audited("web1", account("ana", [line]), findings=many)])
    assert len(row.logins[0].comment) == 203
    assert (len(row.troubles), row.more_troubles) == (1000, 500)
    assert len(row.troubles[0].message) == 203


def test_equal_texts_are_one_object() -> None:
    maker = RowMaker()
    first, second = (maker.row(audit, NOW) for audit in small_fleet()[:2])
    assert first.logins[0].comment is second.logins[0].comment
