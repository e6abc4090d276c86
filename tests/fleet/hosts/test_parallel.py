"""Many hosts at once."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from tests.fleet.hosts.programs import request, sending, ssh
from tests.fleet.planning.audits import document

from fidokit.fleet.hosts import parallel
from fidokit.fleet.hosts.audit import HostState
from fidokit.fleet.hosts.destinations import FleetHost, named
from fidokit.fleet.hosts.parallel import audit_hosts


def test_each_host_is_a_row(tmp_path: Path) -> None:
    called = ssh(tmp_path, 'case "$*" in *web2*) exit 255;; esac; eval "$last"')
    asked = request(sending(document()), called)
    found = audit_hosts(named(["web1", "web2", "web3"]), asked, parallel=2)
    states = {audit.host: audit.state for audit in found}
    assert states == {
        "web1": HostState.CHECKED,
        "web2": HostState.DOWN,
        "web3": HostState.CHECKED,
    }


def test_hosts_are_taken_as_they_are_needed(tmp_path: Path) -> None:
    """An endless list of hosts is no reason not to begin."""
    taken = []

    def endless() -> object:
        while True:
            taken.append(1)
            yield FleetHost("web", "web", problem="not by ssh")

    with closing(audit_hosts(endless(), request(sending({}), "ssh"), parallel=2)) as found:  # type: ignore[arg-type]
        assert [next(found).host for _ in range(3)] == ["web"] * 3
    assert len(taken) < 30


def test_closing_ends_every_ssh(tmp_path: Path) -> None:
    script = f'case "$*" in *web1*) exit 255;; esac; echo $$ >>{tmp_path}/pids; exec sleep 1000'
    asked = request(sending(document()), ssh(tmp_path, script))
    with closing(audit_hosts(named(["web1", "web2", "web3"]), asked, parallel=3)) as found:
        assert next(found).host == "web1"
        while not (tmp_path / "pids").exists():
            os.sched_yield()
    for number in (tmp_path / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(number), 0)


def test_a_defect_of_ours_is_one_host_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(at: FleetHost, *_: object) -> None:
        raise KeyError(at.name)

    monkeypatch.setattr(parallel, "audit_host", broken)
    (found,) = audit_hosts(named(["web1"]), request(sending({}), "ssh"))
    assert (found.state, found.problem) == (
        HostState.FAILED,
        "fidokit failed on its report (KeyError)",
    )
