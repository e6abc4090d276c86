"""`fidokit token` and `fidokit virtual`."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.cli.commands.conftest import Bench
from tests.support.children import popen
from tests.support.sandbox import Sandbox

from fidokit.cli.commands import token


def test_no_token_says_what_to_do(sandbox: Sandbox) -> None:
    done = sandbox.run("token", "info")
    assert done.code == 3
    assert "hint: " in done.err


def test_empty_virtual_list_says_what_to_do(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "list")
    assert (done.code, done.out) == (0, "")
    assert "fidokit virtual create NAME" in done.err


def test_list_for_a_pipe(bench: Bench) -> None:
    head, *rows = bench.ok("token", "list").splitlines()
    assert head.split("\t") == ["SELECTOR", "TOKEN", "SERIAL", "SPEAKS", "PIN", "PROBLEM", "MODEL"]
    cells = next(row.split("\t") for row in rows if row.startswith("virtual:t\t"))
    assert cells[4:] == ["set", "-", "-"]


def test_list_as_json(bench: Bench) -> None:
    tokens = bench.json("token", "list")["tokens"]
    token = next(t for t in tokens if t["selector"] == "virtual:t")
    assert set(token) == {
        "selector", "durable", "transport", "path", "product", "serial",
        "versions", "pin_set", "problem", "hint", "identifier",
    }  # fmt: skip
    assert (token["durable"], token["transport"], token["pin_set"]) == (True, "virtual", True)


def test_info(bench: Bench) -> None:
    out = bench.ok("token", "info")
    assert "virtual:t" in out
    assert "ed25519-sk, ecdsa-sk" in out
    document = bench.json("token", "info")
    assert set(document) == {
        "name",
        "selector",
        "durable",
        "identifier",
        "info",
        "pin",
        "departures",
    }
    assert document["info"]["options"]["clientPin"] is True
    assert "FIDO_2_1" in document["info"]["versions"]


def test_wink_says_which_one_it_was(bench: Bench) -> None:
    assert bench.ok("token", "wink") == "fidokit virtual token (virtual:t) blinks.\n"
    assert bench.json("token", "wink")["token"]["selector"] == "virtual:t"


def test_reset_lists_what_dies_and_wants_the_name(bench: Bench) -> None:
    bench.generate("k", "-O", "resident", "-O", "application=ssh:doomed")
    refused = bench.run("token", "reset", "--confirm", "yes")
    assert refused.code == 2
    asked = bench.run("token", "reset")
    assert asked.code == 2
    assert "destroys for good" in asked.err
    assert "every resident key" in asked.err
    listed = bench.run(*bench.with_pin("token", "reset", "--list"))
    assert "  - 1 resident key on it" in listed.err
    assert "ssh:doomed" in listed.err
    document = bench.json(*bench.with_pin("token", "reset", "--list", "--confirm", "t"))
    assert document["reset"]["resident"] == 1
    assert "ssh:doomed" in document["reset"]["credentials"][0]
    assert bench.json("pin", "status")["pin"]["set"] is False


def test_reset_on_a_terminal(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token", "virtual:t", "token", "reset", answers=[("to go on: ", "t\n")]
    )
    assert done.code == 0, done.out
    assert "as new" in done.out


def test_virtual_life(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "one").code == 0
    assert sandbox.run("virtual", "create", "one").code == 9
    assert sandbox.run("virtual", "create", "../evil").code == 2
    assert "virtual:one" in sandbox.run("virtual", "list").out
    refused = sandbox.run("virtual", "delete", "one")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert sandbox.run("virtual", "delete", "one", "--yes").code == 0
    assert sandbox.run("virtual", "delete", "one", "--yes").code == 3


def test_virtual_delete_asks(sandbox: Sandbox) -> None:
    sandbox.run("virtual", "create", "one")
    done = sandbox.talk("virtual", "delete", "one", answers=[("[y/N] ", "n\n")])
    assert done.code == 1
    assert "nothing was changed" in done.out
    done = sandbox.talk("virtual", "delete", "one", answers=[("[y/N] ", "y\n")])
    assert done.code == 0


def test_several_tokens(bench: Bench) -> None:
    bench.sandbox.run("virtual", "create", "u")
    done = bench.sandbox.run("pin", "status")
    assert done.code == 3
    assert "virtual:t" in done.err
    assert "virtual:u" in done.err
    chosen = bench.sandbox.talk("pin", "status", answers=[("Which one? ", "2\n")])
    assert chosen.code == 0, chosen.out


def test_bad_selector_is_a_usage_error(bench: Bench) -> None:
    assert bench.sandbox.run("--token", "nonsense", "token", "info").code == 2
    assert bench.sandbox.run("--token", "virtual:none", "token", "info").code == 3


def test_verbose_counts_round_trips_on_standard_error(bench: Bench) -> None:
    done = bench.run("-v", "pin", "status", "--json")
    assert done.code == 0
    assert done.out.startswith("{")
    assert " round trips in " in done.err


def test_interrupt_while_a_touch_is_awaited(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "slow", "--presence", "delay:600000").code == 0
    args = ("--token", "virtual:slow", "key", "generate", "-f", "k", "--no-passphrase")
    done = sandbox.talk(*args, answers=[("Touch your security key", "\x03")])
    assert done.code == 130, done.out
    assert "interrupted" in done.out
    assert "\x1b[?25l" not in done.out  # the cursor was never hidden
    assert not (sandbox.home / "k").exists()


@pytest.mark.parametrize(("end", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_waiting_like_ctrl_c(
    sandbox: Sandbox, end: signal.Signals, code: int
) -> None:
    assert sandbox.run("virtual", "create", "slow", "--presence", "delay:600000").code == 0
    args = ("--token", "virtual:slow", "key", "generate", "-f", "k", "--no-passphrase")
    done = sandbox.talk(*args, answers=[("Touch your security key", end)])
    assert done.code == code, done.out
    assert "interrupted; the token no longer waits" in done.out
    assert "\x1b[?25l" not in done.out
    assert not (sandbox.home / "k").exists()


def test_a_signal_at_a_question_gives_the_echo_back(bench: Bench) -> None:
    done = bench.sandbox.talk("pin", "verify", answers=[("PIN of", signal.SIGTERM)])
    assert done.code == 143, done.out
    assert done.echoes


def test_ignored_signals_stay_ignored(sandbox: Sandbox) -> None:
    """As under nohup: the terminal may go, and the command goes on to its end."""
    assert sandbox.run("virtual", "create", "slow", "--presence", "delay:600000").code == 0
    command = 'trap "" HUP; exec "$0" -m fidokit --no-progress --token virtual:slow '
    command += "key generate -f k --no-passphrase 2>&1"
    with popen(
        ["/bin/sh", "-c", command, sys.executable],
        env=sandbox.env,
        cwd=sandbox.home,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert "Touch your security key" in child.stdout.readline()
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 143


@pytest.mark.parametrize(
    ("version", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (5, "5"),
        (10_013, "10013"),
        (0x050704, "5.7.4 (329476)"),
        (0x040001, "4.0.1 (262145)"),
        (0x010000, "1.0.0 (65536)"),
        (0x2DC6E7, "3000039"),
        (0x01000000, "16777216"),
        (0x420253FF, "1107448831"),
    ],
)
def test_the_firmware_s_number(version: int | None, shown: str) -> None:
    assert token._firmware(version) == shown


def test_touch_refused(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "deny", "--presence", "deny").code == 0
    args = ("--token", "virtual:deny", "key", "generate", "-f", "k", "--no-passphrase")
    done = sandbox.run(*args)
    assert done.code == 7
    assert "Touch your security key (" in done.err
    assert not (sandbox.home / "k").exists()


def test_touch_notice_is_cleared_on_a_terminal(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "slow", "--presence", "delay:150").code == 0
    args = ("--token", "virtual:slow", "key", "generate", "-f", "k", "--no-passphrase")
    done = sandbox.talk(*args)
    assert done.code == 0, done.out
    assert "Touch your security key" in done.out
    after = done.out[done.out.rindex("Touch your security key") :]
    assert "\r\x1b[K" in after  # the line is erased
    plain = sandbox.talk(*args, "--force", "--no-progress")
    assert "\x1b[K" not in plain.out
    assert "Touch your security key" in plain.out
