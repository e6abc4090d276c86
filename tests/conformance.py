"""A pytest plug-in: which checks of the authenticator a run proved, as docs/conformance.md says.

Tests name the checks that they prove with `@pytest.mark.check("ID", ...)`; an unknown id stops the
run. At the end of a run over the whole tree the page must be what the run saw, or the run fails:
`make docs` rewrites it (`--conformance=write`). Tests that were collected and left out (`make test`
leaves out what needs more than Python) count as passed there: their own run says if they fail. A
run of some folders or files leaves the page alone. Under xdist the workers tell the controller.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

TOP = Path(__file__).parents[1]
CHECKS = TOP / "tests" / "vectors" / "ctap_checks.txt"
PAGE = TOP / "docs" / "conformance.md"
TRANSPORTS = ("HID", "NFC")
PER_FILE = 6
"""Tests of a file that a row names; the rest it counts."""

AREAS = {
    "HID": "CTAPHID",
    "NFC": "ISO 7816 and NFC",
    "GI": "getInfo",
    "MC": "makeCredential",
    "GA": "getAssertion",
    "GN": "getNextAssertion",
    "PIN": "clientPIN",
    "TOK": "pinUvAuthToken",
    "CM": "credentialManagement",
    "CFG": "authenticatorConfig",
    "LB": "largeBlobs",
    "BIO": "bioEnrollment",
    "SEL": "selection",
    "RST": "reset",
    "EXT": "extensions",
    "CPR": "credProtect",
    "CBL": "credBlob",
    "HMS": "hmac-secret",
    "HMC": "hmac-secret-mc",
    "LBK": "largeBlobKey",
    "LBX": "largeBlob",
    "MPL": "minPinLength",
    "PCP": "pinComplexityPolicy",
    "TPP": "thirdPartyPayment",
    "UVM": "uvm",
    "ATT": "attestation",
    "U2F": "U2F",
    "CBR": "CBOR and limits",
}

Outcome = Literal["passed", "failed", "skipped"]
_WORSE: Mapping[Outcome, int] = {"passed": 0, "skipped": 1, "failed": 2}

HEADER = """\
# Conformance of the virtual authenticator

Made by the test run (`make docs`; `make test` fails where this page is not what it saw). One row a
check: its id, what it is about, what was seen, and the tests that looked, by file below `tests/`.
*Passed* means that every test which names the check passed, with their number, parameters counted.
*Not implemented* means that no test names it: nothing passes by default.

[The checks](ctap-checks.md) have their outcomes and the clause behind each.
"""


def read_checks(text: str) -> dict[str, str]:
    """Ids and titles, in their order."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    pairs = (line.partition(" ") for line in lines)
    return {check: title for check, _, title in pairs}


