"""`fidokit agent units`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.sandbox import Sandbox

from fidokit.cli.commands.agent import units


def test_shown(sandbox: Sandbox) -> None:
    done = sandbox.run("agent", "units")
    assert done.code == 0
    assert "ListenStream=%t/fidokit/agent.sock" in done.out
    assert "ExecStart=fidokit agent serve" in done.out
    document = json.loads(sandbox.run("agent", "units", "--json").out)
    assert sorted(document["units"]) == ["fidokit-agent.service", "fidokit-agent.socket"]


def test_installed(sandbox: Sandbox) -> None:
    done = sandbox.run("agent", "units", "--install")
    assert done.code == 0, done.err
    assert "systemctl --user" in done.err
    assert sorted(path.name for path in (sandbox.home / "config/systemd/user").iterdir()) == [
        "fidokit-agent.service",
        "fidokit-agent.socket",
    ]


def test_they_start_the_program_that_was_called(
    in_process: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "fidokit"
    program.write_text("")
    monkeypatch.setattr("sys.argv", [str(program)])
    assert units.this_program() == program
    monkeypatch.setattr("sys.argv", ["-m"])
    assert units.this_program() is None
