"""`fidokit server check` in a process of its own, with a program in sshd's place."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.server.samples import PLAIN, TOKEN, TOKEN_ECDSA, text
from tests.server.settings import TOKENS, printed
from tests.support.sandbox import Done, Sandbox

from fidokit.openssh.keys.fingerprint import sha256

ME = pwd.getpwuid(os.geteuid()).pw_name
HOSTILE = b"\x1b]0;owned\x07\x1b[2J" + "\u202e".encode()


class Server:
    """A home with keys, and a program that answers as sshd does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.keys = sandbox.home / "keys"
        self.keys.write_bytes(text(TOKEN))
        self.keys.chmod(0o600)
        (sandbox.home / "conf").write_text("")
        self.says()

    def says(self, **changes: str) -> None:
        """Change what sshd prints."""
        quiet = {"passwordauthentication": "no", "strictmodes": "no"}
        settings = printed(**{"authorizedkeysfile": str(self.keys), **quiet, **changes})
        program = self.sandbox.home / "sshd"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{settings}END\n")
        program.chmod(0o755)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command, about this server and this user."""
        home = self.sandbox.home
        named = ("--sshd", str(home / "sshd"), "--config", str(home / "conf"))
        return ("server", "check", *named, "--user", ME)

    def check(self, *more: str) -> Done:
        """Run it without a terminal."""
        return self.sandbox.run(*self.arguments, *more)

    def on_terminal(self, *more: str) -> str:
        """What a terminal of 80 columns shows, without its colors."""
        done = self.sandbox.talk(*self.arguments, *more, COLUMNS="80")
        return re.sub(r"\x1b\[[0-9;]*[mK]", "", done.out).replace("\r", "")


@pytest.fixture
def server(sandbox: Sandbox) -> Server:
    return Server(sandbox)


def rows(done: Done) -> list[list[str]]:
    return [line.split("\t") for line in done.out.splitlines() if "\t" in line]


def test_one_line_a_key(server: Server) -> None:
    server.keys.write_bytes(b"junk\n" + text(TOKEN) + b"restrict " + text(PLAIN, TOKEN))
    done = server.check("--long")
    assert (done.code, done.err) == (0, "")
    found = rows(done)
    assert all(len(row) == 8 for row in found)
    assert found[0][0] == "WHAT"
    path = str(server.keys)
    keys = [row for row in found if row[0] == "key"]
    assert [row[1:5] for row in keys] == [
        [ME, path, "2", "ED25519-SK"],
        [ME, path, "3", "ED25519"],
        [ME, path, "4", "ED25519-SK"],
    ]
    assert [row[6] for row in keys] == [
        "token; touch",
        "no token; restrict",
        f"token; touch; same as {ME} {path}:2",
    ]
    assert [row[7] for row in keys] == ["token", "plain", "token"]
    assert [row[3] for row in found if row[0] == "unreadable"] == ["1"]
    assert any(row[0] == "setting" and row[6] == "StrictModes no" for row in found)


@pytest.mark.parametrize(
    ("rule", "changes", "why"),
    [
        ("hardware", {}, "the key is not on a token"),
        ("verify", {}, "neither PubkeyAuthOptions nor the line has verify-required"),
    ],
)
def test_a_rule_that_is_broken(
    server: Server, rule: str, changes: dict[str, str], why: str
) -> None:
    server.keys.write_bytes(text(PLAIN, TOKEN))
    server.says(**changes)
    done = server.check("--require", rule)
    assert done.code == 10
    line = 1 if rule == "hardware" else 2
    assert f"{rule}: {ME} {server.keys}:{line}: {why}" in done.err
    assert "does not hold" in done.err


def test_a_password_that_lets_in(server: Server) -> None:
    server.says(
        passwordauthentication="yes",
        permitrootlogin="yes",
        permitemptypasswords="yes",
    )
    done = server.check("--require", "no-password", "--json")
    data = json.loads(done.out)
    (user,) = data["users"]
    assert done.code == (10 if user["password_login"] else 0)
    assert data["policy"]["holds"] is not user["password_login"]
    server.says()
    assert server.check("--require", "no-password").code == 0


def test_rules_that_hold(server: Server) -> None:
    server.keys.write_bytes(text(PLAIN, TOKEN))
    server.says(pubkeyacceptedalgorithms=TOKENS, pubkeyauthoptions="verify-required")
    rules = ("--require=hardware", "--require=verify", "--require=no-password")
    done = server.check(*rules)
    assert (done.code, done.err) == (0, "")
    assert all(f"{rule} holds" in done.out for rule in ("hardware", "verify", "no-password"))
    done = server.check(*rules, "--long")
    assert f"refused: PubkeyAcceptedAlgorithms leaves out {PLAIN.key.type_name}" in done.out


def test_json(server: Server) -> None:
    server.keys.write_bytes(b"junk\n" + text(TOKEN, PLAIN) + b'from="10.*" ' + text(TOKEN))
    done = server.check("--json", "--require", "hardware")
    assert done.code == 10
    assert done.out.isascii()
    data = json.loads(done.out)
    assert data["schema"] == 1
    assert data["server"]["settings"]["strictmodes"] == "no"
    (user,) = data["users"]
    (file,) = user["files"]
    junk, token, plain, twin = file["lines"]
    assert junk["unreadable"]
    assert (token["line"], token["hardware"], token["touch_required"]) == (2, True, True)
    assert plain["violates"] == [{"rule": "hardware", "why": "the key is not on a token"}]
    assert twin["options"] == [{"name": "from", "value": "10.*"}]
    assert twin["duplicate_of"] == {"user": ME, "path": str(server.keys), "line": 2}
    assert data["tally"]["keys"] == 3
    assert [found["line"] for found in data["policy"]["violations"]] == [1, 3]


def test_json_of_no_file_and_of_an_empty_one(server: Server) -> None:
    server.keys.write_bytes(b"")
    (user,) = json.loads(server.check("--json").out)["users"]
    assert user["files"][0]["lines"] == []
    server.keys.unlink()
    (user,) = json.loads(server.check("--json").out)["users"]
    assert user["files"] == []


def test_a_table_fits_80_columns(server: Server) -> None:
    long = PLAIN.encode().encode() + b"-" * 300
    odd = [b'restrict,command="' + b"word " * 60 + b'" ' + long, b"x" * 5000]
    server.keys.write_bytes(text(TOKEN, TOKEN_ECDSA) + b"\n".join(odd))
    shown = server.on_terminal("--require", "hardware", "--long")
    # A path is never broken: it is there to be copied.
    lines = [line for line in shown.split("\n") if str(server.sandbox.home) not in line]
    assert max(map(len, lines)) <= 80
    assert "ED25519-SK token" in shown
    assert "token, touch" in shown
    assert "against hardware" in shown


def test_users_without_a_way_in_are_only_counted(server: Server) -> None:
    server.keys.unlink()
    done = server.sandbox.talk(*server.arguments, "--long")
    assert "1 user has neither a key nor a password that gets in." in done.out


@pytest.mark.parametrize("terminal", [True, False])
def test_bad_modes_are_told_where_sshd_does_not_mind_them(server: Server, terminal: bool) -> None:
    server.keys.chmod(0o666)
    run = server.sandbox.talk if terminal else server.sandbox.run
    done = run(*server.arguments, "--long")
    assert "not minded, StrictModes being off: others than its owner may write" in " ".join(
        done.out.split()
    )
    (user,) = json.loads(server.check("--json").out)["users"]
    assert user["files"][0]["refused"] == []
    assert any("chmod go-w" in why for why in user["files"][0]["warnings"])


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_text_reaches_no_terminal(server: Server, terminal: bool) -> None:
    line = b'command="' + HOSTILE + b'" ' + PLAIN.encode().encode() + HOSTILE
    server.keys.write_bytes(line + b"\n" + HOSTILE + b"\n" + text(TOKEN).rstrip() + HOSTILE)
    server.says(trustedusercakeys=HOSTILE.decode())
    run = server.sandbox.talk if terminal else server.sandbox.run
    done = run(*server.arguments, "--require", "hardware", "--long")
    assert done.code == 10
    for raw in ("\x1b]", "\x07", "\x1b[2J", "\u202e"):
        assert raw not in done.out + done.err
    assert "owned" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--sshd", "/no/sshd"), 8, "/no/sshd is not installed here"),
        (("--user", "no-such-user"), 2, "there is no user"),
        (("-C", "10.0.0.1"), 2, "says nothing about a connection"),
        (("--require", "magic"), 2, "magic"),
    ],
)
def test_errors(server: Server, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = server.check(*arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_configuration_that_sshd_does_not_take(server: Server) -> None:
    program: Path = server.sandbox.home / "sshd"
    program.write_text("#!/bin/sh\necho 'conf: line 1: Bad configuration option: Foo'\nexit 255\n")
    done = server.check("--json")
    assert done.code == 4
    assert "Bad configuration option: Foo" in json.loads(done.out)["error"]["message"]


# --- the summary, the findings, and the formats ------------------------------------------------


def test_a_summary_comes_first_and_is_short(server: Server) -> None:
    server.keys.write_bytes(text(TOKEN, PLAIN))
    first, *others = server.check().out.splitlines()
    assert first == "1 user checked, 1 of them may log in"
    assert [line.split() for line in others[:2]] == [
        [*["by", "a", "key", "in", "a", "file", "1"], ME],
        [*["by", "a", "key", "on", "a", "token", "1"], ME],
    ]
    assert "No problems found." in others


def test_what_breaks_has_its_place_and_the_next_step(server: Server) -> None:
    server.keys.write_bytes(text(TOKEN, PLAIN))
    shown = server.check("--require", "hardware").out
    assert "hardware is broken (1 finding)" in shown
    assert "FK101 error: a key in a file gets in, against hardware" in shown
    assert f"    {server.keys}:2\n" in shown
    assert f"--revoke {sha256(PLAIN.key.blob())}" in " ".join(shown.replace("\\\n", "").split())


def test_problems_alone(server: Server) -> None:
    server.keys.write_bytes(b"verify-required " + text(PLAIN))
    assert server.check("--problems").out == "No problems found.\n"
    shown = server.check("--problems", "--require", "hardware").out
    assert "FK101" in shown
    assert "FK107" not in shown
    assert "FK107" in server.check("--require", "hardware").out


def test_notes_are_counted_unless_all_is_asked_for(server: Server) -> None:
    server.keys.write_bytes(b"junk\n" * 3 + text(TOKEN))
    assert "Also: 3 × FK111 sshd ignores a line. --long lists them." in server.check().out
    shown = server.check("--long").out
    assert all(f"{server.keys}:{line}\n" in shown for line in (1, 2, 3))


def test_many_findings_are_cut_short(server: Server) -> None:
    server.keys.write_bytes(text(*[PLAIN] * 30))
    shown = server.check("--require", "hardware").out
    assert shown.count(f"{server.keys}:") == 10
    assert "and 20 more: --long shows them" in shown
    assert server.check("--require", "hardware", "--long").out.count(f"    {server.keys}:") >= 30


@pytest.mark.parametrize("format_", ["json", "sarif", "junit", "openmetrics"])
def test_formats(server: Server, format_: str) -> None:
    server.keys.write_bytes(b'command="' + HOSTILE + b'" ' + text(PLAIN).rstrip() + HOSTILE)
    done = server.check("--format", format_, "--require", "hardware")
    assert done.code == 10
    for raw in ("\x1b", "\x07", "\u202e"):
        assert raw not in done.out
    assert "does not hold: hardware" in done.err
    match format_:
        case "json":
            assert [f["id"] for f in json.loads(done.out)["findings"]] == ["FK101"]
        case "sarif":
            (run,) = json.loads(done.out)["runs"]
            assert [result["ruleId"] for result in run["results"]] == ["FK101"]
        case "junit":
            (suite,) = ElementTree.fromstring(done.out.encode())
            assert suite.attrib["failures"] == "1"
        case _:
            assert done.out.endswith("# EOF\n")
            assert 'fidokit_server_rule_holds{rule="hardware"} 0' in done.out


def test_json_is_the_format_json(server: Server) -> None:
    assert server.check("--json").out == server.check("--format", "json").out


def test_a_break_glass_key(server: Server) -> None:
    rule = f"break-glass={ME}:{sha256(PLAIN.key.blob())}"
    done = server.check("--require", rule)
    assert done.code == 10
    assert f"{rule} is broken" in done.out
    assert "no file of" in " ".join(done.out.split())
    data = json.loads(server.check("--require", rule, "--json").out)
    assert data["policy"]["require"] == [rule]
    assert [found["id"] for found in data["policy"]["violations"]] == ["FK112"]


def test_80_columns_without_long(server: Server) -> None:
    server.keys.write_bytes(text(PLAIN, TOKEN) + b'command="' + b"w " * 90 + b'" ' + text(PLAIN))
    server.says(passwordauthentication="yes", permitrootlogin="yes", permitemptypasswords="yes")
    for more in ((), ("--require", "hardware", "--require", "verify", "--require", "no-password")):
        shown = server.on_terminal(*more)
        lines = [line for line in shown.split("\n") if str(server.sandbox.home) not in line]
        assert max(map(len, lines)) <= 80, shown
