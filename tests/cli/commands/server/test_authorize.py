"""`fidokit server authorize` in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.server.settings import settings
from tests.support.sandbox import Done, Sandbox

from fidokit.server.authorize.local import LocalSshd


@pytest.fixture
def home(sandbox: Sandbox) -> Sandbox:
    for name, line in (("plain", PLAIN), ("token", TOKEN)):
        (sandbox.home / f"{name}.pub").write_bytes(text(line))
    return sandbox


HERE = ("server", "authorize", "--path", ".ssh/authorized_keys")
"""Without asking sshd which file it reads: these tests are for machines that have none, too."""


def authorize(home: Sandbox, *arguments: str) -> Done:
    return home.run(*HERE, *arguments)


def authorized(home: Sandbox) -> bytes:
    return (home.home / ".ssh/authorized_keys").read_bytes()


def test_lets_in_and_says_so(home: Sandbox) -> None:
    done = authorize(home, "plain.pub", "token.pub")
    assert done.code == 0
    assert "added  SHA256:" in done.out
    assert str(home.home / ".ssh/authorized_keys") in done.out
    assert authorized(home) == text(PLAIN, TOKEN)
    again = authorize(home, "plain.pub")
    assert "was there  SHA256:" in again.out
    assert "Nothing changes" in again.out


def test_options(home: Sandbox) -> None:
    arguments = ("--verify-required", "--from", "10.*", "--command", 'echo "x"', "-O", "no-pty")
    done = authorize(home, "token.pub", *arguments)
    assert done.code == 0
    expected = b'verify-required,from="10.*",command="echo \\"x\\"",no-pty '
    assert authorized(home) == expected + text(TOKEN)


def test_an_option_of_tokens_alone_is_no_promise(home: Sandbox) -> None:
    done = authorize(home, "plain.pub", "--verify-required")
    assert "warning: verify-required does nothing for keys that are not on a token" in done.err


AUTHORITY = ("--as-authority", "--principals", "a,b", "--expiry-time", "20990101")


def test_an_authority_is_bounded_in_names_and_time(home: Sandbox) -> None:
    done = authorize(home, "token.pub", *AUTHORITY)
    assert done.code == 0
    expected = b'cert-authority,expiry-time="20990101",principals="a,b" '
    assert authorized(home) == expected + text(TOKEN)
    assert "only a certificate signed by this authority can show it" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("token.pub", *AUTHORITY[:3]), "--as-authority wants --principals and --expiry-time"),
        (("token.pub", "--as-authority"), "--as-authority wants --principals and --expiry-time"),
        (("token.pub", *AUTHORITY, "--verify-required"), "is not possible with --as-authority"),
        (("token.pub", "--principals", "a"), "is not possible without --as-authority"),
        (("token.pub", *AUTHORITY, "--revoke"), "is not possible with --revoke"),
        (("plain.pub", *AUTHORITY), "none of these keys is on a token"),
    ],
)
def test_what_is_refused_of_an_authority(
    home: Sandbox, arguments: tuple[str, ...], says: str
) -> None:
    done = authorize(home, *arguments)
    assert done.code == 2
    assert says in done.err
    assert not (home.home / ".ssh").exists()


def test_the_hint_for_an_authority_in_a_file_works(home: Sandbox) -> None:
    done = authorize(home, "plain.pub", *AUTHORITY)
    assert "use -O cert-authority" in done.err
    assert authorize(home, "plain.pub", "-O", "cert-authority").code == 0


def test_a_dry_run_shows_the_difference(home: Sandbox) -> None:
    done = authorize(home, "plain.pub", "--dry-run")
    assert "would be added" in done.out
    assert f"+{PLAIN.encode()}" in done.out
    assert not (home.home / ".ssh").exists()


def test_revoke_by_file_and_fingerprint(home: Sandbox) -> None:
    authorize(home, "plain.pub", "token.pub")
    shown = home.run("key", "show", "token.pub").out.split()[1]
    assert authorize(home, "--revoke", shown).code == 0
    assert authorized(home) == text(PLAIN)
    assert authorize(home, "--revoke", "plain.pub").code == 0
    assert authorized(home) == b""
    gone = authorize(home, "--revoke", "plain.pub")
    assert gone.code == 0
    assert "No file has the key." in gone.out


def test_json(home: Sandbox) -> None:
    (home.home / ".ssh").mkdir()
    (home.home / ".ssh/authorized_keys").write_bytes(b"junk\n" + text(OTHER))
    done = home.run("--json", *HERE, "plain.pub", "--dry-run")
    data = json.loads(done.out)["authorized"]
    assert data["unreadable_lines"] == [1]
    assert len(data["added"]) == 1
    assert data["dry_run"] is True


def test_hostile_comments_reach_no_terminal(home: Sandbox) -> None:
    line = PLAIN.encode().encode() + b" \x1b[2J\xff\n"
    (home.home / "evil.pub").write_bytes(line)
    done = authorize(home, "evil.pub", "--dry-run")
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
        (("plain.pub", "--host=-oProxyCommand=x"), 2, "is not a destination"),
        (("plain.pub", "--host", "them", "--ssh", "/no/ssh"), 1, "is not installed"),
    ],
)
def test_errors(home: Sandbox, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = authorize(home, *arguments)
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
    monkeypatch.setattr(LocalSshd, "settings", lambda *_: none)
    assert in_process("server", "authorize", "plain.pub") == 1
    said = capsys.readouterr().err
    assert "no file lets anybody in" in said
    assert "AuthorizedKeysCommand" in said
    assert not (home.home / ".ssh").exists()


def test_without_sshds_answer_no_file_is_chosen(home: Sandbox) -> None:
    """What the machine has as sshd does not matter: this one is none."""
    done = home.run("server", "authorize", "--sshd", "/no/sshd", "plain.pub")
    assert "sshd could not be asked which files it reads" in done.err
    assert "--path FILE" in done.err
    assert done.code != 0
    assert not (home.home / ".ssh").exists()
    done = home.run("server", "authorize", "--sshd", "/no/sshd", "--revoke", "plain.pub")
    assert "sshd could not be asked" in done.err
    assert done.code != 0


def test_a_files_options_and_json(home: Sandbox) -> None:
    (home.home / "lines").write_bytes(b'restrict,command="a b" ' + text(PLAIN))
    done = home.run("--json", *HERE, "--sshd", "/no/sshd", "lines")
    assert authorized(home) == b'restrict,command="a b" ' + text(PLAIN)
    (key,) = json.loads(done.out)["authorized"]["keys"]
    assert key["options"] == [
        {"name": "restrict", "value": None},
        {"name": "command", "value": "a b"},
    ]
    assert key["standing"] == "not proved"
    assert key["why"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plain.pub", "--all-users"), "is not possible without --revoke"),
        (("plain.pub", "--revoke", "--exclusive"), "is not possible with --revoke"),
        (("plain.pub", "--challenge", "x"), "is not possible without --attestation"),
        (("plain.pub", "--attestation", "x"), "--challenge FILE"),
        (("plain.pub", "--from-file", "x"), "names users and keys itself"),
        ((), "name a key"),
    ],
)
def test_options_that_do_not_go_together(
    home: Sandbox, arguments: tuple[str, ...], said: str
) -> None:
    done = home.run("server", "authorize", *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_key_that_asks_for_no_touch(home: Sandbox) -> None:
    """Its flags are in the private file: sshd would refuse it without the option."""
    home.run("virtual", "create", "t")
    made = home.run("key", "generate", "-O", "no-touch-required", "--no-passphrase", "-f", "nt")
    assert "server authorize nt.pub --host user@host --no-touch-required" in made.out
    assert "\n  no-touch-required sk-" in made.out
    assert "GitHub" in made.out
    plain = home.run("key", "generate", "--no-passphrase", "-f", "with touch")
    assert "authorize 'with touch.pub' --host" in plain.out
    assert "no-touch-required" not in plain.out


# --- the list of revoked keys ----------------------------------------------------------------


def test_a_list_of_revoked_keys(home: Sandbox) -> None:
    done = home.run("server", "revoke-list", "--file", "gone", "plain.pub", "token.pub")
    assert done.code == 0
    assert done.out.count("revoked  SHA256:") == 2
    data = json.loads(home.run("--json", "server", "revoke-list", "--file", "gone").out)["revoked"]
    assert data["form"] == "krl"
    assert len(data["keys"]) == 2
    again = home.run("server", "revoke-list", "--file", "gone", "plain.pub")
    assert "was as wanted" in again.out
    back = home.run("server", "revoke-list", "--file", "gone", "--take-back", "plain.pub")
    assert "taken back" in back.out
    assert "(1 key)" in back.out


def test_all_keys_of_the_token_that_made_one(home: Sandbox) -> None:
    for name in ("a", "b"):
        home.run("virtual", "create", name)
    (home.home / ".ssh").mkdir(mode=0o700)
    for token, name in (("a", "one"), ("a", "two"), ("b", "three")):
        path = f".ssh/{name}"
        home.run("--token", f"virtual:{token}", "key", "generate", "--no-passphrase", "-f", path)
    made = ("key", "generate", "-O", "resident", "--no-passphrase", "-f", "elsewhere")
    home.run("--token", "virtual:a", "pin", "set", "--new-pin-file", "-", stdin=b"123456\n")
    pin = ("--pin-file", "-", "--token", "virtual:a")
    assert home.run(*made, *pin, stdin=b"123456\n").code == 0
    arguments = ("server", "revoke-list", "--file", "gone", "--of-token", ".ssh/one.pub")
    done = home.run(*arguments, *pin, stdin=b"123456\n")
    assert done.code == 0, done.err
    prints = {
        name: home.run("key", "show", name).out.split()[1]
        for name in (".ssh/one.pub", ".ssh/two.pub", ".ssh/three.pub", "elsewhere.pub")
    }
    listed = {name for name, print_ in prints.items() if print_ in done.out}
    assert listed == {".ssh/one.pub", ".ssh/two.pub", "elsewhere.pub"}
    other = home.run(*arguments, "--token", "virtual:b")
    assert other.code == 2
    assert "did not make" in other.err
