"""`fidokit git setup`: what it says it changes, changes, and puts back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.support.sandbox import Sandbox

from fidokit.prompt import questions
from fidokit.signing.git_config import Git

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]
WHO = "alice@example.org"


@pytest.fixture(autouse=True)
def key(in_process: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    path = sandbox.home / "id.pub"
    path.write_bytes(text(TOKEN))
    return path


def signers(sandbox: Sandbox) -> str:
    return (sandbox.home / ".ssh/allowed_signers").read_text()


def test_there_and_back(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    words = ("git", "setup", "-f", "id.pub", "--principal", WHO, "--program", "/opt/p")
    assert in_process(*words, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("would set  gpg.format = ssh\n")
    assert Git().values("gpg.format") == []
    assert in_process(*words) == 0
    said = capsys.readouterr()
    assert "set  gpg.ssh.program = /opt/p\n" in said.out
    assert f"add  {WHO} to ~/.ssh/allowed_signers\n     SHA256:" in said.out
    assert f"set  user.email = {WHO}\n" in said.out
    assert said.out.endswith("To undo it: fidokit git setup --undo\n")
    assert in_process(*words) == 0
    assert capsys.readouterr().out.endswith("Nothing changes.\n")
    assert in_process("git", "setup", "--global", "--undo") == 0
    assert "unset  gpg.format\n" in capsys.readouterr().out
    assert (signers(sandbox), Git().values("gpg.format")) == ("", [])
    assert in_process("git", "setup", "--undo", "--json") == 0
    undone = json.loads(capsys.readouterr().out)["undone"]
    assert undone == {"restored": [], "left": [], "allowed_signers": None, "lines": []}


def test_the_address_of_git_and_its_key(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    Git().put("user.email", [WHO])
    Git().put("gpg.format", ["ssh"])
    Git().put("user.signingKey", [str(sandbox.home / "id.pub")])
    assert in_process("git", "setup", "--json", "--on-request") == 0
    found = json.loads(capsys.readouterr().out)["git"]
    assert found["scope"] == "global"
    assert found["present"] == ["gpg.format", "user.signingKey"]
    assert [one["name"] for one in found["settings"]] == [
        "gpg.ssh.program",
        "gpg.ssh.allowedSignersFile",
    ]
    assert found["lines"] == signers(sandbox).splitlines()
    assert found["proved"] is None


def test_others_may_sign(
    in_process: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fetch(address: str) -> bytes:
        pages = {
            "https://api.github.com/users/bob/ssh_signing_keys?per_page=100": b"[]",
            "https://github.com/bob.keys": text(PLAIN),
            "https://gitlab.com/carol.keys": text(OTHER),
        }
        return pages[address]

    monkeypatch.setattr("fidokit.server.authorize.download.fetch", fetch)
    monkeypatch.setattr(questions, "ask_line", lambda _: "carol@example.org")
    words = ("git", "setup", "-f", "id.pub", "--principal", WHO)
    more = ("--signer", "bob@example.org=gh:bob", "--signer", "gl:carol")
    assert in_process(*words, *more) == 0
    assert "gh:bob publishes no key for signatures" in capsys.readouterr().err
    lines = signers(sandbox).splitlines()
    assert [line.split()[0] for line in lines] == [WHO, "bob@example.org", "carol@example.org"]
    assert all(' namespaces="git" ' in line for line in lines)


def test_nobody_says_whose_it_is(in_process: Run, capsys: Capture) -> None:
    assert in_process("git", "setup", "-f", "id.pub") == 2
    assert "--principal EMAIL" in capsys.readouterr().err
    assert in_process("git", "setup", "-f", "id.pub", "--principal", WHO, "--signer", "gh:x") == 2
    assert "the email address of gh:x is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--local", "--global"), "exclude each other"),
        (("--undo", "--test"), "--undo goes with"),
        (("--undo", "--principal", "x"), "--undo goes with"),
        ((), "there is no key of a token in ~/.ssh"),
    ],
)
def test_usage(in_process: Run, capsys: Capture, words: tuple[str, ...], said: str) -> None:
    assert in_process("git", "setup", *words) == 2
    assert said in capsys.readouterr().err


def test_the_only_key_is_taken_and_one_of_several_is_named(
    in_process: Run, sandbox: Sandbox, capsys: Capture
) -> None:
    assert in_process("virtual", "create", "t") == 0
    for name in ("id_a", "id_a_backup", "id_b"):
        (sandbox.home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        made = ("key", "generate", "-q", "-f", f".ssh/{name}", "--no-passphrase")
        assert in_process(*made) == 0
        words = ("git", "setup", "--principal", WHO, "--dry-run")
        assert in_process(*words) == (2 if name == "id_b" else 0)
    assert "name one with -f: ~/.ssh/id_a, ~/.ssh/id_b" in capsys.readouterr().err


def test_a_commit_proves_it(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    """git calls our signer, which finds the token that made the key."""
    assert in_process("virtual", "create", "t") == 0
    assert in_process("key", "generate", "-q", "-f", "sk", "--no-passphrase") == 0
    capsys.readouterr()
    words = ("git", "setup", "-f", "sk", "--principal", WHO, "--test")
    assert in_process(*words) == 0
    assert f'Proved: Good "git" signature for {WHO} with ED25519-SK key' in capsys.readouterr().out
    (sandbox.home / ".ssh/allowed_signers").write_text("")
    assert in_process("virtual", "delete", "t", "--yes") == 0
    assert in_process(*words) == 1
    assert "git does not sign and verify with this" in capsys.readouterr().err
