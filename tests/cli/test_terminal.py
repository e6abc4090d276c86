"""A user at a terminal: reached wherever standard error goes, and never asked in vain."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.cli.commands.conftest import PIN
from tests.support.sandbox import Sandbox
from tests.support.screen import Window, window

from fidokit.lab.named_tokens import create_virtual, serve_virtual
from fidokit.virtual.token import VirtualToken

SIGN = ("key", "sign", "-f", "k", "text", "--force")
SLOW = ("--token", "virtual:slow")


def typed(sandbox: Sandbox, *args: str, behind: str) -> AbstractContextManager[Window]:
    """fidokit on a terminal of its own, by way of a shell.

    Args:
        behind: what stands behind the command, such as a redirection.
    """
    command = f'cd "$HOME" && exec {sys.executable} -m fidokit "$@" {behind}'
    return shell(sandbox, command, *args)


def shell(sandbox: Sandbox, script: str, *args: str, **more: str) -> AbstractContextManager[Window]:
    env: Mapping[str, str] = {**sandbox.env, "TERM": "xterm-256color", **more}
    return window(["bash", "-c", script, "bash", *args], env)


@pytest.fixture
def token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The token `t`, with a PIN, and its key in the file `k`."""
    monkeypatch.setenv("XDG_STATE_HOME", sandbox.env["XDG_STATE_HOME"])
    create_virtual("t")
    (sandbox.home / "pin").write_text(f"{PIN}\n")
    (sandbox.home / "text").write_text("hello")
    done = sandbox.run("--token", "virtual:t", "pin", "set", "--new-pin-file", "pin")
    assert done.code == 0, done.err
    return sandbox


def key_on(sandbox: Sandbox, name: str) -> tuple[str, ...]:
    """Another token, and a key of it in the file `k`; how the token is chosen."""
    create_virtual(name)
    chosen = ("--token", f"virtual:{name}")
    done = sandbox.run(*chosen, "key", "generate", "-f", "k", "--no-passphrase")
    assert done.code == 0, done.err
    return chosen


@pytest.fixture
def slow(token: Sandbox) -> Iterator[VirtualToken]:
    """The token `slow`, which has a key in the file `k`, and is touched when the test does it."""
    key_on(token, "slow")
    with serve_virtual("slow", presence="script") as served:
        yield served


# --- touches -----------------------------------------------------------------------------


def test_a_touch_counts_down_and_goes(token: Sandbox, slow: VirtualToken) -> None:
    with token.window(*SLOW, *SIGN) as shown:
        shown.wait(r"^Touch fidokit virtual token \(virtual:slow\): signing \(30 s left\)$")
        shown.wait(r"\(29 s left\)$")
        slow.touch()
        assert "Touch" not in shown.end()
        assert shown.text() == "Signed: text.sig"
        assert b"\x1b[?25l" not in shown.raw  # a cursor that is never hidden needs no restoring
    assert "\x1b" not in shown.text()


@pytest.mark.parametrize("behind", ["2>/dev/null", "2>err >out"])
def test_a_touch_is_seen_where_standard_error_goes_elsewhere(
    token: Sandbox, slow: VirtualToken, behind: str
) -> None:
    with typed(token, *SLOW, *SIGN, behind=behind) as shown:
        shown.wait(r"^Touch .*: signing \(30 s left\)$")
        slow.touch()
        assert shown.status == 0
    if "err" in behind:
        assert (token.home / "err").read_text() == ""


COMMIT = """tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
author A <a@example.org> 1700000000 +0000
committer A <a@example.org> 1700000000 +0000

Mend the \x1b[2J parser

More about it.
"""
TAG = """object 4b825dc642cb6eb9a060e54bf8d69288fbee4904
type commit
tag v1.2
tagger A <a@example.org> 1700000000 +0000

A release
"""


@pytest.mark.parametrize(
    ("signed", "said"),
    [(COMMIT, 'signing the commit "Mend the '), (TAG, 'signing the tag "v1.2"')],
)
def test_under_git_the_touch_names_what_is_signed(
    token: Sandbox, slow: VirtualToken, signed: str, said: str
) -> None:
    (token.home / "buffer").write_text(signed)
    program = "from fidokit.cli.ssh_keygen import main; main()"
    script = f'cd "$HOME"; {sys.executable} -c "{program}" -Y sign -n git -f k buffer 2>err'
    with shell(token, script, FIDOKIT_TOKEN=SLOW[1]) as shown:
        shown.wait(lambda text: said in text.replace("\n", " "))
        slow.touch()
        assert shown.status == 0
    assert b"\x1b[2J" not in shown.raw
    assert "Touch" not in (token.home / "err").read_text()


