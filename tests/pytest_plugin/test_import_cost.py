"""Suites that do not use the plug-in do not notice it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.pytest_plugin.conftest import TOP, Run

HEAVY = ("cryptography", "fido2", "sqlite3", "cbor2", "rich", "click", "asyncio")
OURS = ("fidokit.virtual", "fidokit.client", "fidokit.testing", "fidokit.openssh", "fidokit.keys")

WHAT_IS_LOADED = f"""
import sys

def heavy():
    return sorted(
        name for name in sys.modules
        if name.partition(".")[0] in {HEAVY!r} or name.startswith({OURS!r})
    )
"""


def test_importing_it_brings_in_nothing_of_weight() -> None:
    script = """
import pytest, sys
before = set(sys.modules)
import fidokit.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(TOP / "src")},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.split() == ["fidokit", "fidokit.pytest_plugin"]


def test_a_suite_without_our_fixtures(suite: Run) -> None:
    result = suite(
        WHAT_IS_LOADED
        + """
def test_nothing_of_weight(request):
    assert request.config.pluginmanager.has_plugin("fidokit")
    assert "fidokit.pytest_plugin" in sys.modules
    assert heavy() == []
"""
    )
    result.assert_outcomes(passed=1)


def test_fixtures_bring_it_in(suite: Run) -> None:
    result = suite(
        WHAT_IS_LOADED
        + """
def test_used(virtual_token):
    assert {"cryptography", "fido2", "fidokit.virtual.token"} <= set(heavy())
"""
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("argument", ["-pno:fidokit", "--collect-only"])
def test_it_can_be_switched_off_and_collected(suite: Run, argument: str) -> None:
    result = suite("def test_it(): pass", argument)
    assert result.ret == pytest.ExitCode.OK
