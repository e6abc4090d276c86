"""`fidokit virtual touch` and its like, at a token that another process serves."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
from tests.cli.commands.virtual.test_tokens import served
from tests.support.sandbox import Sandbox


@pytest.fixture
def work(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A home where a token is served that does only what it is told to."""
    sandbox.run("virtual", "create", "work", "--presence", "script")
    with served(sandbox, "work", "--clock", "0"):
        yield sandbox


def test_each_does_what_it_says(work: Sandbox) -> None:
    state = json.loads(work.run("--json", "virtual", "state", "work").out)["state"]
    assert (state["plugged_in"], state["waiting"], state["quirks"]) == (True, None, [])
    said = {
        ("touch", "work"): "Touched.\n",
        ("touch", "work", "--held"): "Touched.\n",
        ("refuse", "work"): "Refused.\n",
        ("finger", "work"): "Done.\n",
        ("finger", "work", "--sample", "good", "--sample", "left"): "Done.\n",
        ("power-cycle", "work"): "Power cycled.\n",
        ("set", "work", "--quirk", "opensk"): "Changed.\n",
        ("set", "work", "--advance", "5"): "Advanced.\n",
        ("fault", "work", "refuse", "--set", "status=0x7f"): "Waits for its command: refuse\n",
    }
    for words, line in said.items():
        done = work.run("virtual", *words)
        assert (done.code, done.out, done.err) == (0, line, ""), words
    shown = work.run("virtual", "state", "work").out
    assert "opensk" in shown
    assert "0 struck, more to come" in shown


def test_unplugged_and_inserted(work: Sandbox) -> None:
    assert work.run("virtual", "unplug", "work").out == "Unplugged.\n"
    assert "no" in work.run("virtual", "state", "work").out
    gone = work.run("virtual", "touch", "work")
    assert gone.code == 3
    assert "virtual:work is unplugged" in gone.err
    assert gone.err.endswith("hint: plug it in again: fidokit virtual insert work\n")
    assert work.run("virtual", "insert", "work").out == "Inserted.\n"
    assert work.run("--token", "virtual:work", "token", "info").code == 0


def test_a_touch_when_it_is_wanted(work: Sandbox) -> None:
    from tests.support.children import popen

    command = [sys.executable, "-m", "fidokit", "--token", "virtual:work"]
    reset = [*command, "key", "generate", "-t", "ed25519-sk", "--no-passphrase", "-f", "key"]
    with popen(reset, env=work.env, cwd=work.home) as child:
        waited = work.run("--json", "virtual", "wait-for-touch", "work", "--seconds", "30")
        assert json.loads(waited.out)["waiting"] == "touch"
        assert work.run("virtual", "touch", "work", "--when-asked", "30").code == 0
        assert child.wait(60) == 0
    assert (work.home / "key.pub").exists()


def test_nobody_waits(work: Sandbox) -> None:
    done = work.run("virtual", "wait-for-touch", "work", "--seconds", "0")
    assert done.code == 7
    assert "asked for no touch within 0 s" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("touch", "nobody"), 3, "no virtual token is served"),
        (("touch",), 2, "no token is named"),
        (("fault", "a", "b", "c"), 2, "no more"),
        (("fault", "stall", "--set", "x"), 2, "is not PARAMETER=VALUE"),
        (("set",), 2, "say what to change"),
        (("finger", "x", "--mismatch", "--sample", "good"), 2, "--mismatch is for"),
    ],
)
def test_what_cannot_be(sandbox: Sandbox, words: tuple[str, ...], code: int, said: str) -> None:
    done = sandbox.run("virtual", *words)
    assert done.code == code
    assert said in done.err


@pytest.mark.compiled
def test_a_program_acts_on_the_token_it_sees(sandbox: Sandbox) -> None:
    fidokit = f"{sys.executable} -m fidokit"
    script = (
        f"{fidokit} virtual unplug && test ! -c /dev/hidraw90 && {fidokit} virtual insert && "
        f"test -c /dev/hidraw90 && {fidokit} virtual state"
    )
    done = sandbox.run("virtual", "run", "--presence", "script", "--", "sh", "-c", script)
    assert done.code == 0, done.err
    assert done.out.startswith("Unplugged.\nInserted.\nThe token")