def test_with_neither_the_desktop_is_told(token: Sandbox, tmp_path: Path) -> None:
    key_on(token, "slow")
    told = tmp_path / "told"
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{told}.part; mv {told}.part {told}\n')
    program.chmod(0o700)
    path = f"{program.parent}:{token.env['PATH']}"
    bus = "unix:path=/nowhere"
    with serve_virtual("slow", presence="delay:300"):
        done = token.run(*SLOW, *SIGN, PATH=path)
        assert done.code == 0, done.err
        assert not told.exists()  # no session bus, no notification
        done = token.run(*SLOW, *SIGN, PATH=path, DBUS_SESSION_BUS_ADDRESS=bus)
    assert done.code == 0, done.err
    assert done.err == "Touch your security key (fidokit virtual token (virtual:slow)): signing\n"
    assert told.read_text().splitlines()[-3:] == [
        "Touch your security key", "fidokit virtual token (virtual:slow)", "signing"
    ]  # fmt: skip


# --- choices and waiting -----------------------------------------------------------------


def test_a_choice_shows_its_list_and_says_what_is_wrong(token: Sandbox) -> None:
    create_virtual("other")
    with typed(token, "token", "info", behind="2>/dev/null") as shown:
        shown.wait(r"1  virtual:other  fidokit virtual token\n  2  virtual:t  .*\nWhich one\?")
        shown.type("7\n")
        shown.wait(r"'7' is not a number from 1 to 2\.\nWhich one\?")
        shown.type("2\n")
        assert shown.status == 0
    assert "virtual:t" in shown.text().rpartition("Which one?")[2]


def test_an_absent_token_is_waited_for(token: Sandbox) -> None:
    where = token.home / "s"
    args = ("--token", f"socket:{where}", "token", "info")
    with token.window(*args) as shown:
        shown.wait(r"is\s+not\s+connected:\s+plug\s+it\s+in,\s+or\s+end\s+with")
        with token.window("virtual", "serve", "t", "--socket", str(where)) as served:
            served.wait("is plugged in")
            assert shown.status == 0
    assert "FIDO_2_3" in shown.text()
    assert "plug it in" not in shown.text().splitlines()[-1]


@pytest.mark.parametrize("args", [("--token", "usb:123"), ()])
def test_ctrl_c_ends_the_waiting(sandbox: Sandbox, args: tuple[str, ...]) -> None:
    with sandbox.window(*args, "token", "info") as shown:
        shown.wait(r"plug (it in|one in), or end with Ctrl-C")
        shown.type("\x03")
        assert shown.status == 130
    assert "fidokit: interrupted while waiting for the token" in shown.text()


@pytest.mark.parametrize("args", [("--token", "usb:123"), ()])
def test_an_absent_token_fails_at_once_without_waiting(
    sandbox: Sandbox, args: tuple[str, ...]
) -> None:
    with sandbox.window(*args, "token", "info", "--no-wait") as shown:
        assert shown.status == 3
    assert "Ctrl-C" not in shown.text()
    assert sandbox.run(*args, "token", "info").code == 3  # nobody is there to wait


def test_a_virtual_token_that_is_not_there_is_a_slip(token: Sandbox) -> None:
    with token.window("--token", "virtual:typo", "token", "info") as shown:
        assert shown.status == 3


def test_a_busy_token_is_waited_for(token: Sandbox, slow: VirtualToken) -> None:
    with token.window(*SLOW, *SIGN) as first:
        first.wait("Touch")
        with token.window(*SLOW, "token", "info") as shown:
            name, pid = r"is\s+busy:\s+\S+\s+\(pid", r"\d+\)\s+is\s+using\s+the\s+token"
            shown.wait(rf"{name}\s+{pid}\.\s+Wait,\s+or\s+end\s+with\s+Ctrl-C")
            assert f"(pid {os.getpid()})" not in " ".join(shown.text().split())  # which serves it
            slow.touch()
            assert shown.status == 0
        assert first.status == 0
    assert "FIDO_2_3" in shown.text()


