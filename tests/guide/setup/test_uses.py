"""The steps of setup with a key: servers, accounts, ssh, git, each without the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.key_site import ACCOUNT, key_site
from tests.support.setup_bench import (
    DONE,
    FAILED,
    OPEN,
    PRESENT,
    SKIPPED,
    WHO,
    Alice,
    Bench,
    outcomes,
)

from fidokit.errors import FidokitError
from fidokit.guide import ssh_login
from fidokit.guide.setup import use_steps
from fidokit.guide.setup.answers import Answers
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.outcome import Authorized, FileChange
from fidokit.server.authorize.standing import Admittance, KeyStanding
from fidokit.server.authorize.wishes import WantedKey
from fidokit.signing.git_config import Git

# --- where the key goes --------------------------------------------------------------------------


def _authorized(standing: Admittance, added: bool = True) -> Callable[..., Authorized]:
    def authorize(keys: Sequence[str], place: object, **_: object) -> Authorized:
        from fidokit.files.scan import read_key

        line = read_key(Path(keys[0]))[0]
        key = WantedKey(line.key, line.comment)
        change = Change(b"", b"x", added=("x",) if added else ())  # type: ignore[arg-type]
        made = KeyStanding(key, standing, "because" if standing != Admittance.LETS_IN else "", "do")
        return Authorized((FileChange("f", change),), standings=(made,))

    return authorize


@pytest.fixture
def ssh(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """ssh that agrees with its configuration; `problem` is what is wrong with logins."""
    said = {"problem": ""}
    monkeypatch.setattr("fidokit.keys.ssh_config.disagreements", lambda *_: [])
    monkeypatch.setattr(ssh_login, "provider_for_key", lambda _: "")
    monkeypatch.setattr(ssh_login, "login_problem", lambda *_: said["problem"])
    return said


def test_a_server(bench: Bench, ssh: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_steps, "authorize_keys", _authorized(Admittance.LETS_IN))
    alice = Alice({"git.sign": False, "login.servers": "alice@a.example"})
    found = bench.run(alice)
    assert found["login"][0].sentence == "alice@a.example: lets in"
    assert found["login"][0].commands == (
        "fidokit server authorize ~/.ssh/id_ed25519_sk.pub --host alice@a.example",
    )
    assert "Host a.example\n    User alice\n" in (bench.home / ".ssh/fidokit.conf").read_text()
    assert outcomes(found)["test login"] == [DONE]
    assert found["test login"][0].commands == ("ssh alice@a.example",)
    assert "test" not in found  # the login is the proof
    again = bench.run(Alice({"git.sign": False}))
    assert [step.outcome for step in again["login"]] == [PRESENT]
    assert outcomes(again)["ssh-config"] == [PRESENT]
    ssh["problem"] = "Permission denied"
    failed = bench.run(Alice({"git.sign": False}))
    assert "Permission denied" in failed["test login"][0].sentence
    assert outcomes(failed)["test login"] == [FAILED]


def test_a_server_with_ssh_as_it_is(
    bench: Bench, ssh: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_steps, "authorize_keys", _authorized(Admittance.ACCEPTED, added=False))
    answers = {"login.servers": ["h"], "login.ssh_config": False, "git.sign": False}
    found = bench.run(Answers(answers), ssh=("ssh", "-p", "2222"))
    assert outcomes(found)["login"] == [PRESENT]
    assert outcomes(found)["ssh-config"] == [SKIPPED]
    assert "server authorize -e 'ssh -p 2222'" in found["login"][0].commands[0]
    (command,) = found["test login"][0].commands
    assert command.startswith("ssh -p 2222 -i ")
    no = bench.run(Answers({**answers, "login.test": False}))
    assert outcomes(no)["test login"] == [SKIPPED]


def test_a_server_that_refuses(
    bench: Bench, ssh: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise FidokitError("nobody answers", hint="look")

    answers = Answers({"login.servers": ["a", "b"], "git.sign": False})
    monkeypatch.setattr(use_steps, "authorize_keys", _authorized(Admittance.REFUSED))
    found = bench.run(answers)
    assert outcomes(found)["login"] == [FAILED, FAILED]
    assert (found["login"][0].hint, "ssh-config" in found) == ("do", False)
    monkeypatch.setattr(use_steps, "authorize_keys", failing)
    found = bench.run(answers)
    assert found["login"][0].sentence == "nobody answers"
    assert outcomes(found)["test"] == [DONE]


def test_github_by_its_program(bench: Bench, ssh: dict[str, str], tmp_path: Path) -> None:
    with key_site(tmp_path, "gh") as site:
        site.log_in(ACCOUNT, "admin:public_key", "admin:ssh_signing_key")
        answers = Answers({"publish.github": True, "git.sign": False})
        found = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(found)["GitHub"] == [DONE, DONE]
        assert found["GitHub"][1].commands[0].endswith(".pub --signing")
        assert site.keys() == site.keys("signing") != []
        assert "    User git\n" in (bench.home / ".ssh/fidokit.conf").read_text()
        assert found["test login"][0].commands == ("ssh git@127.0.0.1",)
        again = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(again)["GitHub"] == [PRESENT, PRESENT]
        site.log_in(ACCOUNT)
        for kind in ("authentication", "signing"):
            (site.folder / kind).unlink()
        refused = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(refused)["GitHub"] == [FAILED, FAILED]
        assert "gh auth refresh" in refused["GitHub"][0].hint


@pytest.mark.parametrize("prefix", ["gh", "gl"])
def test_by_hand(bench: Bench, ssh: dict[str, str], tmp_path: Path, prefix: str) -> None:
    name = {"gh": "GitHub", "gl": "GitLab"}[prefix]
    with key_site(tmp_path, prefix, installed=False) as site:
        environ = site.environ(os.environ["PATH"])
        yes = {f"publish.{name.lower()}": True, "git.sign": False, "publish.signing": False}
        found = bench.run(Answers(yes), environ=environ)
        assert outcomes(found)[name] == [OPEN, OPEN]
        assert site.host in found[name][0].sentence
        public = (bench.home / ".ssh/id_ed25519_sk.pub").read_text().strip()
        assert found[name][0].paste == public
        not_yet = bench.run(Alice({**yes, "": ""}), environ=environ)
        assert outcomes(not_yet)[name] == [OPEN, OPEN]
        site.put("authentication", public)
        seen = bench.run(Alice({**yes, "": ACCOUNT}), environ=environ)
        assert outcomes(seen)[name] == [OPEN, PRESENT]
        (command,) = seen[name][1].commands
        assert command == f"fidokit key publish {prefix}:{ACCOUNT} ~/.ssh/id_ed25519_sk.pub"
        assert f"{prefix}:NAME" in not_yet[name][1].commands[0]
        twice = bench.run(Alice({**yes, "publish.signing": True, "": ACCOUNT}), environ=environ)
        assert outcomes(twice)[name] == (
            [OPEN, PRESENT, OPEN] if prefix == "gh" else [OPEN, PRESENT]
        )
        assert len([step for step in twice[name] if step.paste]) == 1


def test_a_key_without_touch(bench: Bench, tmp_path: Path) -> None:
    from fidokit.keys.generation import GenerateRequest, generate_key
    from fidokit.types import KeyType

    (bench.home / ".ssh").mkdir(mode=0o700)
    path = bench.home / ".ssh/id"
    with bench.tokens.open() as session:
        generate_key(session, GenerateRequest(KeyType.ECDSA_SK, path=path, touch_required=False))
    with key_site(tmp_path, "gh", installed=False) as site:
        answers = Answers({"publish.github": True, "git.sign": False, "set_pin": False})
        found = bench.run(answers, environ=site.environ(os.environ["PATH"]))
    assert found["GitHub"][0].sentence == use_steps.NO_TOUCH


def test_nobody_is_there_for_the_pin(
    bench: Bench, ssh: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other programs would ask for is not tried: that proves nothing."""
    monkeypatch.setattr(use_steps, "authorize_keys", _authorized(Admittance.ACCEPTED))
    monkeypatch.setattr("fidokit.prompt.questions.has_terminal", lambda: False)
    values = {"key.verify_required": True, "login.servers": ["h"], "git.email": WHO}
    found = bench.run(Answers(values), git=Git())
    for name in ("test login", "test commit"):
        assert found[name][0].outcome == SKIPPED
        assert use_steps.NOBODY in found[name][0].sentence
    assert outcomes(found)["test"] == [DONE]  # by our own signer, which knows the PIN
    environ = {"SSH_ASKPASS": "/bin/askpass", "SSH_ASKPASS_REQUIRE": "force"}
    found = bench.run(Answers({**values, "git.test": False}), git=Git(), environ=environ)
    assert outcomes(found)["test login"] == [DONE]


