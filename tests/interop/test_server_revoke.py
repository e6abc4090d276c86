"""`fidokit server authorize --revoke` and `revoke-list`: what is taken out does not log in."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.town import Town, found_town

pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture
def town(tmp_path: Path, stock: Callable[[str], str]) -> Town:
    stock("ssh")
    return found_town(tmp_path, stock("/usr/sbin/sshd"))


def odd_lines(town: Town) -> dict[str, str]:
    """Lines that sshd reads; ours cannot read all of them."""
    kind, base64, _ = town.key("rsa", kind="rsa").read_text().split()
    blob = b64decode(base64)
    at = 4 + len("ssh-rsa")
    padded = blob[:at] + b"\0\0\0\4\0" + blob[at + 4 :]
    return {
        "plain": f"{kind} {base64}\n",
        "tab": f"{kind}\t{base64}\n",
        "vertical tab": f"{kind} {base64[:30]}\v{base64[30:]}\n",
        "carriage return": f"{kind} {base64[:30]}\r{base64[30:]}\r\n",
        "options": f'restrict,pty,environment="A=\\" b" {kind} {base64} a comment\n',
        "comma": f"restrict, {kind} {base64}\n",
        "needless zero": f"{kind} {b64encode(padded).decode()}\n",
        "no line end": f"{kind} {base64}",
    }


def test_lines_that_sshd_alone_reads_go(town: Town) -> None:
    """Each was a login before, where this sshd takes it; none is one afterwards."""
    read = []
    with town.serving() as login:
        for name, line in odd_lines(town).items():
            town.put("alice", f"# mine\n{town.key('other').read_text()}{line}")
            read += [name] if login.says("alice", town.key("rsa")) else []
            said = town.authorize("--revoke", "--user", "alice", "rsa.pub")
            assert "Proved: sshd accepts none of them for alice now." in said, name
            assert login.says("alice", town.key("rsa")) == "", name
            assert login.says("alice", town.key("other")) == "alice", name
    assert {"plain", "tab", "vertical tab", "options", "needless zero"} <= set(read)


def test_out_of_every_file_of_every_user(town: Town) -> None:
    line = town.key("plain").read_text()
    town.put("alice", line)
    town.put("bob", line, "authorized_keys2")
    town.put("carol", f"cert-authority {line}")
    said = town.authorize("--revoke", "--all-users", "plain.pub")
    assert said.count("removed  SHA256:") == 3
    for user in ("alice", "bob", "carol"):
        assert f"Proved: sshd accepts none of them for {user} now." in said
    assert "removed" not in town.authorize("--revoke", "--all-users", "plain.pub")


def test_absent_is_success_and_others_are_named(town: Town) -> None:
    town.put("bob", town.key("plain").read_text())
    said = town.authorize("--revoke", "--user", "alice", "plain.pub")
    assert "No file has the key." in said
    assert "bob has the key, too: /home/bob/.ssh/authorized_keys:1" in said


def test_a_fingerprint_and_what_else_knows_a_key(town: Town) -> None:
    lines = town.key("plain").read_text() + f"cert-authority {town.key('ca').read_text()}"
    town.put("alice", lines)
    town.configure("TrustedUserCAKeys /etc/ssh/authorities")
    (town.etc / "ssh/authorities").write_text(town.key("plain").read_text())
    print_ = town.run("ssh-keygen", "-lf", "plain.pub").split()[1]
    said = town.authorize("--revoke", "--user", "alice", print_)
    assert "Proved" in said
    assert "an authority in /etc/ssh/authorities" in said
    assert "the key is one of the authorities" in said
    assert "/home/alice/.ssh/authorized_keys:1" in said


def test_a_command_that_still_gives_it_out(town: Town) -> None:
    program = town.etc / "keys-of"
    program.write_text(f"#!/bin/sh\necho '{town.key('plain').read_text().strip()}'\n")
    program.chmod(0o755)
    command = "/etc/keys-of for %u"
    town.configure(f"AuthorizedKeysCommand {command}", "AuthorizedKeysCommandUser nobody")
    town.put("alice", town.key("plain").read_text())
    said = town.authorize("--revoke", "--user", "alice", "plain.pub", code=1)
    assert f"still lets in as alice: AuthorizedKeysCommand {command} returns it" in said
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"


def test_a_file_that_cannot_be_changed_is_a_failure(town: Town) -> None:
    path = town.put("alice", town.key("plain").read_text())
    town.run("chown", "root", "/home/alice/.ssh", "/home/alice/.ssh/authorized_keys")
    for folder in (path, path.parent):
        folder.chmod(0o755)
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"
    said = town.authorize("--revoke", "--all-users", "plain.pub", code=1)
    assert "not done: /home/alice/.ssh/authorized_keys could not be changed" in said
    assert "still lets in as alice: /home/alice/.ssh/authorized_keys:1" in said


def test_a_file_that_nobody_may_look_into_is_asked_about(town: Town) -> None:
    town.put("alice", town.key("plain").read_text())
    town.run("chown", "-R", "bob", "/home/alice/.ssh")
    said = town.authorize("--revoke", "--all-users", "plain.pub")
    assert "not checked for alice" in said
    assert "Proved: sshd accepts none of them for alice now." in said


# --- the list --------------------------------------------------------------------------------


def test_a_list_that_sshd_is_told_of_by_the_printed_commands(town: Town) -> None:
    """The commands work as they are, but for sudo and the service manager."""
    town.put("alice", town.key("plain").read_text() + town.key("other").read_text())
    said = town.fidokit("server", "revoke-list", "plain.pub")
    assert "ssh-keygen agrees." in said
    commands = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    assert len(commands) == 2
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"
    for command in commands:
        plain = command.replace("sudo ", "").replace("systemctl reload ssh", "true")
        town.run("sh", "-c", plain.replace("sshd -t", f"{town.sshd} -t"))
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == ""
        assert login.says("alice", town.key("other")) == "alice"
        assert "To have it read" not in town.fidokit("server", "revoke-list", "other.pub")
        assert login.says("alice", town.key("other")) == ""
        town.fidokit("server", "revoke-list", "--take-back", "plain.pub")
        assert login.says("alice", town.key("plain")) == "alice"
        assert login.says("alice", town.key("other")) == ""


def test_certificates_of_a_key_on_the_list(town: Town) -> None:
    town.put("alice", f"cert-authority {town.key('ca').read_text()}")
    town.key("plain")
    sign = ["ssh-keygen", "-q", "-s", "ca", "-I", "x", "-n", "alice", "-V", "+1d", "plain.pub"]
    town.run(*sign)
    town.configure("RevokedKeys /etc/ssh/revoked_keys")
    town.fidokit("server", "revoke-list", str(town.key("other")))
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"
        print_ = town.run("ssh-keygen", "-lf", "plain.pub").split()[1]
        town.fidokit("server", "revoke-list", print_)
        assert login.says("alice", town.key("plain")) == ""


def test_a_list_of_lines_stays_one(town: Town) -> None:
    town.configure("RevokedKeys /etc/ssh/gone")
    (town.etc / "ssh/gone").write_text(f"# lost\n{town.key('other').read_text()}")
    town.key("plain")
    town.fidokit("server", "revoke-list", "plain.pub")
    assert (town.etc / "ssh/gone").read_text().startswith("# lost\nssh-ed25519 ")
    town.put("alice", town.key("plain").read_text() + town.key("other").read_text())
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == ""
        assert login.says("alice", town.key("other")) == ""
    town.fidokit("server", "revoke-list", "--take-back", "other.pub")
    assert (town.etc / "ssh/gone").read_text().count("ssh-ed25519") == 1
