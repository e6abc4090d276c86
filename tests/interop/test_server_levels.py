"""What `server harden` makes of a server, `server check` finds there: one holds the other to it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.hardened import SSHD, USER, Machine, line, machine

from fidokit.errors import FidokitError
from fidokit.server.check.findings.tally import CheckTally
from fidokit.server.check.key_lines import KeyLine
from fidokit.server.check.policy import CheckRule
from fidokit.server.check.report import CheckRequest, check_server

pytestmark = pytest.mark.interop

EVERY_RULE = frozenset(CheckRule)
EITHER = "hardware-or-certified"
ROLE = "deploy"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Host]:
    """An agent with a key in a file, and two on a token: ordinary, with PIN."""
    stock(SSHD)
    host = make_host(tmp_path_factory.mktemp("levels") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    virtual_token(host)
    sk_key(host, "touch", "-t", "ed25519-sk", "-O", "no-touch-required")
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    with serving(host):
        for name in ("plain", "touch", "uv"):
            host.add(host.home / name)
        yield host


@pytest.fixture
def it(keys: Host, tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path / "etc", keys) as found:
        yield found


def broken(it: Machine) -> dict[str, set[int | None]]:
    """The rules that do not hold, and the lines that break them."""
    tally = CheckTally(tuple(map(str, EVERY_RULE)))
    request = CheckRequest((USER,), EVERY_RULE, SSHD, str(it.server.config), "addr=127.0.0.1")
    list(tally.watch(check_server(request)))
    found: dict[str, set[int | None]] = {}
    for violation in tally.violations:
        for rule in violation.rules:
            found.setdefault(rule, set()).add(violation.line)
    return found


def test_hardware_only(it: Machine) -> None:
    it.authorize(line(it.host, "plain"), line(it.host, "uv", "verify-required"))
    assert broken(it) == {"hardware": {1}, EITHER: {1}, "verify": {1}}
    it.harden("hardware-only")
    assert broken(it) == {}
    it.undo()
    assert broken(it) == {"hardware": {1}, EITHER: {1}, "verify": {1}}


def test_verify(it: Machine) -> None:
    it.authorize(line(it.host, "touch"), line(it.host, "uv"))
    assert broken(it) == {"verify": {1, 2}}
    it.harden("verify", yes_unproved=True)
    assert broken(it) == {}
    assert it.lets_in("uv")
    assert not it.lets_in("touch")


def session(it: Machine) -> bool:
    """Whether the certificate of an agent session gets in."""
    client = [word for word in it.server.client() if "IdentitiesOnly" not in word]
    login = (*client, "-oIdentityFile=none", f"{USER}@127.0.0.1", "true")
    pin = ("--pin-file", str(it.host.home / "pin"), "-s", str(it.host.home / "uv"))
    command = ("agent", "session", "5m", "--principal", ROLE, *pin, "--", *login)
    done = it.host.run(sys.executable, "-m", "fidokit", *command, stdin=b"", code=None)
    assert done.returncode in {0, 255}, done
    return done.returncode == 0


def test_a_session_is_no_hardware_and_hardware_only_keeps_it_out(it: Machine) -> None:
    bounded = f'cert-authority,principals="{ROLE}",expiry-time="20990101"'
    it.authorize(line(it.host, "uv", bounded), line(it.host, "touch", "no-touch-required"))
    assert broken(it) == {"hardware": {1}, "verify": {1, 2}}
    assert session(it)
    it.harden("hardware-only")
    assert broken(it) == {"verify": {1, 2}}
    assert not session(it)
    it.undo()
    it.authorize(line(it.host, "uv", f'cert-authority,principals="{ROLE}"'))
    assert broken(it) == {"hardware": {1}, EITHER: {1}, "verify": {1}}
    assert session(it)
    it.authorize(line(it.host, "uv", bounded.replace("2099", "2020")))
    assert not session(it)


def test_touch(it: Machine) -> None:
    it.authorize(line(it.host, "touch", "no-touch-required"), line(it.host, "uv"))

    def touches() -> list[bool | None]:
        request = CheckRequest((USER,), sshd=SSHD, config=str(it.server.config))
        events = check_server(request)
        return [event.verdict.touch for event in events if isinstance(event, KeyLine)]

    assert touches() == [False, True]
    it.harden("touch")
    assert touches() == [True, True]
    assert not it.lets_in("touch")


def test_the_command_that_finds_out(it: Machine) -> None:
    """What the hint says works as it stands: the key is in the agent."""
    it.authorize(line(it.host, "uv"))
    with pytest.raises(FidokitError, match="cannot be known without a login") as refused:
        it.harden("verify")
    command = re.search(r"fidokit server harden (.*?);", refused.value.hint)
    assert command
    level, *options = command[1].split()
    assert options[:3] == ["--user", USER, "--login-with"]
    plan = it.harden(level, login_with=options[3:])
    assert [key.proof.value for key in plan.proofs[0].keys] == ["login"]
