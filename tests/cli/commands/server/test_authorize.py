"""`fidokit server authorize` in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.server.settings import settings
from tests.support.sandbox import Sandbox

from fidokit.server.authorize import authorization


@pytest.fixture
def home(sandbox: Sandbox) -> Sandbox:
    for name, line in (("plain", PLAIN), ("token", TOKEN)):
        (sandbox.home / f"{name}.pub").write_bytes(text(line))
    return sandbox


def authorized(home: Sandbox) -> bytes:
    return (home.home / ".ssh/authorized_keys").read_bytes()


def test_lets_in_and_says_so(home: Sandbox) -> None:
    done = home.run("server", "authorize", "plain.pub", "token.pub")
    assert done.code == 0
    assert "added  SHA256:" in done.out
    assert str(home.home / ".ssh/authorized_keys") in done.out
    assert authorized(home) == text(PLAIN, TOKEN)
    again = home.run("server", "authorize", "plain.pub")
    assert "was there  SHA256:" in again.out
    assert "Nothing changes" in again.out


def test_options(home: Sandbox) -> None:
    arguments = ("--verify-required", "--from", "10.*", "--command", 'echo "x"', "-O", "no-pty")
    done = home.run("server", "authorize", "token.pub", *arguments)
    assert done.code == 0
    expected = b'verify-required,from="10.*",command="echo \\"x\\"",no-pty '
    assert authorized(home) == expected + text(TOKEN)


def test_an_option_of_tokens_alone_is_no_promise(home: Sandbox) -> None:
    done = home.run("server", "authorize", "plain.pub", "--verify-required")
    assert "warning: verify-required means nothing for keys that are on no token" in done.err


def test_a_dry_run_shows_the_difference(home: Sandbox) -> None:
    done = home.run("server", "authorize", "plain.pub", "--dry-run")
    assert "would be added" in done.out
    assert f"+{PLAIN.encode()}" in done.out
    assert not (home.home / ".ssh").exists()


def test_revoke_by_file_and_fingerprint(home: Sandbox) -> None:
    home.run("server", "authorize", "plain.pub", "token.pub")
    shown = home.run("key", "show", "token.pub").out.split()[1]
    assert home.run("server", "authorize", "--revoke", shown).code == 0
    assert authorized(home) == text(PLAIN)
    assert home.run("server", "authorize", "--revoke", "plain.pub").code == 0
    assert authorized(home) == b""
    gone = home.run("server", "authorize", "--revoke", "plain.pub")
    assert gone.code == 2
    assert "none of these keys" in gone.err


def test_json(home: Sandbox) -> None:
    (home.home / ".ssh").mkdir()
    (home.home / ".ssh/authorized_keys").write_bytes(b"junk\n" + text(OTHER))
    done = home.run("--json", "server", "authorize", "plain.pub", "--dry-run")
    data = json.loads(done.out)["authorized"]
    assert data["unreadable_lines"] == [1]
    assert len(data["added"]) == 1
    assert data["dry_run"] is True


def test_hostile_comments_reach_no_terminal(home: Sandbox) -> None:
    line = PLAIN.encode().encode() + b" \x1b[2J\xff\n"
    (home.home / "evil.pub").write_bytes(line)
    done = home.run("server", "authorize", "evil.pub", "--dry-run")
    assert done.code == 0
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("plain.pub", "--user", "no-such-user"), 2, "there is no user"),
        (("plain.pub", "-O", "bogus"), 4, "unknown to sshd"),
        (("plain.pub", "--expiry-time", "soon"), 4, "expiry-time"),
        (("plain.pub", "--only-hardware"), 2, "none of these keys is on a token"),
        (("missing.pub",), 1, "does not exist"),
        (("http://example.org/keys",), 2, "is not fetched"),
        (("plain.pub", "--host=-oProxyCommand=x"), 2, "is no destination"),
        (("plain.pub", "--host", "them", "--ssh", "/no/ssh"), 1, "is not installed"),
    ],
)
def test_errors(home: Sandbox, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = home.run("server", "authorize", *arguments)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (home.home / ".ssh").exists()


def test_where_sshd_reads_no_file_none_is_written(
    home: Sandbox,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    none = settings(authorizedkeysfile="none")
    monkeypatch.setattr(authorization, "_settings", lambda _: none)
    assert in_process("server", "authorize", "plain.pub") == 1
    said = capsys.readouterr().err
    assert "no file lets anybody in" in said
    assert "AuthorizedKeysCommand" in said
    assert not (home.home / ".ssh").exists()
