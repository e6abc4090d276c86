"""The child that handles a PIN: where it comes from, how often it is asked for, what is kept."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.agent_keys import executable
from tests.support.desk import Desk, Person
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.pin import worker
from fidokit.agent.pin.worker import MOST_QUESTIONS, PinWorker
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.ports import PinCode
from fidokit.errors import FidokitError, Interrupted, Malformed, PinRequired, PinWrong, TouchRefused
from fidokit.keys import generation, stored_certificates
from fidokit.keys.generation import GenerateRequest
from fidokit.keys.holder import read_key_file
from fidokit.keys.resident_keys import label_of
from fidokit.keys.stored_certificates import StoredCertificates
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.signatures.signature import parse_signature, verify
from fidokit.prompt import questions
from fidokit.tokens import access
from fidokit.types import Application, CredentialId, CredProtect, KeyType, UserId

ASKPASS = """
import sys
open({log!r}, "a").write(sys.argv[1] + chr(10))
lines = open({answers!r}).read().splitlines()
open({answers!r}, "w").write(chr(10).join(lines[1:]))
print(lines[0])
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SSH_ASKPASS, whose questions are written here; its answers are the lines of `answers`."""
    log, answers = tmp_path / "asked", tmp_path / "answers"
    answers.write_text("2580\n")
    program = executable(tmp_path / "askpass", ASKPASS.format(log=str(log), answers=str(answers)))
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setattr(questions, "TERMINAL", str(tmp_path / "none"))
    return log


Make = Callable[..., PinWorker]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def worker(pin: bytes = b"", **order: object) -> PinWorker:
        read, write = os.pipe()
        os.write(write, pin)
        os.close(write)
        made = PinWorker({"pin_in": read, "what": "login", "key_name": "k", **order})
        made._go.set()  # the agent lets it ask
        return made

    return worker


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line)["event"] for line in lines]


def pin(worker: PinWorker, *, wrong: bool = False, retries: int | None = 8) -> PinCode:
    return worker.ask_pin("Token (usb:1)", retries, "signing", wrong)


def test_the_pin_that_was_kept_comes_first(make: Make, asked: Path) -> None:
    assert pin(make(b"1357")) == PinCode.parse("1357")
    assert not asked.exists()


def test_a_kept_pin_that_is_wrong_is_told_and_asked_for(
    make: Make, asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = make(b"1357")
    pin(worker)
    assert pin(worker, wrong=True, retries=7) == PinCode.parse("2580")
    assert events(capsys) == ["pin_wrong", "ask", "asked"]
    assert "wrong" in asked.read_text()
    assert worker.typed == PinCode.parse("2580")


def test_the_question_says_what_it_is_for(make: Make, asked: Path) -> None:
    pin(make(), retries=1)
    question = asked.read_text()
    for part in ("PIN of Token (usb:1)", "for login", "key k", "1 try left"):
        assert part in question


def test_a_pin_that_no_token_has_costs_no_try(make: Make, asked: Path, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("12\n2580\n")
    assert pin(make()) == PinCode.parse("2580")
    assert "too short" in asked.read_text()


def test_three_questions_and_no_more(make: Make, asked: Path, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("1111\n2222\n3333\n4444\n")
    worker = make()
    for number in range(MOST_QUESTIONS):
        pin(worker, wrong=number > 0)
    with pytest.raises(PinWrong):
        pin(worker, wrong=True)


def test_nobody_to_ask(make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_ASKPASS")
    for method in ("auto", "terminal", "askpass"):
        with pytest.raises(PinRequired):
            pin(make(method=method))


def test_a_client_that_hung_up_is_not_asked_for(make: Make, asked: Path) -> None:
    worker = make()
    worker.stop.set()
    with pytest.raises(Interrupted):
        pin(worker)
    assert not asked.exists()


def test_methods(make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.prompt.pinentry.ask", lambda _text, _error: "9999")
    monkeypatch.setattr("fidokit.prompt.pinentry.available", lambda: True)
    assert pin(make(method="pinentry")) == PinCode.parse("9999")
    assert pin(make(method="auto")) == PinCode.parse("2580")
    monkeypatch.delenv("SSH_ASKPASS")
    assert pin(make(method="auto")) == PinCode.parse("9999")


def test_strangers_text_is_escaped_everywhere(
    make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        "fidokit.prompt.pinentry.ask", lambda text, _: (shown.append(text), "9999")[1]
    )
    for method in ("pinentry", "askpass"):
        pin(make(method=method, what="login as \x1b[2J\u202e"))
    for text in (*shown, asked.read_text()):
        assert "\x1b" not in text
        assert "\\x1b[2J" in text
    assert shown[0].count("\n") == 3


def test_what_was_typed_is_handed_over_only_where_it_is_wanted(make: Make, asked: Path) -> None:
    for keep in (True, False):
        read, write = os.pipe()
        worker._keep({"pin_out": write, "keep": keep}, PinCode.parse("2580"))
        worker._keep({"pin_out": write, "keep": keep}, None)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == (b"2580" if keep else b"")


def test_the_agents_input_lets_it_go_on_and_its_end_cancels(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    worker = make()
    worker._go.clear()
    with os.fdopen(read) as lines:
        monkeypatch.setattr("sys.stdin", lines)
        thread = threading.Thread(target=worker.listen)
        thread.start()
        os.write(write, b"go\n")
        assert worker._go.wait(30)
        assert not worker.stop.is_set()
        os.close(write)
        thread.join(30)
    assert worker.stop.is_set()


def test_touches_are_passed_on(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    worker = make()
    worker.touch_wanted("Token", "why")
    worker.touch_over()
    assert events(capsys) == ["touch_wanted", "touch_over"]
    assert worker.choose_token([]) is None
    with pytest.raises(PinRequired):
        worker.ask_new_pin("Token", 4, 63)


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def key(desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch) -> SkPrivate:
    """A resident key that wants the PIN; children reach the desk's token."""
    path = folder / "k"
    with desk.open() as session:
        request = GenerateRequest(
            KeyType.ED25519_SK, path=path, comment="me", resident=True, verify_required=True
        )
        generation.generate_key(session, request)
    real = access.open_token
    monkeypatch.setattr(
        worker, "open_token", lambda selector, person: real(selector, person, backends=[desk])
    )
    private, _ = read_key_file(path, None)
    assert isinstance(private, SkPrivate)
    return private


