"""A report as OpenMetrics text, which Prometheus and others collect (from a file, for instance).

Source: OpenMetrics 1.0, "Text format": families with TYPE and HELP, escaped labels, `# EOF` last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fidokit.server.check.findings.tally import CheckTally

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
Sample = tuple[Mapping[str, str], int]


def openmetrics(tally: CheckTally) -> Iterator[str]:
    """The exposition, a line each."""
    yield from family("fidokit_server_users", "Users that were checked.", [({}, tally.users)])
    yield from family(
        "fidokit_server_login_users",
        "Users who get in, by what; unknown is what cannot be known.",
        [({"by": str(way)}, len(users)) for way, users in tally.ways.items()],
    )
    keys = {
        "all": tally.keys,
        "on_token": tally.on_tokens,
        "refused": tally.refused,
        "weak": tally.weak,
        "duplicate": tally.duplicates,
    }
    states = [({"state": state}, number) for state, number in keys.items()]
    yield from family("fidokit_server_keys", "Lines with a key.", states)
    found = Counter((f.kind.id, str(f.severity), f.doubt) for f in tally.findings)
    yield from family(
        "fidokit_server_findings",
        "Findings by id; with doubt, what cannot be known.",
        [
            ({"id": kind, "severity": severity, "doubt": str(doubt).lower()}, number)
            for (kind, severity, doubt), number in sorted(found.items())
        ],
    )
    yield from family(
        "fidokit_server_rule_violations",
        "What breaks a stated rule; with doubt, what may break it.",
        [
            ({"rule": rule, "doubt": str(doubt).lower()}, tally.broken(rule, doubt=doubt))
            for rule in tally.stated
            for doubt in (False, True)
        ],
    )
    yield from family(
        "fidokit_server_rule_holds",
        "1 if a stated rule holds, 0 if it is broken or cannot be known to hold.",
        [({"rule": rule}, int(tally.holds(rule))) for rule in tally.stated],
    )
    yield "# EOF\n"


def family(name: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One family of gauges, with a line for each sample.

    Args:
        samples: labels, whose values may be hostile text, and a number.
    """
    yield f"# TYPE {name} gauge\n# HELP {name} {about}\n"
    for labels, value in samples:
        listed = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        yield f"{name}{{{listed}}} {value}\n" if listed else f"{name} {value}\n"
