"""OpenMetrics text, read by a strict parser of its grammar (OpenMetrics 1.0, "Text format")."""

from __future__ import annotations

import re

from tests.server.check.formats.samples import RULES, tally

from fidokit.server.check.findings.tally import CheckTally
from fidokit.server.check.formats.openmetrics import openmetrics

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\d+)")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], int]


def parse(text: str) -> Samples:
    """The samples; AssertionError where it is not OpenMetrics."""
    assert text.endswith("# EOF\n")
    family, found, seen = "", Samples(), set()
    for line in text.removesuffix("# EOF\n").splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert kind == "gauge"
            assert family not in seen
            seen.add(family)
        elif line.startswith("# HELP "):
            assert line.split(" ", 3)[2] == family
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            name, labels, value = sample.groups()
            assert name == family
            pairs = re.findall(LABEL, labels or "")
            key = (name, frozenset(tuple(pair.split("=", 1)) for pair in pairs))
            assert key not in found
            found[key] = int(value)
    return found


def value(samples: Samples, name: str, **labels: str) -> int:
    wanted = frozenset((key, f'"{text}"') for key, text in labels.items())
    return samples[f"fidokit_server_{name}", wanted]


def test_what_it_says() -> None:
    found = parse("".join(openmetrics(tally())))
    assert value(found, "users") == 3
    assert value(found, "login_users", by="password") == 1
    assert value(found, "login_users", by="unknown") == 1
    assert value(found, "login_users", by="file-key") == 0
    assert value(found, "keys", state="all") == 7
    assert value(found, "findings", id="FK101", severity="error", doubt="false") == 1
    assert value(found, "findings", id="FK401", severity="error", doubt="true") == 1
    assert value(found, "rule_violations", rule="hardware", doubt="false") == 1
    assert value(found, "rule_violations", rule="hardware", doubt="true") == 1
    assert [value(found, "rule_holds", rule=rule) for rule in RULES] == [0, 0, 0]


def test_rules_that_hold_and_odd_names() -> None:
    rule = 'break-glass=a"\\\n:SHA256:x'
    found = parse("".join(openmetrics(CheckTally((rule,)))))
    escaped = rule.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    assert value(found, "rule_holds", rule=escaped) == 1


def test_no_rules() -> None:
    found = parse("".join(openmetrics(CheckTally())))
    assert not [name for name, _ in found if "rule" in name]
