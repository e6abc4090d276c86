"""`fidokit virtual` as processes: served to others, and pulled out on request."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.support.children import popen
from tests.support.json_members import documents
from tests.support.sandbox import Sandbox

from fidokit.cli.commands.virtual import tokens as virtual
from fidokit.virtual.transports import vpcd


@contextmanager
def served(sandbox: Sandbox, *args: str) -> Iterator[subprocess.Popen[str]]:
    """`virtual serve` in a process of its own, from its first line on."""
    with popen(
        [sys.executable, "-m", "fidokit", "virtual", "serve", *args],
        env=sandbox.env,
        cwd=sandbox.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert "is plugged in; Ctrl-C pulls it out." in child.stdout.readline()
        try:
            yield child
        finally:
            child.terminate()


@pytest.fixture(autouse=True)
def token(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "t", "--presence", "deny").code == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_served_until_told_to_stop(sandbox: Sandbox, end: signal.Signals) -> None:
    folder = sandbox.home / "state" / "fidokit" / "virtual"
    with served(sandbox, "t") as child:
        assert (folder / "t.sqlite.sock").is_socket()
        child.send_signal(end)
        assert child.wait(20) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""
    assert {p.name for p in folder.iterdir()} == {"t.sqlite", "t.sqlite.lock"}


def test_other_commands_reach_it_and_wrong_pins_add_up(sandbox: Sandbox) -> None:
    (sandbox.home / "pin").write_text("2580\n")
    (sandbox.home / "wrong").write_text("wrong\n")
    verify = ("--token", "virtual:t", "pin", "verify", "--pin-file")
    with served(sandbox, "t", "--presence", "auto"):
        assert sandbox.run("--token", "virtual:t", "pin", "set", "--new-pin-file", "pin").code == 0
        assert [sandbox.run(*verify, "wrong").code for _ in range(3)] == [5, 5, 6]
        assert sandbox.run(*verify, "pin").code == 6
        refused = sandbox.run("virtual", "delete", "t", "--yes")
        assert refused.code == 3
        assert "plugged in already" in refused.err
        again = sandbox.run("virtual", "serve", "t")
        assert again.code == 3
    assert sandbox.run(*verify, "pin").code == 0


def test_json_says_what_is_served(sandbox: Sandbox) -> None:
    with popen(
        [sys.executable, "-m", "fidokit", "virtual", "serve", "t", "--json"],
        env=sandbox.env,
        cwd=sandbox.home,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(child.stdout.readline())
        child.terminate()
    assert json.loads("".join(lines)) == {
        "schema": 1,
        "serving": "virtual:t",
        "reached": [],
    }


def test_what_is_not_there_is_not_served(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "serve", "none")
    assert done.code == 3
    assert "there is no virtual token named 'none'" in done.err


def test_ways_are_said_and_work_and_go(sandbox: Sandbox) -> None:
    path = sandbox.home / "t.sock"
    with served(sandbox, "t", "--socket", str(path), "--usbip", "127.0.0.1:0") as child:
        assert child.stdout is not None
        usbip, listening = child.stdout.readline(), child.stdout.readline()
        assert "usbip --tcp-port" in usbip
        assert f"--token socket:{path}" in listening
        info = sandbox.run("--token", f"socket:{path}", "token", "info")
        assert info.code == 0
        assert "(for now)" in info.out
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--usbip", "here"), "not HOST:PORT"),
        (("--usbip", "127.0.0.1:99999"), "not HOST:PORT"),
        (("--uhid", "--vendor-id", "12345"), "hexadecimal number"),
        (("--socket", "/no/such/folder/s"), "socket"),
    ],
)
def test_ways_that_cannot_be(sandbox: Sandbox, arguments: tuple[str, ...], said: str) -> None:
    done = sandbox.run("virtual", "serve", "t", *arguments)
    assert done.code != 0
    assert said in done.err
    assert "Traceback" not in done.err


# --- quirks --------------------------------------------------------------------------------------


def test_quirks_are_listed_kept_and_shown(sandbox: Sandbox) -> None:
    listed = json.loads(sandbox.run("virtual", "quirks", "--json").out)
    names = [quirk["name"] for quirk in listed["quirks"]]
    assert "unsorted-options" in names
    assert {"canokey", "solo1"} < {preset["name"] for preset in listed["presets"]}
    made = sandbox.run("virtual", "create", "odd", "--quirk", "solo1", "--quirk", "no-wink")
    assert "Its quirks: solo1, no-wink" in made.out
    shown = sandbox.run("virtual", "list")
    assert "ctap2.3 solo1 no-wink" in shown.out
    assert sandbox.run("--token", "virtual:odd", "token", "info").code == 0


def test_quirks_that_exclude_each_other_are_named(sandbox: Sandbox) -> None:
    refused = sandbox.run("virtual", "create", "odd", "--quirk", "solo1", "--quirk", "canokey")
    assert refused.code == 2
    assert "'rp-ids-cut-at-32' and 'rp-ids-cut-at-48' exclude each other" in refused.err
    assert "odd" not in sandbox.run("virtual", "list").out
    unknown = sandbox.run("virtual", "create", "odd", "--quirk", "no-winks")
    assert unknown.code == 2
    assert "fidokit virtual quirks" in unknown.err


# --- sealing and moving ---------------------------------------------------------------------


def test_a_sealed_token_is_served_and_then_used_by_all(sandbox: Sandbox) -> None:
    (sandbox.home / "words").write_text("open sesame\n")
    (sandbox.home / "wrong").write_text("open rye\n")
    made = sandbox.run("virtual", "create", "s", "--seal", "--passphrase-file", "words")
    assert made.code == 0
    assert "fidokit virtual serve s" in made.out
    alone = sandbox.run("--token", "virtual:s", "token", "info")
    assert alone.code == 1
    assert "is sealed under a passphrase" in alone.err
    assert sandbox.run("virtual", "serve", "s", "--passphrase-file", "wrong").code == 1
    assert sandbox.run("virtual", "serve", "s").code == 1
    with served(sandbox, "s", "--passphrase-file", "words"):
        assert sandbox.run("--token", "virtual:s", "token", "info").code == 0
    listed = json.loads(sandbox.run("virtual", "list", "--json").out)["virtual"]
    assert [(token["name"], token["sealed"]) for token in listed] == [("s", True), ("t", False)]


def test_a_passphrase_is_asked_twice_on_a_terminal(sandbox: Sandbox) -> None:
    answers = [
        ("New passphrase for virtual:s: ", "one\n"),
        ("New passphrase again: ", "two\n"),
        ("New passphrase for virtual:s: ", "one\n"),
        ("New passphrase again: ", "one\n"),
    ]
    done = sandbox.talk("virtual", "create", "s", "--seal", answers=answers)
    assert done.code == 0
    assert "The two are not the same." in done.out
    (sandbox.home / "words").write_text("one\n")
    with served(sandbox, "s", "--passphrase-file", "words"):
        pass


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--passphrase-file", "words"], 2),
        (["--seal"], 1),
        (["--seal", "--passphrase-file", "empty"], 2),
        (["--seal", "--passphrase-file", "none"], 1),
    ],
)
def test_a_seal_and_its_passphrase_belong_together(
    sandbox: Sandbox, options: list[str], code: int
) -> None:
    (sandbox.home / "words").write_text("words\n")
    (sandbox.home / "empty").write_text("\n")
    done = sandbox.run("virtual", "create", "s", *options)
    assert done.code == code
    assert "hint:" in done.err or "none" in done.err
    assert "virtual:s" not in sandbox.run("virtual", "list").out


def test_out_and_in_again(sandbox: Sandbox) -> None:
    out = sandbox.run("virtual", "export", "t", "moved.fidokit")
    assert out.code == 0
    assert "the same token" in out.err
    file = sandbox.home / "moved.fidokit"
    assert file.stat().st_mode & 0o777 == 0o600
    again = sandbox.run("virtual", "export", "t", "moved.fidokit")
    assert again.code == 9
    assert sandbox.run("virtual", "import", "moved.fidokit", "t").code == 9
    back = sandbox.run("virtual", "import", "moved.fidokit")
    assert back.code == 0
    assert "Imported virtual:moved." in back.out
    assert "the same token" in back.err
    file.write_bytes(file.read_bytes()[:-1])
    broken = sandbox.run("virtual", "import", "moved.fidokit", "other")
    assert broken.code == 4
    assert sandbox.run("virtual", "import", "none", "other").code == 1


def test_a_sealed_export(sandbox: Sandbox) -> None:
    (sandbox.home / "words").write_text("open sesame\n")
    seal = ("--seal", "--passphrase-file", "words")
    assert sandbox.run("virtual", "export", "t", "moved", *seal).code == 0
    assert sandbox.run("virtual", "import", "moved", "u").code == 1
    assert sandbox.run("virtual", "import", "moved", "u", "--passphrase-file", "words").code == 0
    # what it became is sealed, and so is its own export
    assert sandbox.run("virtual", "export", "u", "again").code == 1
    assert sandbox.run("virtual", "export", "u", "again", "--passphrase-file", "words").code == 0
    assert b"ctap2.3" not in (sandbox.home / "again").read_bytes()


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0", "ctap2.1", "ctap2.3"])
def test_a_profile_is_what_the_token_speaks(sandbox: Sandbox, profile: str) -> None:
    assert sandbox.run("virtual", "create", "key", "--profile", profile).code == 0
    info = json.loads(sandbox.run("--token", "virtual:key", "token", "info", "--json").out)["info"]
    newest = {"u2f": "U2F_V2"}.get(profile, profile.replace("ctap", "FIDO_").replace(".", "_"))
    assert newest in info["versions"]
    assert ("FIDO_2_3" in info["versions"]) is (profile == "ctap2.3")


def test_an_unknown_profile_is_refused_by_name(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "create", "key", "--profile", "ctap9")
    assert done.code == 2
    assert "ctap9" in done.err
    assert "ctap2.1" in done.err


# --- a reader that is gone ---------------------------------------------------------------------


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a reader takes one card, and is gone for good."""
    monkeypatch.setattr(vpcd, "GONE_S", 0.0)
    monkeypatch.setattr(vpcd.VpcdCard, "wait_until_seen", lambda _card: True)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take_one() -> None:
            server.accept()[0].close()
            server.close()

        address = server.getsockname()
        thread = threading.Thread(target=take_one)
        thread.start()
        yield f"127.0.0.1:{address[1]}"
        with suppress(OSError):  # where no card came, the test failed, and must not hang as well
            socket.create_connection(address, 1).close()
        thread.join()


def test_where_the_reader_was_the_only_way_its_end_is_the_end(
    in_process: Callable[..., int], reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("--json", "virtual", "serve", "t", "--vpcd", reader) == 3
    serving, ended = documents(capsys.readouterr().out)
    assert serving["reached"][0]["way"] == "vpcd"
    assert ended["error"]["kind"] == "ReaderGone"
    assert ended["error"]["exit_code"] == 3
    assert f"the reader at {reader.replace(':', ' port ')} is gone" in ended["error"]["message"]
    assert not signal.sigpending()


def test_with_another_way_only_the_card_ends(
    sandbox: Sandbox,
    in_process: Callable[..., int],
    reader: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: list[str] = []
    served = threading.get_ident()

    def note(text: str) -> None:
        notes.append(text)
        signal.pthread_kill(served, signal.SIGTERM)

    monkeypatch.setattr(virtual, "note", note)
    path = str(sandbox.home / "s")
    assert in_process("virtual", "serve", "t", "--vpcd", reader, "--socket", path) == 0
    (said,) = notes
    assert said.endswith("within 0 minutes; the token stays plugged in otherwise.")
