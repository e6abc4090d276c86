"""The path of setup in process: a token on a desk, and somebody who answers by heart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.support.desk import Desk
from tests.support.setup_bench import (
    DONE,
    FAILED,
    FOUND,
    OPEN,
    PRESENT,
    SKIPPED,
    Alice,
    Bench,
    outcomes,
)

from fidokit.errors import FidokitError, Interrupted, PinRequired, UsageError
from fidokit.guide.setup import token_steps, use_steps
from fidokit.guide.setup.answers import Answers
from fidokit.guide.setup.path import TITLES
from fidokit.virtual.token import VirtualToken

# --- the whole path ------------------------------------------------------------------------------


def test_from_a_new_token_to_a_key_that_signs(bench: Bench) -> None:
    found = bench.run(Alice({"git.sign": False}))
    assert outcomes(found) == {
        "token": [FOUND],
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
