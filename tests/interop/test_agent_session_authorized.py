"""The whole way: `server authorize --as-authority` trusts a token's key, `agent session` logs in by
it, `server check` says what that means, `--revoke` ends it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agent_host import PIN
from tests.support.town import Login, Town, found_town

pytestmark = [pytest.mark.interop, pytest.mark.root]

ROLE = "deploy"
RULES = ("hardware", "hardware-or-certified", "verify")
NOTHING_ELSE = ("PasswordAuthentication no", "KbdInteractiveAuthentication no")


@pytest.fixture
def town(tmp_path: Path, stock: Callable[[str], str]) -> Town:
    """Users, of whom alice is to be let in, and an administrator's token."""
    stock("ssh")
    made = found_town(tmp_path, stock("/usr/sbin/sshd"))
    made.configure(*NOTHING_ELSE)
    (made.folder / "keys/pin").write_text(f"{PIN}\n")
    made.fidokit("virtual", "create", "t")
    made.fidokit("pin", "set", "--new-pin-file", "pin")
    generate = ("key", "generate", "-t", "ed25519-sk", "-O", "verify-required", "-f", "id_ca")
    made.fidokit(*generate, "--no-passphrase", "--pin-file", "pin")
    return made


def session(
    town: Town, login: Login, principal: str = ROLE, user: str = "alice"
) -> tuple[int, str]:
    """A login with a session's certificate: its exit status, and all that was printed."""
    there = [
        word for word in login.ssh if word not in {"-oIdentityAgent=none", "-oIdentitiesOnly=yes"}
    ]
    command = shlex.join([*there, f"{user}@127.0.0.1", "id", "-un"])
    begin = ("agent", "session", "5m", "-s", "id_ca", "--principal", principal)
    said = town.fidokit(
        *begin, "--pin-file", "pin", "--", "sh", "-c", f"{command}; echo status=$?", code=0
    )
    return int(said.partition("status=")[2].split()[0]), said


def broken(town: Town) -> dict[str, bool]:
    """The rules that do not hold for alice, and whether that is a doubt."""
    words = [word for rule in RULES for word in ("--require", rule)]
    said = town.fidokit("--json", "server", "check", "--user", "alice", *words, code=None)
    policy = json.JSONDecoder().raw_decode(said)[0]["policy"]  # what breaks is told behind it
    return {found["rule"]: found["doubt"] for found in policy["violations"]}


AUTHORITY = ("--as-authority", "--principals", ROLE, "--expiry-time", "20991231")


def test_from_authorize_to_revoke(town: Town) -> None:
    with town.serving() as login:
        assert session(town, login)[0] == 255, "nobody trusts it yet"
        assert broken(town) == {}
        said = town.authorize("id_ca.pub", "--user", "alice", *AUTHORITY)
        assert "alice" in said
        line = (town.home("alice") / ".ssh/authorized_keys").read_text()
        assert line.startswith(f'cert-authority,expiry-time="20991231",principals="{ROLE}" sk-')

        status, said = session(town, login)
        assert (status, "alice" in said.splitlines()) == (0, True), said
        assert said.count("Touch your security key") == 1
        assert session(town, login, "another")[0] == 255
        assert session(town, login, user="bob")[0] == 255
        log = (town.folder / "log").read_text()
        assert "Accepted publickey for alice" in log
        assert "ID fidokit session of" in log

        assert broken(town) == {"hardware": False, "verify": False}, "known to break, and no doubt"
        again = town.authorize("id_ca.pub", "--user", "alice", *AUTHORITY)
        assert "Nothing changes" in again

        town.authorize("id_ca.pub", "--user", "alice", "--revoke")
        assert session(town, login)[0] == 255
        assert broken(town) == {}


def test_where_tokens_alone_are_accepted_sessions_are_not(town: Town) -> None:
    """As `server harden hardware-only` has it."""
    town.authorize("id_ca.pub", "--user", "alice", *AUTHORITY)
    with town.serving() as login:
        assert session(town, login)[0] == 0
    town.configure(*NOTHING_ELSE, "PubkeyAcceptedAlgorithms sk-*")
    with town.serving() as login:
        assert session(town, login)[0] == 255
    assert "hardware" not in broken(town)


def test_an_authority_whose_line_has_no_bounds(town: Town) -> None:
    """As somebody writes it by hand: sessions work, and no rule about tokens holds."""
    public = (town.folder / "keys/id_ca.pub").read_text()
    town.put("alice", f"cert-authority {public}")
    with town.serving() as login:
        assert session(town, login, "alice")[0] == 0
        assert broken(town) == dict.fromkeys(RULES, False)


def test_an_authority_of_the_whole_server(town: Town) -> None:
    trusted = town.etc / "ssh/ca.pub"
    trusted.write_text((town.folder / "keys/id_ca.pub").read_text())
    town.configure(*NOTHING_ELSE, "TrustedUserCAKeys /etc/ssh/ca.pub")
    with town.serving() as login:
        assert session(town, login, "alice")[0] == 0
        assert broken(town) == dict.fromkeys(RULES, False)
