"""A check of many hosts from its start to its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from fidokit.fleet.hosts.audit import HostAudit
from fidokit.fleet.hosts.conversation import AuditRequest
from fidokit.fleet.hosts.destinations import FleetHost, host_name
from fidokit.fleet.hosts.parallel import audit_hosts
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.fleet.report.drift import drift
from fidokit.fleet.report.joined import FleetReport, join
from fidokit.fleet.report.rows import HostRow, RowMaker
from fidokit.inventory.kept import KnownPlace
from fidokit.keys.bookkeeping import host_places, note_host_places

Progress = Callable[[int, int], None]
"""Is told how many hosts of how many are done."""


@dataclass
class FleetSurvey:
    """Hosts that are being checked.

    Attributes:
        destinations: the hosts.
        request: what is asked of each.
        policy: names the keys, and states what must hold on each host; None if there is none.
        parallel: how many at a time.
        rows: the hosts that are done, also if the survey is stopped.
    """

    destinations: Sequence[FleetHost]
    request: AuditRequest
    policy: FleetPolicy | None = None
    parallel: int = 32
    rows: list[HostRow] = field(default_factory=list)
    _places: list[KnownPlace] = field(default_factory=list)

    def audits(self, progress: Progress = lambda _done, _all: None) -> Generator[HostAudit]:
        """Check every host, and yield each audit as it ends; closing it ends every ssh."""
        hosts = [self._with_rules(at) for at in self.destinations]
        done = 0

        def waiting() -> None:
            progress(done, len(hosts))

        parallel = min(self.parallel, len(hosts))
        found = audit_hosts(hosts, self.request, parallel=parallel, waiting=waiting)
        with closing(found):
            for audit in found:
                yield audit
                done += 1
                waiting()

    def run(self, progress: Progress = lambda _done, _all: None) -> None:
        """Check every host; one that cannot be checked is a row, too."""
        maker = RowMaker()
        by_name = {at.name: at for at in self.destinations}
        with closing(self.audits(progress)) as audits:
            for audit in audits:
                self.rows.append(maker.row(audit, time.time()))
                self._places += self._known_places(by_name[audit.host], audit)

    def note(self, say: Callable[[str], None]) -> None:
        """Keep who knows which key, for the day on which a token is lost.

        Args:
            say: takes a warning.
        """
        note_host_places(say, self._places)

    def _known_places(self, at: FleetHost, audit: HostAudit) -> list[KnownPlace]:
        if audit.document is None:
            return []
        ssh = (*self.request.ssh, *at.options)
        return host_places(at.address, audit.document, ssh=ssh)

    def report(self, before: Mapping[str, str]) -> FleetReport:
        """All that is done, joined.

        Args:
            before: lines of hosts by name, which the rows are compared with.
        """
        found = drift(self.rows, before)
        return join(self.rows, self.policy, found, self.request.rules)

    def _with_rules(self, at: FleetHost) -> FleetHost:
        rules = self.policy.rules_for(host_name(at.name)) if self.policy else None
        if rules is None:
            return at
        return replace(at, rules=(*map(str, rules.require), *map(str, rules.break_glass)))