@dataclass
class Given(Person):
    """The interaction of a child that was handed a PIN; `disowned` tells whether it was dropped."""

    disowned: bool = False

    def disown(self) -> None:
        self.disowned = True


@pytest.fixture
def child() -> Given:
    return Given()


def through_a_pipe(order: dict[str, object]) -> dict[str, object]:
    value = json.loads(json.dumps(order))
    assert isinstance(value, dict)
    return value


def test_signing(child: Given, key: SkPrivate) -> None:
    order = through_a_pipe(worker.sign_request("usb:ONE", key, b"message"))
    result = through_a_pipe(worker.perform(order, child, threading.Event()))
    signature = parse_signature(worker.signature_of(result))
    verify(key.public, signature, b"message", require_touch=True, require_verification=True)


@pytest.mark.parametrize("sure", [True, False])
def test_the_pin_that_was_kept_is_that_of_the_token_that_answers_for_the_key(
    sure: bool, child: Given, key: SkPrivate
) -> None:
    """This key hides from whoever has not proved to be its owner, so it may be another token."""
    order = worker.sign_request("usb:ONE", key, b"message") | {"sure": sure}
    worker.perform(order, child, threading.Event())
    assert child.disowned is not sure


def test_a_token_that_answers_for_the_key_may_have_its_pin(
    child: Given, desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk.open() as session:
        request = GenerateRequest(KeyType.ED25519_SK, path=folder / "plain", comment="me")
        generation.generate_key(session, request)
    private, _ = read_key_file(folder / "plain", None)
    assert isinstance(private, SkPrivate)
    real = access.open_token
    monkeypatch.setattr(
        worker, "open_token", lambda selector, person: real(selector, person, backends=[desk])
    )
    order = worker.sign_request("usb:ONE", private, b"message") | {"sure": False}
    worker.perform(order, child, threading.Event())
    assert not child.disowned


def test_listing(child: Given, key: SkPrivate) -> None:
    order = through_a_pipe(worker.list_request("usb:ONE", remember=False))
    result = through_a_pipe(worker.perform(order, child, threading.Event()))
    [(listed, comment)] = worker.keys_of(result)
    assert (listed.public, listed.key_handle, listed.flags) == (
        key.public,
        key.key_handle,
        key.flags,
    )
    assert comment == "me"


def test_listing_brings_the_certificates_of_the_token(
    child: Given, key: SkPrivate, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificate(key.public, ed25519_key(9))

    def read(_session: object, found: Sequence[ResidentCredential]) -> StoredCertificates:
        return StoredCertificates({found[0].credential_id: (made,)}, ("\x1b" * 1000,))

    monkeypatch.setattr(stored_certificates, "read_certificates", read)
    order = through_a_pipe(worker.list_request("usb:ONE", remember=False))
    result = through_a_pipe(worker.perform(order, child, threading.Event()))
    listed = worker.keys_of(result)
    assert [private.certificate for private, _ in listed] == [None, made]
    assert worker.problems_of(result) == ["\x1b" * worker.LONGEST_PROBLEM]
    assert worker.problems_of({"keys": []}) == worker.problems_of({"problems": [1]}) == []


def test_listing_with_a_right_that_lasts_asks_once(child: Given, key: SkPrivate) -> None:
    for remember in (True, False):
        order = worker.list_request("usb:ONE", remember=remember)
        worker.perform(order, child, threading.Event())
    child.asked.clear()
    worker.perform(order, child, threading.Event())
    assert child.asked == []


def test_an_order_that_is_not_wanted_any_more(child: Given, key: SkPrivate) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(FidokitError):
        worker.perform(worker.sign_request("usb:ONE", key, b"m"), child, stop)


@pytest.mark.parametrize("order", [{}, {"do": "sign"}, {"do": "sign", "token": 7}])
def test_orders_that_make_no_sense(order: dict[str, object], child: Given, key: SkPrivate) -> None:
    with pytest.raises(FidokitError):
        worker.perform(order, child, threading.Event())


@pytest.mark.parametrize(
    "result", [{}, {"signature": 1}, {"signature": "!"}, {"keys": 1}, {"keys": [{}]}]
)
def test_results_that_make_no_sense(result: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        worker.signature_of(result)
    with pytest.raises(Malformed):
        worker.keys_of(result)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PinRequired("a", hint="b"), PinRequired),
        (TouchRefused("a", hint="b"), TouchRefused),
        (PinWrong("a", retries=3, hint="b"), FidokitError),
    ],
)
def test_errors_go_over_the_pipe(error: FidokitError, kind: type[FidokitError]) -> None:
    with pytest.raises(kind) as caught:
        worker.raise_error(through_a_pipe(worker.error_of(error)))
    assert (caught.value.message, caught.value.hint) == ("a", "b")


