"""Our udev rule, for real: who may open a token, the tag for who sits there, and a stable link."""

from __future__ import annotations

import subprocess

from tests.kernel.conftest import plugged_in
from tests.kernel.image import USER
from tests.kernel.vm import Machine

RULE = "/etc/udev/rules.d/70-fidokit.rules"


def test_an_ordinary_user_is_refused_and_then_admitted(machine: Machine) -> None:
    """Without the rule nobody but root; with it the group, the tag for who sits there, a link."""
    machine.run(f"rm -f {RULE}; udevadm control --reload; gpasswd -d {USER} plugdev || true").ok()
    with plugged_in(machine) as token:
        refused = token.fidokit("token info", user=USER)
        assert refused.code == 1
        assert "may not open" in refused.err
        doctor = token.machine.run("fidokit doctor", user=USER)
        assert "udev" in doctor.out
    machine.run("fidokit udev install --force && udevadm control --reload").ok()
    with plugged_in(machine) as token:
        properties = machine.run(f"udevadm info --query=property --name={token.node}").ok()
        assert "ID_FIDO_TOKEN=1" in properties
        tags = next(line for line in properties.splitlines() if line.startswith("TAGS="))
        assert ":uaccess:" in tags
        assert machine.run(f"stat -c '%G %a' {token.node}").ok() == "plugdev 660\n"
        links = machine.run("ls /dev/fidokit/by-id").ok().split()
        assert [link for link in links if token.serial in link]
        assert token.fidokit("token info", user=USER).code == 1  # not in the group yet
        machine.run(f"gpasswd -a {USER} plugdev").ok()
        machine.run("true", user=USER)
        hang_up(machine, USER)
        assert "FIDO_2_3" in token.fidokit("token info", user=USER).ok()
        by_link = f"fidokit --token usb:/dev/fidokit/by-id/{links[0]} token info"
        assert "FIDO_2_3" in machine.run(by_link, user=USER).ok()
        stock = f"cd {token.path} && ssh-keygen -q -t ecdsa-sk -N '' -f mine && ls mine"
        assert "mine" in machine.run(stock, user=USER).ok()
    machine.run("groupmod -n elsewhere plugdev").ok()
    try:
        said = machine.run("fidokit udev install").ok()  # no --force: the file is ours
        assert RULE in said
        with plugged_in(machine) as token:
            properties = machine.run(f"udevadm info --query=property --name={token.node}").ok()
            assert ":uaccess:" in properties
            assert machine.run(f"stat -c '%G %a' {token.node}").ok() == "root 660\n"
    finally:
        machine.run("groupmod -n plugdev elsewhere && fidokit udev install").ok()
    assert machine.run("ls /dev/fidokit/by-id 2>/dev/null | wc -l").ok() == "0\n"


def hang_up(machine: Machine, user: str) -> None:
    """A new login has the user's new groups."""
    subprocess.run([*machine._ssh(user), "-O", "exit"], capture_output=True, check=False)