# --- git -----------------------------------------------------------------------------------------


def test_git(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_steps, "prove_signing", lambda *_: f'Good "git" signature for {WHO}')
    alice = Alice({"git.email": WHO, "git.every_commit": False})
    found = bench.run(alice, git=Git())
    assert outcomes(found)["git"] == [DONE]
    assert found["git"][0].commands == (
        f"fidokit git setup -f ~/.ssh/id_ed25519_sk --principal {WHO} --on-request",
    )
    assert outcomes(found)["test commit"] == [DONE]
    assert Git().effective("user.signingKey") == "~/.ssh/id_ed25519_sk"
    assert Git().effective("commit.gpgSign") == ""
    again = Alice({"git.test": False})
    found = bench.run(again, git=Git())
    assert outcomes(found)["git"] == [PRESENT]
    assert "git.sign" not in again.asked
    assert outcomes(found)["test commit"] == [SKIPPED]


def test_git_without_an_address(bench: Bench) -> None:
    found = bench.run(Answers(), git=Git())
    assert found["git"][0].sentence == "git does not know your address"
    Git().put("user.email", [WHO])
    found = bench.run(Answers({"git.test": False}), git=Git())
    assert found["git"][0].commands == ("fidokit git setup -f ~/.ssh/id_ed25519_sk",)


def test_a_commit_that_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> str:
        raise FidokitError("it does not verify", hint="look")

    monkeypatch.setattr(use_steps, "prove_signing", failing)
    found = bench.run(Answers({"git.email": WHO}), git=Git())
    assert outcomes(found)["test commit"] == [FAILED]
    assert outcomes(found)["test"] == [DONE]
