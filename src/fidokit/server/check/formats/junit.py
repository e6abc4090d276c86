"""A report as JUnit XML, which CI systems show: a test a rule and user, and one a further problem.

What breaks a rule is a failure; what cannot be known is an error, which fails a build as well.
Source: the schema that Jenkins and others read (testsuites, testsuite, testcase, failure, error).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from fidokit.server.check.findings.advice import Advice
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.formats.sentences import message, place_text, visible

_SUITE: Final = "fidokit server check"
_HOST: Final = "server"


def junit(
    findings: Sequence[CheckFinding], users: Iterable[str], rules: Iterable[str], advice: Advice
) -> Iterator[str]:
    """The document in pieces, a test a line.

    Args:
        users: everybody who was checked.
        rules: those that were stated.
    """
    cases = [*_Cases(advice).of(findings, users, rules)]
    failed = sum("<failure" in case for case in cases)
    doubtful = sum("<error" in case for case in cases)
    numbers = f'tests="{len(cases)}" failures="{failed}" errors="{doubtful}"'
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {numbers}>\n'
    yield f' <testsuite name="{_SUITE}" {numbers} skipped="0">\n'
    yield from cases
    yield " </testsuite>\n</testsuites>\n"


@dataclass(frozen=True)
class _Cases:
    advice: Advice

    def of(
        self, findings: Sequence[CheckFinding], users: Iterable[str], rules: Iterable[str]
    ) -> Iterator[str]:
        broken: dict[tuple[str, str], list[CheckFinding]] = {}
        further = []
        for finding in findings:
            for rule in finding.rules:
                broken.setdefault((finding.user, rule), []).append(finding)
            if finding.is_problem and not finding.rules:
                further.append(finding)
        expected = {(user, rule): () for user in users for rule in rules}
        for (user, rule), found in {**expected, **broken}.items():
            yield self._case(user or _HOST, rule, found)
        for finding in further:
            name = f"{finding.kind.id} {finding.path}".strip()
            yield self._case(finding.user or _HOST, name, [finding])

    def _case(self, user: str, name: str, found: Sequence[CheckFinding]) -> str:
        head = f"  <testcase classname={_attribute(user)} name={_attribute(name)}"
        return f"{head}>\n{self._outcome(found)}  </testcase>\n" if found else f"{head}/>\n"

    def _outcome(self, found: Sequence[CheckFinding]) -> str:
        """One element, as the schema has it: a failure where anything is known to be broken."""
        known = [finding for finding in found if not finding.doubt]
        first = (known or found)[0]
        word = "failure" if known else "error"
        lines = escape("\n".join(map(self._lines, found)))
        kind = f"type={_attribute(first.kind.id)} message={_attribute(message(first))}"
        return f"   <{word} {kind}>{lines}</{word}>\n"

    def _lines(self, finding: CheckFinding) -> str:
        at = [f"at {place_text(*place)}" for place in finding.places]
        steps = [f"next: {step}" for step in self.advice.lines(finding)]
        return "\n  ".join([f"{finding.kind.id} {message(finding)}", *map(visible, [*at, *steps])])


def _attribute(text: str) -> str:
    """Visible text has none of the characters that XML has no place for."""
    return quoteattr(visible(text))