@dataclass
class Seen:
    """What a run saw of one check: the outcome of each test that names it, by node id."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def add(self, node: str, outcome: Outcome) -> None:
        """Phases of one test add up to the worst of them."""
        known = self.outcomes.get(node, "passed")
        self.outcomes[node] = max(known, outcome, key=_WORSE.__getitem__)

    def verdict(self, check: str) -> str:
        if not self.outcomes:
            transport = check.partition("-")[0] in TRANSPORTS
            return "not implemented" + (" (transport)" if transport else "")
        worst = max(self.outcomes.values(), key=_WORSE.__getitem__)
        count = sum(outcome == worst for outcome in self.outcomes.values())
        return f"**{worst}**, {count}" if worst != "passed" else f"passed, {count}"

    def places(self) -> str:
        """Test functions by file, in a stable order."""
        files: defaultdict[str, set[str]] = defaultdict(set)
        for node in self.outcomes:
            path, _, name = node.partition("::")
            file = re.sub(r"^(?:.*/)?tests/|\.py$", "", path)
            files[file].add(re.sub(r"\[.*", "", name, flags=re.DOTALL).rpartition("::")[2])
        return "; ".join(f"{file}: {_few(names)}" for file, names in sorted(files.items()))


def _few(names: Iterable[str]) -> str:
    ordered = [name.removeprefix("test_") for name in sorted(names)]
    more = len(ordered) - PER_FILE
    return ", ".join(ordered[:PER_FILE]) + (f" and {more} more" if more > 0 else "")


def render(checks: Mapping[str, str], seen: Mapping[str, Seen]) -> str:
    """The page."""
    verdicts = {check: seen.get(check, Seen()).verdict(check) for check in checks}
    kinds: defaultdict[str, int] = defaultdict(int)
    for verdict in verdicts.values():
        kinds[verdict.partition(",")[0].strip("*")] += 1
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    lines = [HEADER, f"{len(checks)} checks: {counted}."]
    area = None
    for check, title in checks.items():
        if (now := check.partition("-")[0]) != area:
            area = now
            lines += ["", f"## {AREAS[area]}", "", "| check | about | seen | tests |"]
            lines += ["|---|---|---|---|"]
        places = seen.get(check, Seen()).places().replace("|", "\\|")
        lines.append(f"| {check} | {title} | {verdicts[check]} | {places} |")
    return "\n".join(lines) + "\n"


class Conformance:
    """Collects what a run sees, and at its end compares or writes the page."""

    def __init__(self, page: Path = PAGE, *, write: bool = False) -> None:
        self.page = page
        self.write = write
        self.checks = read_checks(CHECKS.read_text())
        self.seen: defaultdict[str, Seen] = defaultdict(Seen)
        self.named: dict[str, tuple[str, ...]] = {}
        self.whole = False
        self.complaint: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Note the ids that each test names, before others take tests out."""
        for item in items:
            ids = [check for mark in item.iter_markers("check") for check in mark.args]
            if unknown := sorted(set(ids) - set(self.checks)):
                raise pytest.UsageError(f"{item.nodeid} names unknown checks: {unknown}")
            if ids:
                self.named[item.nodeid] = tuple(dict.fromkeys(ids))
                item.user_properties.append(("checks", self.named[item.nodeid]))
        self.whole = config.args == config.getini("testpaths") and not config.option.collectonly

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a phase of a test."""
        checks: Any = dict(report.user_properties).get("checks", ())
        for check in checks:
            node = re.sub(r"@rest-[\w-]+$", "", report.nodeid)  # xdist adds its groups
            self.seen[check].add(node, "failed" if report.failed else report.outcome)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Learn from a worker of xdist what it collected; every one collects the same."""
        output = getattr(node, "workeroutput", {})
        self.named.update(output.get("checks", {}))
        self.whole = self.whole or output.get("checks_whole", False)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the page, where every test that names a check was collected."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["checks"] = self.named
            session.config.workeroutput["checks_whole"] = self.whole
            return
        ran = {node for seen in self.seen.values() for node in seen.outcomes}
        if not self.whole or not ran or (self.write and ran != set(self.named)):
            return
        for node, ids in self.named.items():
            for check in ids if node not in ran else ():
                self.seen[check].add(node, "passed")
        page = render(self.checks, self.seen)
        skipped = self.skipped()
        if skipped:
            self.complaint = f"{self.page.name} is not judged: tests were skipped: {len(skipped)}"
        elif self.write:
            self.page.write_text(page)
        elif not self.page.exists() or self.page.read_text() != page:
            self.complaint = f"{self.page.name} is not what this run saw: run `make docs`"
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def skipped(self) -> set[str]:
        """Tests that did not look, as where a stock program is missing."""
        outcomes = (item for seen in self.seen.values() for item in seen.outcomes.items())
        return {node for node, outcome in outcomes if outcome == "skipped"}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what is wrong with the page."""
        if self.complaint:
            terminalreporter.write_line(f"conformance: {self.complaint}", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--conformance`."""
    parser.addoption(
        "--conformance",
        choices=("check", "write"),
        default="check",
        help="compare docs/conformance.md with what the run saw, or write it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect in every run; the markers cost nothing."""
    write = config.getoption("--conformance") == "write"
    config.pluginmanager.register(Conformance(write=write), "conformance-collector")
