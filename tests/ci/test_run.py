"""What CI runs: every stage runs, the table tells how each ended, and the exit status is right."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ci.conftest import Machine

MAKE = """#!/bin/sh
printf 'make %s CI=%s\\n' "$1" "$CI" >>"$CALLS"
read -r line && echo "standard input is open"
echo "output of $1"
[ "$1" != "${HANGS:-}" ] || { echo $$ >"$STATE/hangs" && sleep 60; }
[ "$1" != "${BREAKS:-}" ] || exit 2
"""
WHEEL = '#!/bin/sh\necho wheel >>"$CALLS"\n'


@pytest.fixture
def ci(machine: Machine) -> Machine:
    machine.program("make", MAKE)
    (machine.clone / ".ci/wheel").write_text(WHEEL)
    (machine.clone / ".ci/release").write_text('#!/bin/sh\necho "release $1" >>"$CALLS"\n')
    (machine.clone / ".ci/setup").write_text('#!/bin/sh\necho "setup $1" >>"$CALLS"\n')
    return machine


STAGES = [
    *("check", "demo", "test", "setup", "roots", "rest", "matrix", "packages", "wheel", "release"),
    *("fuzz", "kernel"),
]


def test_runs_what_a_newcomer_runs_then_the_rest(ci: Machine) -> None:
    done = ci.run(".ci/run")
    assert done.returncode == 0
    calls = ci.calls()
    assert calls[:4] == [
        "make check CI=true",
        "make demo CI=true",
        "make test CI=true",
        "setup fuzz",
    ]
    calls.remove("make kernel-test CI=true")
    assert calls[4:] == [
        "setup matrix",
        "make test-all CI=true",
        "make matrix CI=true",
        "make packages CI=true",
        "wheel",
        "release --dry-run",
        "make fuzz CI=true",
    ]


def test_the_kernel_runs_beside_the_others_and_is_shown_at_its_end(ci: Machine) -> None:
    began_first = '[ "$1" != fuzz ] || until grep -q kernel-test "$CALLS"; do sleep 0.05; done\n'
    waits = '[ "$1" != kernel-test ] || until grep -q "make fuzz" "$CALLS"; do sleep 0.05; done\n'
    ci.program("make", MAKE + began_first + waits)
    done = ci.run(".ci/run")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines.index("== fuzz") < lines.index("== kernel") < lines.index("output of kernel-test")
    assert lines.index("output of kernel-test") < lines.index("== time")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_the_run_ends_the_kernel_with_it(ci: Machine, end: signal.Signals) -> None:
    ci.program("make", MAKE + '[ "$1" != fuzz ] || { touch "$STATE/fuzzing"; exec sleep 60; }\n')
    run = ci.start(".ci/run", HANGS="kernel-test")
    hangs = ci.state / "hangs"
    wait_until(lambda: hangs.exists() and (ci.state / "fuzzing").exists())
    os.killpg(run.pid, end)
    assert run.wait(60) == 128 + end
    wait_until(lambda: not Path(f"/proc/{hangs.read_text().strip()}").exists())


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_reads_standard_input(ci: Machine) -> None:
    assert "standard input is open" not in ci.run(".ci/run").stdout


def test_table_closes_the_output(ci: Machine) -> None:
    lines = ci.run(".ci/run").stdout.splitlines()
    table = lines[lines.index("== time") + 1 :]
    assert [line.split()[0] for line in table] == [*STAGES, "total"]
    assert all(re.search(r"\d+ s", line) for line in table)
    assert all(line.endswith("ok") for line in table[:-1])


@pytest.mark.parametrize(
    ("broken", "name"), [("check", "check"), ("test", "test"), ("kernel-test", "kernel")]
)
def test_one_failure_fails_the_whole_and_hides_no_other_stage(
    ci: Machine, broken: str, name: str
) -> None:
    done = ci.run(".ci/run", BREAKS=broken)
    assert done.returncode == 1
    assert re.search(rf"^{name} +\d+ s  FAILED: exit status 2$", done.stdout, re.MULTILINE)
    assert len(ci.calls()) == len(STAGES)


@pytest.mark.parametrize(("hangs", "name"), [("test", "test"), ("kernel-test", "kernel")])
def test_stage_that_hangs_is_ended_and_named(ci: Machine, hangs: str, name: str) -> None:
    script = ci.clone / ".ci/run"
    short = f'[ "$1" != {name} ] || set -- "$1" 0.005 "${{@:3}}"'
    text = script.read_text()
    for head in ("stage() { # NAME MINUTES COMMAND...", "beside() { # NAME MINUTES COMMAND..."):
        assert head in text
        text = text.replace(head, f"{head}\n    {short}")
    script.write_text(text)
    ci.program("make", f'#!/bin/sh\n[ "$1" != {hangs} ] || exec sleep 60\n')
    done = ci.run(".ci/run")
    assert done.returncode == 1
    assert re.search(rf"^{name} .*FAILED: not done in 0.005 minutes", done.stdout, re.MULTILINE)


def test_limits_stay_below_an_hour(ci: Machine) -> None:
    text = (ci.clone / ".ci/run").read_text()
    minutes = dict(re.findall(r"^(?:stage|beside) (\w+) (\d+) ", text, re.MULTILINE))
    assert set(minutes) == set(STAGES)
    counted = {name: int(n) for name, n in minutes.items() if name not in {"kernel", "roots"}}
    assert sum(counted.values()) < 60
