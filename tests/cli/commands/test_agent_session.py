"""`fidokit agent session`: what it says, what it refuses before a touch."""

from __future__ import annotations

import json

import pytest
from tests.cli.commands.conftest import Bench

from fidokit.errors import ExitCode


@pytest.fixture
def authority(bench: Bench) -> Bench:
    bench.generate("id_ca", "-f", str(bench.home / ".ssh" / "id_ca"))
    return bench


def run(bench: Bench, *args: str, **env: str) -> tuple[int, str, str]:
    command = bench.with_pin("agent", "session", *args[:-1])
    env["TMPDIR"] = str(bench.home)
    done = bench.run(*command, "--", "sh", "-c", args[-1], stdin=b"", **env)
    return done.code, done.out, done.err


def test_the_command_has_an_agent_of_its_own_and_its_status_counts(authority: Bench) -> None:
    script = 'echo "$SSH_AUTH_SOCK/$SSH_AGENT_PID"; test -S "$SSH_AUTH_SOCK" && exit 7'
    code, out, err = run(authority, "10m", "--principal", "a,b", script, SSH_AGENT_PID="1")
    assert code == 7
    assert out.endswith("/\n")
    assert out.startswith(f"{authority.home}/fidokit-")
    assert err.count("Touch your security key") == 1
    assert "session: open until " in err
    assert ", as a, b, for any host\n" in err


def test_json_comes_before_what_the_command_prints(authority: Bench) -> None:
    code, out, _ = run(authority, "10m", "--json", "echo; echo the command")
    document, _, said = out.partition("\n\n")
    assert (code, said) == (0, "the command\n")
    session = json.loads(document)["session"]
    assert session["host_keys"] is None
    assert session["key_id"].startswith("fidokit session of ")
    assert session["socket"].startswith(str(authority.home))
    assert set(session) >= {"serial", "principals", "valid_before"}


def test_a_command_that_goes_on_is_told_when_it_is_over(authority: Bench) -> None:
    script = 'while test -S "$SSH_AUTH_SOCK"; do sleep 0.1; done; sleep 0.5'
    code, _, err = run(authority, "1s", script)
    assert code == 0
    assert err.count("session: the session has ended; the command continues without its key") == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("soon",), "'soon' is not a time"),
        (("2d",), "a day at most"),
        (("10m", "--hosts", "web*"), "no host is known that fits 'web*'"),
        (("10m", "-O", "unknown"), "option 'unknown' is unknown"),
    ],
)
def test_what_makes_no_sense_costs_no_touch(
    authority: Bench, args: tuple[str, ...], says: str
) -> None:
    done = authority.run("agent", "session", *args, "--", "true")
    assert done.code == ExitCode.USAGE
    assert says in done.err
    assert "Touch" not in done.err


def test_a_program_that_is_not_there_costs_no_touch(authority: Bench) -> None:
    done = authority.run("agent", "session", "10m", "--", "no-such-program")
    assert done.code == ExitCode.USAGE
    assert "no program 'no-such-program'" in done.err


def test_an_authority_has_to_be_chosen(authority: Bench) -> None:
    authority.generate("id_more", "-f", str(authority.home / ".ssh" / "id_more"))
    done = authority.run("agent", "session", "10m", "--", "true")
    assert done.code == ExitCode.USAGE
    assert "choose with -s: " in done.err
    chosen = str(authority.home / ".ssh" / "id_more")
    assert run(authority, "10m", "-s", chosen, "true")[0] == 0
