"""What CI runs: every stage runs, the table tells how each ended, and the exit status is right."""

from __future__ import annotations

import re

import pytest
from tests.ci.conftest import Machine

MAKE = """#!/bin/sh
printf 'make %s CI=%s\\n' "$1" "$CI" >>"$CALLS"
read -r line && echo "standard input is open"
echo "output of $1"
[ "$1" != "${BREAKS:-}" ] || exit 2
"""
WHEEL = '#!/bin/sh\necho wheel >>"$CALLS"\n'


@pytest.fixture
def ci(machine: Machine) -> Machine:
    machine.program("make", MAKE)
    (machine.clone / ".ci/wheel").write_text(WHEEL)
    return machine


def test_runs_checks_then_tests_then_the_rest(ci: Machine) -> None:
    done = ci.run(".ci/run")
    assert done.returncode == 0
    assert ci.calls() == [
        "make check CI=true",
        "make test CI=true",
        "wheel",
        "make fuzz CI=true",
    ]


def test_nothing_reads_standard_input(ci: Machine) -> None:
    assert "standard input is open" not in ci.run(".ci/run").stdout


def test_table_closes_the_output(ci: Machine) -> None:
    lines = ci.run(".ci/run").stdout.splitlines()
    table = lines[lines.index("== time") + 1 :]
    assert [line.split()[0] for line in table] == ["check", "test", "wheel", "fuzz", "total"]
    assert all(re.search(r"\d+ s", line) for line in table)
    assert all(line.endswith("ok") for line in table[:-1])


@pytest.mark.parametrize("broken", ["check", "test"])
def test_one_failure_fails_the_whole_and_hides_no_other_stage(ci: Machine, broken: str) -> None:
    done = ci.run(".ci/run", BREAKS=broken)
    assert done.returncode == 1
    assert re.search(rf"^{broken} +\d+ s  FAILED: exit status 2$", done.stdout, re.MULTILINE)
    assert len(ci.calls()) == 4


def test_stage_that_hangs_is_ended_and_named(ci: Machine) -> None:
    script = ci.clone / ".ci/run"
    script.write_text(script.read_text().replace('"$2m"', "0.2s"))
    ci.program("make", '#!/bin/sh\n[ "$1" != test ] || exec sleep 60\n')
    done = ci.run(".ci/run")
    assert done.returncode == 1
    assert "FAILED: not done in 31 minutes" in done.stdout


def test_limits_stay_below_45_minutes(ci: Machine) -> None:
    text = (ci.clone / ".ci/run").read_text()
    minutes = [int(found) for found in re.findall(r"^stage \w+ (\d+) ", text, re.MULTILINE)]
    assert len(minutes) == 4
    assert sum(minutes) < 45
