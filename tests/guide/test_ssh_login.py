"""What ssh has to know for a host, and how a login is told from one by another key."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.guide import ssh_login
from fidokit.guide.ssh_login import host_block, login_problem, our_agent

PRINT = "SHA256:" + "a" * 43
SSH = """
import sys
log = sys.argv[sys.argv.index("-E") + 1]
open(log, "a").write({said!r})
sys.exit({code})
"""
IN = 'Authenticated to h ([127.0.0.1]:22) using "publickey".\n'


@pytest.fixture
def key(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ssh_login, "provider_for_key", lambda path: f"/lib/for/{path.name}")
    path = home / "id.pub"
    path.touch()
    return path


def test_a_block_has_what_is_needed(key: Path) -> None:
    made = host_block("alice@example.org", key, environ={})
    assert (made.host, made.user, made.identity) == ("example.org", "alice", key)
    assert (made.provider, made.agent) == ("/lib/for/id.pub", "")
    key.with_suffix("").touch()
    assert host_block("example.org", key, environ={}).identity == key.with_suffix("")
    made = host_block("h", key, port=22, provider="none", agent="none", environ={})
    assert (made.port, made.provider, made.agent) == (22, "", "none")


def test_our_agent_counts_while_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert our_agent({}) == ""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert our_agent(environ) == ""
    (tmp_path / "fidokit").mkdir()
    monkeypatch.chdir(tmp_path / "fidokit")  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("agent.sock")
        listening.listen()
        assert our_agent(environ) == f"{tmp_path}/fidokit/agent.sock"
    assert our_agent(environ) == ""


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (f"debug1: Server accepts key: x {PRINT} explicit\n{IN}", ""),
        (f"debug1: Server accepts key: x SHA256:other\n{IN}", "another key than this one lets in"),
        (f"debug1: Server accepts key: x {PRINT}\n{PRINT}: Permission denied\n", "denied"),
        ('Authenticated to h using "password".\n', "password"),
        ("", "says nothing"),
    ],
)
def test_logins(tmp_path: Path, said: str, problem: str) -> None:
    ssh = executable(tmp_path / "ssh", SSH.format(said=said, code=0 if IN in said else 255))
    found = login_problem([str(ssh)], "alice@h", PRINT)
    assert (problem in found) if problem else not found
    assert login_problem([str(tmp_path / "missing")], "h", PRINT).endswith("says nothing")