@pytest.mark.usefixtures("slow")
def test_a_busy_token_is_an_error_where_nobody_waits(token: Sandbox) -> None:
    with token.window(*SLOW, *SIGN) as first:
        first.wait("Touch")
        with token.window(*SLOW, "token", "info", "--no-wait") as shown:
            assert shown.status == 3
        first.type("\x03")
        assert first.status == 130
    assert "is using the token" in shown.text()


# --- Ctrl-Z, Ctrl-D, and what else ends a question -----------------------------------------


def test_ctrl_z_gives_the_echo_back_and_fg_asks_again(token: Sandbox) -> None:
    script = f"""cd "$HOME"; set -m
{sys.executable} -m fidokit --token virtual:t pin verify
echo stopped; read -r; fg"""
    with shell(token, script) as shown:
        shown.wait(r"\(8 tries left\): ?$")
        assert not shown.echoes
        shown.type("\x1a")
        shown.wait("stopped")
        assert shown.echoes
        shown.type("\n")
        shown.wait(lambda text: text.count("(8 tries left):") == 2 and not shown.echoes)
        shown.type(f"{PIN}\n")
        assert "The PIN is right." in shown.end()
        assert PIN not in shown.text()


@pytest.mark.parametrize(
    ("key", "said"), [("\x04", "the question was not answered"), ("\x03", "interrupted")]
)
def test_what_ends_a_question_is_told_on_a_line_of_its_own(
    token: Sandbox, key: str, said: str
) -> None:
    create_virtual("other")
    for args, asked in ((("pin", "verify"), "tries left"), (("token", "info"), "Which one?")):
        more = ("--token", "virtual:t") if args[0] == "pin" else ()
        with token.window(*more, *args) as shown:
            shown.wait(asked)
            shown.type(key)
            assert shown.status == 130
            assert f"\nfidokit: {said}" in shown.text()
            assert shown.echoes


def test_ctrl_backslash_gives_the_echo_back(token: Sandbox) -> None:
    script = f'cd "$HOME"; {sys.executable} -m fidokit --token virtual:t pin verify; echo ended'
    with shell(token, script) as shown:
        shown.wait("tries left")
        shown.type("\x1c")
        shown.wait("ended")
        assert shown.echoes


def test_standard_input_is_said_to_be_read_and_ends_at_one_ctrl_d(sandbox: Sandbox) -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN9YUD3tX7vyCEzCGVPG3NWTvX3CBVoJoFEZjeMJ2aRJ me"
    with sandbox.window("key", "show", "-") as shown:
        shown.wait(r"Reading standard input\.\.\. Ctrl-D ends it\.")
        shown.type(f"{line}\n\x04")
        assert shown.status == 0


def test_a_message_on_standard_input_ends_at_one_ctrl_d(token: Sandbox) -> None:
    quick = key_on(token, "quick")
    with token.window(*quick, "key", "sign", "-f", "k") as shown:
        shown.wait("Reading standard input")
        shown.type("hello\n\x04")
        assert shown.status == 0
    assert "BEGIN SSH SIGNATURE" in shown.text()
    (token.home / "message").write_text("hello\n")
    assert token.run(*quick, "key", "sign", "-f", "k", "message").code == 0
    with token.window("key", "verify", "-k", "k.pub", "-s", "message.sig") as shown:
        shown.wait("Reading standard input")
        shown.type("hello\n\x04")
        assert shown.status == 0
    assert "Good 'file' signature" in shown.text()


# --- secrets -----------------------------------------------------------------------------


@pytest.mark.parametrize("option", [("--pin-fd", "0"), ("--pin-file", "-")])
def test_a_pin_that_is_read_from_a_terminal_is_not_shown(
    token: Sandbox, option: tuple[str, ...]
) -> None:
    with token.window("--token", "virtual:t", "pin", "verify", *option) as shown:
        shown.wait(r"^PIN: ?$")
        shown.type(f"{PIN}\n")
        assert shown.status == 0
        assert shown.echoes
    assert PIN not in shown.text()


