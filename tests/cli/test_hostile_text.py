"""Texts that a token was made to hold: nothing of them reaches a terminal raw, in any command."""

from __future__ import annotations

import json

import pytest
from tests.cli.commands.conftest import PIN
from tests.support.sandbox import Sandbox

from fidokit.client.ports import PinCode, Quiet
from fidokit.lab.named_tokens import create_virtual
from fidokit.tokens.access import open_token
from fidokit.tokens.owner import set_pin
from fidokit.types import Application, KeyType

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202ekey\u200b\r\n$ rm -rf ~"
RAW = ("\x1b]", "\x1b[2J", "\x07", "\u202e", "\u200b", "\r$")
USER = "\x1b[5mblink"
"""Of both keys, so that naming one by it is ambiguous, and the refusal names them all."""
NAMES = ("ssh:\x1b[31mred\x07", "ssh:\u202etxt")


class Owner(Quiet):
    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        return PinCode.parse(PIN)


@pytest.fixture
def planted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A token whose applications, user names and comments somebody else chose."""
    from fidokit.client.credentials import enrollment

    monkeypatch.setenv("XDG_STATE_HOME", sandbox.env["XDG_STATE_HOME"])
    (sandbox.home / "pin").write_text(PIN)
    create_virtual("t")
    with open_token("virtual:t", Owner()) as session:
        set_pin(session, PinCode.parse(PIN))
        for application in NAMES:
            wish = enrollment.Enrollment(
                KeyType.ED25519_SK,
                Application(application),
                user=USER,
                resident=True,
                user_name=HOSTILE,
                display_name=HOSTILE,
            )
            enrollment.enroll(session, wish)
    return sandbox


COMMANDS = [
    ("key", "list"),
    ("key", "list", "--any-rp"),
    ("key", "download", "--no-passphrase", "--dir", "."),
    ("key", "delete", "--yes", USER),
    ("key", "rename", USER, "comment"),
    ("token", "reset", "--list", "--confirm", "wrong"),
    ("-v", "key", "list"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=ascii)
def test_through_a_pipe(planted: Sandbox, command: tuple[str, ...]) -> None:
    done = planted.run("--token", "virtual:t", *command, "--pin-file", "pin")
    assert "Traceback" not in done.err
    assert "\\x1b" in done.out + done.err  # it was shown, and made harmless
    for raw in (*RAW, "\x1b"):
        assert raw not in done.out
        assert raw not in done.err


@pytest.mark.parametrize("command", COMMANDS, ids=ascii)
def test_on_a_terminal(planted: Sandbox, command: tuple[str, ...]) -> None:
    done = planted.talk("--token", "virtual:t", *command, "--pin-file", "pin", NO_COLOR="1")
    for raw in (*RAW, "\x1b[31m", "\x1b[5m"):
        assert raw not in done.out


@pytest.mark.parametrize("command", COMMANDS[:3], ids=" ".join)
def test_json_carries_them_whole_and_in_ascii(planted: Sandbox, command: tuple[str, ...]) -> None:
    done = planted.run("--token", "virtual:t", "--json", *command, "--pin-file", "pin")
    assert done.out.isascii()
    assert "\x1b" not in done.out
    assert {key["application"] for key in json.loads(done.out)["keys"]} == set(NAMES)


def test_no_file_has_such_a_name(planted: Sandbox) -> None:
    planted.run(
        *("--token", "virtual:t", "key", "download", "--no-passphrase"),
        *("--dir", ".", "--pin-file", "pin"),
    )
    names = [path.name for path in planted.home.iterdir()]
    assert sum(name.endswith(".pub") for name in names) == 2
    assert all(name.isprintable() for name in names)
