"""A report as SARIF 2.1.0, which code scanners and editors read.

Source: OASIS SARIF 2.1.0 (2020): sections 3.13 sarifLog, 3.14 run, 3.27 result, 3.49
reportingDescriptor. A doubt is a failure here as it is in the exit status: `kind` "open" would
force the level "none", which gates do not see; it is marked in the properties and the message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from fidokit import __version__
from fidokit.findings import KINDS, FindingKind
from fidokit.server.check.findings.advice import Advice
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.formats.sentences import message, visible

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LAST_OF_CHECK: Final = "FK5"


def sarif(findings: Iterable[CheckFinding], advice: Advice, *, holds: bool) -> Iterator[str]:
    """The document in pieces, a result a line.

    Args:
        holds: whether the stated rules hold.
    """
    described = [kind for kind in KINDS.values() if kind.id < _LAST_OF_CHECK]
    index = {kind.id: number for number, kind in enumerate(described)}
    results = (_result(finding, advice, index[finding.kind.id]) for finding in findings)
    return sarif_log(described, results, holds=holds)


def sarif_log(
    described: Sequence[FindingKind], results: Iterable[Mapping[str, object]], *, holds: bool
) -> Iterator[str]:
    """A log of one run in pieces, a result a line.

    Args:
        described: the kinds, whose places the results name as `ruleIndex`.
        holds: whether what was demanded holds.
    """
    driver = {"name": "fidokit", "version": __version__, "rules": list(map(_rule, described))}
    yield (
        f'{{"$schema": {json.dumps(_SCHEMA)}, "version": "2.1.0",\n'
        f' "runs": [{{"tool": {{"driver": {json.dumps(driver)}}},\n'
        f'  "invocations": [{{"executionSuccessful": true, "exitCode": {0 if holds else 10}}}],\n'
        '  "results": ['
    )
    before = "\n"
    for result in results:
        yield f"{before}   {json.dumps(result)}"
        before = ",\n"
    yield "]}]}\n"


def _rule(kind: FindingKind) -> dict[str, object]:
    return {
        "id": kind.id,
        "shortDescription": {"text": kind.title},
        "defaultConfiguration": {"level": str(kind.severity)},
    }


def _result(finding: CheckFinding, advice: Advice, index: int) -> dict[str, object]:
    found: dict[str, object] = {
        "ruleId": finding.kind.id,
        "ruleIndex": index,
        "level": str(finding.severity),
        "message": {"text": message(finding)},
        "properties": {
            "user": finding.user,
            "policy": list(finding.rules),
            "doubt": finding.doubt,
            "next": list(map(visible, advice.lines(finding))),
        },
    }
    if places := finding.places:
        found["locations"] = [_location(*places[0])]
        found["relatedLocations"] = [_location(*place) for place in places[1:]]
    return found


def _location(path: str, line: int | None) -> dict[str, object]:
    physical: dict[str, object] = {
        "artifactLocation": {"uri": f"file://{quote(os.fsencode(path))}"}
    }
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical}
