"""The path of setup in process: a token on a desk, and somebody who answers by heart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.desk import Desk
from tests.support.key_site import ACCOUNT, key_site

from fidokit.client.session import Session
from fidokit.errors import FidokitError, Interrupted, PinRequired, UsageError
from fidokit.guide import ssh_login
from fidokit.guide.setup import token_steps, use_steps
from fidokit.guide.setup.answers import Answers, Asker
from fidokit.guide.setup.desk import SetupDesk, SetupState, StepOutcome, StepReport
from fidokit.guide.setup.path import TITLES, run_setup
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.outcome import Authorized, FileChange
from fidokit.server.authorize.standing import Admittance, KeyStanding
from fidokit.server.authorize.wishes import WantedKey
from fidokit.signing.git_config import Git
from fidokit.virtual.token import VirtualToken

WHO = "alice@example.org"
DONE, PRESENT, SKIPPED = StepOutcome.DONE, StepOutcome.PRESENT, StepOutcome.SKIPPED
OPEN, FAILED = StepOutcome.OPEN, StepOutcome.FAILED


@dataclass
class Alice:
    """Answers by the names of questions, several in a row where a list is given."""

    says: Mapping[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_person: bool = True

    def _answer(self, name: str, default: object) -> object:
        self.asked.append(name)
        found = self.says.get(name, default)
        return found.pop(0) if isinstance(found, list) and found else found

    def yes(self, name: str, question: str, *, default: bool) -> bool:
        assert question.endswith(("?", "."))
        return bool(self._answer(name, default))

    def text(self, name: str, question: str, default: str = "") -> str:
        assert question
        return str(self._answer(name, default))

    def texts(self, name: str, question: str) -> Iterator[str]:
        found = self._answer(name, "")
        return iter([str(found)] if found else [])

    def choice(self, name: str, question: str, options: Sequence[str], default: int = 0) -> int:
        self.asked.append(f"{name}: {', '.join(options)}")
        found = self.says.get(name, default)
        assert isinstance(found, int)
        return found

    def given(self, name: str) -> object:
        return None

    def wait(self, what: str) -> bool:
        return bool(self._answer("wait", default=False))


@dataclass
class Bench:
    """A desk of tokens, and what setup shows."""

    tokens: Desk
    home: Path
    titles: list[str] = field(default_factory=list)

    def run(self, asker: Asker, **more: object) -> dict[str, list[StepReport]]:
        state = self.state(asker, **more)
        found: dict[str, list[StepReport]] = {}
        for step in run_setup(state.desk).steps:
            assert step.sentence
            assert "\n" not in step.sentence
            found.setdefault(step.name, []).append(step)
        return found

    def state(self, asker: Asker, **more: object) -> SetupState:
        def open_token(selector: str | None) -> AbstractContextManager[Session]:
            return self.tokens.open(selector)

        desk = SetupDesk(
            asker=asker,
            interaction=self.tokens.person,
            open_token=open_token,
            open_backup=open_token,
            new_passphrase=lambda _: b"",
            old_passphrase=lambda _: b"",
            begin=lambda title, why: self.titles.append(title if why else ""),
            report=lambda _: None,
            environ={"PATH": os.environ["PATH"]},
        )
        return SetupState(replace(desk, **more))  # type: ignore[arg-type]


@pytest.fixture
def bench(bare_desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr(use_steps, "open_signer", _signer(bare_desk))
    return Bench(bare_desk, home)


def _signer(tokens: Desk) -> Callable[..., object]:
    """`open_signer` with the desk's tokens in place of this machine's."""
    from fidokit.signing.signers import open_signer

    def opened(path: Path, interaction: object, **how: object) -> object:
        return open_signer(path, tokens.person, backends=[tokens], agent=False)

    return opened


def outcomes(found: Mapping[str, list[StepReport]]) -> dict[str, list[StepOutcome]]:
    return {name: [step.outcome for step in steps] for name, steps in found.items()}


# --- the whole path ------------------------------------------------------------------------------


def test_from_a_new_token_to_a_key_that_signs(bench: Bench) -> None:
    found = bench.run(Alice({"git.sign": False}))
    assert outcomes(found) == {
        "token": [DONE],
        "pin": [DONE],
        "key": [DONE],
        "backup": [SKIPPED],
        "login": [SKIPPED],
        "GitHub": [SKIPPED],
        "GitLab": [SKIPPED],
        "git": [SKIPPED],
        "test": [DONE],
    }
    assert bench.titles == [TITLES[n][0] for n in TITLES if n not in {"config", "try"}]
    made = bench.home / ".ssh" / "id_ed25519_sk"
    assert made.stat().st_mode & 0o777 == 0o600
    assert all(step.commands for steps in found.values() for step in steps)
    (command,) = found["key"][0].commands
    assert command == "fidokit key generate -t ed25519-sk -O resident -f ~/.ssh/id_ed25519_sk"


def test_a_second_run_passes_what_is_done(bench: Bench) -> None:
    alice = Alice({"git.sign": False})
    bench.run(alice)
    again = bench.run(alice)
    assert [again[name][0].outcome for name in ("pin", "key")] == [PRESENT, PRESENT]
    assert any("on this token" in asked and "a new key" in asked for asked in alice.asked)
    assert len(list((bench.home / ".ssh").glob("id_*"))) == 2


def test_explanations_fit_a_line() -> None:
    for _, why in TITLES.values():
        assert len(why) <= 76


def test_all_is_skipped(bench: Bench) -> None:
    no = dict.fromkeys(("set_pin", "git.sign", "test", "key.resident"), False)
    found = bench.run(Alice(no))
    assert [step.outcome for steps in found.values() for step in steps].count(SKIPPED) == 7
    assert found["key"][0].commands == (
        "fidokit key generate -t ed25519-sk -f ~/.ssh/id_ed25519_sk",
    )


def test_no_key_now(bench: Bench) -> None:
    bench.run(Alice({"git.sign": False}))
    found = bench.run(Alice({"key.use": 2}))
    assert found["key"][0].outcome == SKIPPED
    assert "login" not in found


def test_the_user_ends_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise Interrupted("the question was not answered")

    monkeypatch.setattr(use_steps, "email_of", closed)
    with pytest.raises(Interrupted):
        bench.run(Alice())
    assert (bench.home / ".ssh" / "id_ed25519_sk").exists()


# --- token, PIN, key -----------------------------------------------------------------------------


def test_an_old_token(bench: Bench) -> None:
    bench.tokens.plugged.clear()
    bench.tokens.plug("OLD", VirtualToken(profile="u2f"))
    alice = Alice({"git.sign": False})
    found = bench.run(alice)
    assert found["pin"][0].outcome == SKIPPED
    assert "key.resident" not in alice.asked
    assert (bench.home / ".ssh" / "id_ecdsa_sk").exists()
    assert "keys for it are in files alone" in found["token"][0].sentence


def test_a_pin_that_must_be_changed(bench: Bench) -> None:
    from fidokit.tokens import owner

    with bench.tokens.open() as session:
        owner.set_pin(session)
        owner.force_pin_change(session)
    bench.tokens.person.new_pin = "9876543"
    state = bench.state(Alice())
    with bench.tokens.open() as session:
        token_steps.set_pin(state, session)
    assert state.steps[0].sentence == "the PIN is changed"


def test_a_second_resident_key_needs_another_name(bench: Bench) -> None:
    bench.run(Alice({"git.sign": False}))
    again = Alice({"git.sign": False, "key.use": 1, "key.application": ["ssh:", "work"]})
    found = bench.run(again)
    assert outcomes(found)["key"] == [OPEN, DONE]
    assert "application=ssh:work" in found["key"][1].commands[0]
    assert found["key"][1].sentence.startswith("~/.ssh/id_ed25519_sk_work, ")


def test_a_file_that_is_taken(bench: Bench) -> None:
    folder = bench.home / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "id_ed25519_sk").write_text("something else\n")
    taken = str(folder / "id_ed25519_sk")
    found = bench.run(Alice({"git.sign": False, "key.file": [taken, str(folder / "x y")]}))
    assert outcomes(found)["key"] == [OPEN, DONE]
    assert found["key"][1].commands[0].endswith("-f ~/'.ssh/x y'")
    assert (folder / "id_ed25519_sk").read_text() == "something else\n"
    found = bench.run(Alice({"git.sign": False, "key.use": 1, "key.application": "b"}))
    assert found["key"][0].sentence.startswith("~/.ssh/id_ed25519_sk_b, ")


def test_a_backup_in_the_same_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_steps, "list_tokens", lambda **how: _listed(bench.tokens, **how))
    answers: dict[str, object] = {"git.sign": False, "key.resident": False, "key.backup": True}
    found = bench.run(Alice({**answers, "wait": False}))
    assert found["backup"][0].sentence == "no other token is plugged in"
    bench.tokens.plug("TWO")
    found = bench.run(_Chooser(answers), selector="usb:ONE")
    assert found["backup"][0].outcome == DONE, found["backup"]
    assert "usb:TWO" in found["backup"][0].commands[0]
    assert (bench.home / ".ssh" / "id_ed25519_sk_backup.pub").exists()
    found = bench.run(_Chooser(answers), selector="usb:ONE")
    assert found["backup"][0].outcome == PRESENT


class _Chooser(Alice):
    """Takes the first of each list."""

    def choice(self, name: str, question: str, options: Sequence[str], default: int = 0) -> int:
        return 0


def _listed(tokens: Desk, **how: bool) -> object:
    from fidokit.tokens.access import list_tokens

    return list_tokens(backends=[tokens], **how)


def test_a_backup_that_fails_ends_nothing(bench: Bench) -> None:
    values = {"git.sign": False, "key.backup": "usb:NONE", "set_pin": False}
    found = bench.run(Answers(values))
    assert outcomes(found)["backup"] == [FAILED]
    assert outcomes(found)["test"] == [DONE]
    same = bench.run(Answers({**values, "key.backup": "usb:ONE"}))
    assert same["backup"][0].sentence == "this is the same token"


# --- a file of answers ---------------------------------------------------------------------------


def test_answers_of_a_file(bench: Bench) -> None:
    values = {
        "key.file": "~/.ssh/id_work",
        "key.application": "work",
        "key.comment": "alice at work",
        "key.verify_required": True,
        "key.type": "ecdsa-sk",
        "git.sign": False,
    }
    found = bench.run(Answers(values))
    (command,) = found["key"][0].commands
    assert command.startswith("fidokit key generate -t ecdsa-sk -O resident -O application=")
    assert command.endswith("=ssh:work -O verify-required -f ~/.ssh/id_work")
    assert (bench.home / ".ssh" / "id_work.pub").read_text().endswith(" alice at work\n")
    again = bench.run(Answers(values))
    assert again["key"][0].outcome == PRESENT


def test_a_key_that_is_named(bench: Bench) -> None:
    bench.run(Answers({"git.sign": False, "key.file": "~/.ssh/a"}))
    bench.run(Answers({"git.sign": False, "key.file": "~/.ssh/b", "key.application": "b"}))
    found = bench.run(Answers({"git.sign": False, "key.use": "~/.ssh/b"}))
    assert found["key"][0].sentence.startswith("~/.ssh/b, SHA256:")
    with pytest.raises(UsageError, match="there are 2 keys") as caught:
        bench.run(Answers({"git.sign": False}))
    assert "~/.ssh/a, ~/.ssh/b" in caught.value.hint
    (bench.home / ".ssh" / "plain.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ==\n")
    with pytest.raises(FidokitError):
        bench.run(Answers({"key.use": "~/.ssh/plain.pub"}))
    with pytest.raises(FidokitError, match="does not exist"):
        bench.run(Answers({"key.use": "~/.ssh/missing"}))


def test_a_wish_that_the_token_cannot_meet_is_an_error(bench: Bench) -> None:
    with pytest.raises(FidokitError, match="PIN"):
        bench.run(Answers({"set_pin": False, "key.resident": True}))


def test_nobody_gives_a_pin(bench: Bench) -> None:
    bench.tokens.person.new_pin = None
    with pytest.raises(PinRequired):
        bench.run(Answers())


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


def test_github_by_its_program(bench: Bench, tmp_path: Path) -> None:
    with key_site(tmp_path, "gh") as site:
        site.log_in(ACCOUNT, "admin:public_key", "admin:ssh_signing_key")
        answers = Answers({"publish.github": True, "git.sign": False})
        found = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(found)["GitHub"] == [DONE, DONE]
        assert found["GitHub"][1].commands[0].endswith(".pub --signing")
        assert site.keys() == site.keys("signing") != []
        again = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(again)["GitHub"] == [PRESENT, PRESENT]
        site.log_in(ACCOUNT)
        for kind in ("authentication", "signing"):
            (site.folder / kind).unlink()
        refused = bench.run(answers, environ=site.environ(os.environ["PATH"]))
        assert outcomes(refused)["GitHub"] == [FAILED, FAILED]
        assert "gh auth refresh" in refused["GitHub"][0].hint


@pytest.mark.parametrize("prefix", ["gh", "gl"])
def test_by_hand(bench: Bench, tmp_path: Path, prefix: str) -> None:
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