def test_two_sources_of_a_pin_are_refused(token: Sandbox) -> None:
    done = token.run(
        "--token", "virtual:t", "pin", "verify", "--pin-fd", "0", "--pin-file", "pin",
        stdin=f"{PIN}\n".encode(),
    )  # fmt: skip
    assert done.code == 2
    assert "--pin-file and --pin-fd exclude each other" in done.err


def test_a_byte_order_mark_is_no_part_of_a_pin(token: Sandbox) -> None:
    (token.home / "marked").write_bytes(b"\xef\xbb\xbf" + PIN.encode() + b"\r\n")
    done = token.run("--token", "virtual:t", "pin", "verify", "--pin-file", "marked")
    assert done.code == 0, done.err


IN_VAIN = (
    ("pin", "set"),
    ("pin", "change"),
    ("pin", "verify"),
    ("pin", "min-length", "8"),
    ("bio", "enroll"),
    ("config", "always-uv", "on"),
    ("key", "list"),
    ("key", "download"),
    ("key", "delete", "k", "-y"),
    ("key", "generate", "-O", "resident", "-f", "new", "--no-passphrase"),
    ("key", "generate", "-O", "verify-required", "-f", "new", "--no-passphrase"),
    ("blob", "list"),
)


@pytest.mark.parametrize("profile", ["u2f", "blocked"])
def test_what_cannot_be_is_known_before_a_secret_is_asked_for(token: Sandbox, profile: str) -> None:
    if profile == "u2f":
        create_virtual("v", profile="u2f")
    else:
        create_virtual("v")
        token.run("--token", "virtual:v", "pin", "set", "--new-pin-file", "pin")
        (token.home / "wrong").write_text("000000\n")
        spent = ("--token", "virtual:v", "pin", "verify", "--pin-file", "wrong")
        while token.run(*spent, "--spend-last-try").code == 5:
            pass
    for args in IN_VAIN:
        done = token.talk("--token", "virtual:v", *args)
        assert done.code in {6, 8, 9}, (args, done.out)
        assert not re.search("PIN of|New PIN|again: ", done.out), (args, done.out)


def test_the_current_pin_is_checked_before_the_new_one_is_asked_for(token: Sandbox) -> None:
    with token.window("--token", "virtual:t", "pin", "change") as shown:
        shown.wait(r"^Current PIN of fidokit virtual token \(virtual:t\) \(8 tries left\): ?$")
        shown.type("000000\n")
        shown.wait(r"That PIN was wrong\.\nCurrent PIN .* \(7 tries left\): ?$")
        shown.type(f"{PIN}\n")
        shown.wait(r"\nNew PIN of fidokit virtual token \(virtual:t\) \(4 to 63 characters\): ?$")
        shown.type("135790\n")
        shown.wait(r"\nNew PIN again: ?$")
        shown.type("135790\n")
        assert shown.status == 0


def test_the_tokens_own_minimum_is_named_the_first_time(token: Sandbox) -> None:
    raised = token.run(
        "--token", "virtual:t", "pin", "min-length", "6", "--pin-file", "pin", "--force-change"
    )
    assert raised.code == 0, raised.err
    with token.window("--token", "virtual:t", "pin", "change") as shown:
        shown.wait("Current PIN")
        shown.type(f"{PIN}\n")
        for _ in range(2):
            shown.wait(r"\(6 to 63 characters\): ?$")
            shown.type("1\n")
            shown.wait(r"again: ?$")
            shown.type("1\n")
            shown.wait("The PIN is too short: the token needs at least 6 characters")
            shown.wait(r"\(6 to 63 characters\): ?$")
            assert "at least 4" not in shown.text()


def test_an_old_passphrase_is_checked_before_the_new_one_is_asked_for(token: Sandbox) -> None:
    key_on(token, "quick")
    (token.home / "words").write_text("one\n")
    new = ("--new-passphrase-file", "words", "-a", "1")
    assert token.run("key", "passphrase", "k", *new).code == 0
    with token.window("key", "passphrase", "k") as shown:
        shown.wait(r"^Passphrase to open k: ?$")
        shown.type("two\n")
        assert shown.status == 1
    assert "New passphrase" not in shown.text()


def test_a_long_prompt_breaks_at_words(token: Sandbox) -> None:
    with token.window("--token", "virtual:t", "pin", "verify", columns=60) as shown:
        shown.wait(r"^PIN of fidokit virtual .*, for verifying\nthe PIN \(8 tries left\): ?$")
