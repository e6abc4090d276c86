"""What changed, from what was kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fleet.planning.audits import account, audited, key_line
from tests.fleet.report.fleets import ANA, BOB, HOSTILE, NOW, SPARE, report, rows, small_fleet

from fidokit.errors import MalformedFile
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.report.drift import FleetDrift, LoginChange, drift
from fidokit.fleet.report.formats.document import fleet_document
from fidokit.fleet.report.host_lines import encode_hosts, parse_hosts
from fidokit.fleet.report.kept import keep, kept_file, read_hosts


def test_the_first_time(tmp_path: Path) -> None:
    found = rows(small_fleet())
    path = tmp_path / "folder" / "hosts.json"
    assert drift(found, read_hosts(path)) == FleetDrift(first_seen=("web2", "web1", "db1"))
    keep(found, path)
    assert drift(found, read_hosts(path)) == FleetDrift(since=int(NOW), compared=3)
    assert path.stat().st_mode & 0o777 == 0o600


def test_ways_in_appear_and_go(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    ana, spare = key_line(ANA, comment=HOSTILE), key_line(SPARE, comment="spare")
    keep(rows([audited("web1", account("root", [ana]))]), path)
    now = rows([audited("web1", account("root", [spare]))])
    assert set(drift(now, read_hosts(path)).changes) == {
        LoginChange("web1", "root", "token-key", SPARE, "spare", appeared=True),
        LoginChange("web1", "root", "token-key", ANA, HOSTILE, appeared=False),
    }


def test_another_comment_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    keep(rows([audited("web1", account("root", [key_line(ANA, comment="old")]))]), path)
    now = rows([audited("web1", account("root", [key_line(ANA, comment="new")]))])
    assert drift(now, read_hosts(path)).changes == ()


def test_a_host_that_was_away_is_compared_with_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    keep(rows([audited("web1", account("root", [key_line(ANA)])), audited("web2")]), path)
    keep(rows([HostAudit("web1", HostState.DOWN), audited("web2")]), path)
    found = drift(rows([audited("web1", account("root", [key_line(BOB)]))]), read_hosts(path))
    assert [change.fingerprint for change in found.changes] == [BOB, ANA]


def test_a_report_can_be_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("".join(fleet_document(report())))
    assert drift(rows(small_fleet()), read_hosts(path)).compared == 3
    keep(rows(small_fleet()), tmp_path / "kept")
    kept = read_hosts(tmp_path / "kept")
    assert kept.keys() == {"web1", "web2", "db1"}
    assert kept.items() < read_hosts(path).items()


@pytest.mark.parametrize("before", [[], ["web1"]])
def test_what_is_kept_is_read_back(before: list[str]) -> None:
    whole = parse_hosts("".join(fleet_document(report())).encode())
    lines = {name: whole[name] for name in before}
    assert parse_hosts(encode_hosts(lines)) == lines


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "\x1b[2J",
        '{"schema": 2, "fleet": {"hosts": [',
        '{"schema": 1, "fleet": {"hosts": [\n  {"host": 7',
        '{"schema": 1, "fleet": {"hosts": [\n  {"host": "a", "logins": [7], "checked_at": 1}',
        '{"schema": 1, "fleet": {"hosts": [ {"host": "a", "logins": [], "checked_at": 1}]}}',
    ],
)
def test_another_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(MalformedFile) as caught:
        read_hosts(path)
    assert "--json" in caught.value.hint
    with pytest.raises(MalformedFile):
        keep(rows(small_fleet()), path)
    assert path.read_text() == text


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert kept_file() == Path("/state/fidokit/fleet/hosts.json")


def test_nothing_is_written_if_nothing_is_known(tmp_path: Path) -> None:
    keep(rows([HostAudit("web1", HostState.DOWN)]), tmp_path / "hosts.json")
    assert list(tmp_path.iterdir()) == []
