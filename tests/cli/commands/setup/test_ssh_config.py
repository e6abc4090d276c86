"""`fidokit ssh-config`: the block, put in and taken out. tests/interop asks the real ssh."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.keys.test_ssh_config import SSH
from tests.support.agent_keys import executable
from tests.support.sandbox import Sandbox

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def ssh(in_process: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (sandbox.home / "bin").mkdir()
    executable(sandbox.home / "bin" / "ssh", SSH)
    monkeypatch.setenv("PATH", str(sandbox.home / "bin"), prepend=":")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (sandbox.home / "id").write_text("no key")


def test_printed(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    assert in_process("ssh-config", "-f", "id", "alice@a.example", "--port", "22") == 0
    assert capsys.readouterr().out == (
        "Host a.example\n"
        "    User alice\n"
        "    Port 22\n"
        f"    IdentityFile {sandbox.home}/id\n"
        "    IdentitiesOnly yes\n"
    )
    words = ("-f", "id", "--provider", "/x.so", "--agent", "none", "--json")
    assert in_process("ssh-config", "a", "b", *words) == 0
    found = json.loads(capsys.readouterr().out)["ssh_config"]
    assert [one["host"] for one in found["blocks"]] == ["a", "b"]
    assert "    SecurityKeyProvider /x.so\n    IdentityAgent none\n" in found["blocks"][0]["text"]
    assert found["file"] is None
    assert not (sandbox.home / ".ssh").exists()


def test_in_and_out(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    config = sandbox.home / ".ssh/config"
    assert in_process("ssh-config", "--install", "-f", "id", "alice@a", "b") == 0
    said = capsys.readouterr()
    assert said.out == (
        "added  a\nadded  b\nFile: ~/.ssh/fidokit.conf\n"
        "Its Include line is the first of ~/.ssh/config.\n"
    )
    assert said.err.count("HOME is not your home folder") == 1
    assert in_process("ssh-config", "--install", "-f", "id", "b", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ssh_config"]["present"] == ["b"]
    assert config.exists()
    assert in_process("ssh-config") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Host a\n    User alice\n")
    assert "\n\nHost b\n" in shown
    assert in_process("ssh-config", "--json") == 0
    found = json.loads(capsys.readouterr().out)["ssh_config"]["blocks"]
    assert "\n".join(one["text"] for one in found) == shown
    assert in_process("ssh-config", "--remove", "b") == 0
    assert in_process("ssh-config", "--remove") == 0
    assert capsys.readouterr().out == (
        "removed  b\nFile: ~/.ssh/fidokit.conf\nremoved  a\n~/.ssh/config is as it was before.\n"
    )
    assert not config.exists()
    assert in_process("ssh-config", "--remove") == 0
    assert capsys.readouterr().out == "No block is in ~/.ssh/fidokit.conf.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a host"),
        (("--remove", "--install"), "--remove goes with hosts alone"),
        (("--remove", "--port", "22"), "--remove goes with hosts alone"),
        (("-f", "id", "a b"), "is not a host"),
        (("-f", "id", "--", "-oProxyCommand=x"), "is not a host"),
        (("a",), "there is no key of a token in ~/.ssh"),
    ],
)
def test_usage(in_process: Run, capsys: Capture, words: tuple[str, ...], said: str) -> None:
    assert in_process("ssh-config", *words) == 2
    assert said in capsys.readouterr().err


def test_what_ssh_does_not_take(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    executable(sandbox.home / "bin/ssh", "import sys; sys.exit('Bad configuration option')")
    assert in_process("ssh-config", "-f", "id", "a") == 1
    assert "Bad configuration option" in capsys.readouterr().err


def test_a_virtual_token_needs_the_provider(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("fidokit.provider.need.provider_path", lambda: Path("/ours.so"))
    assert in_process("virtual", "create", "t") == 0
    assert in_process("key", "generate", "-q", "-f", "sk", "--no-passphrase") == 0
    capsys.readouterr()
    assert in_process("ssh-config", "-f", "sk", "a") == 0
    assert "    SecurityKeyProvider /ours.so\n" in capsys.readouterr().out