def test_a_result_is_no_error_and_a_strange_name_is_ours() -> None:
    worker.raise_error({"signature": ""})
    with pytest.raises(FidokitError):
        worker.raise_error({"error": "annotations", "message": "a", "hint": "b"})


def credential(**changed: object) -> ResidentCredential:
    values: dict[str, object] = {
        "credential_id": CredentialId(b"id"),
        "application": Application("ssh:work"),
        "user_id": UserId(b"alice".ljust(32, b"\0")),
        "user_name": "",
        "display_name": "",
        "public": None,
        "cred_protect": CredProtect.UV_OPTIONAL,
        **changed,
    }
    return ResidentCredential(**values)  # type: ignore[arg-type]


def test_what_a_resident_key_is_called() -> None:
    assert label_of(credential()) == "ssh:work alice"
    assert label_of(credential(user_id=UserId(bytes(32)))) == "ssh:work"
    assert "\x1b" not in label_of(credential(application=Application("ssh:\x1b[2J")))
    assert credential().private is None


# --- whether anybody can be asked ------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "terminal", "env", "can"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("terminal", False, {}, False),
        ("askpass", True, {}, False),
        ("askpass", False, {"SSH_ASKPASS": "/bin/true"}, True),
        ("askpass", False, {"SSH_ASKPASS": "/no/such"}, False),
        ("auto", False, {"SSH_ASKPASS": "/bin/true"}, False),
        ("auto", False, {"SSH_ASKPASS": "/bin/true", "DISPLAY": ":0"}, True),
        ("auto", False, {"SSH_ASKPASS": "/no/such", "DISPLAY": ":0"}, False),
        ("pinentry", True, {}, False),
    ],
)
def test_whether_anybody_can_be_asked(
    method: str,
    terminal: bool,
    env: dict[str, str],
    can: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, text in env.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr("fidokit.prompt.pinentry.available", lambda: False)
    assert worker.can_be_asked(method, terminal=terminal) is can
