"""Our command over /dev/hidraw*: as root and as an ordinary user under our udev rule."""

from __future__ import annotations

import json

import pytest
from tests.kernel.conftest import PIN, Plugged, plugged_in, unplug
from tests.kernel.image import USER
from tests.kernel.vm import Machine

RULE = "/etc/udev/rules.d/70-fidokit.rules"


def test_the_life_of_a_key(owned: Plugged) -> None:
    """PIN by libfido2; made, listed, used, recovered and deleted by us."""
    owned.machine.run(f"echo {PIN} >{owned.path}/pin; echo hello >{owned.path}/letter").ok()
    pin = "--pin-file pin"
    owned.fidokit(
        f"key generate -t ed25519-sk -O resident -O verify-required -O application=ssh:life "
        f"-f id --no-passphrase {pin}"
    ).ok()
    owned.fidokit(f"key sign -f id letter {pin}").ok()
    owned.machine.run(
        f"cd {owned.path} && ssh-keygen -Y check-novalidate -n file -s letter.sig <letter"
    ).ok()
    listed = json.loads(owned.fidokit(f"key list {pin} --json .").ok())["keys"]
    assert [key["application"] for key in listed] == ["ssh:life"]
    owned.machine.run(f"cd {owned.path} && rm id").ok()
    owned.fidokit(f"key download --no-passphrase {pin}").ok()
    owned.machine.run(
        f"cd {owned.path} && diff <(cut -d' ' -f1,2 id.pub) "
        "<(cut -d' ' -f1,2 id_ed25519_sk_rk_life.pub)"
    ).ok()
    owned.fidokit(f"key delete life --yes {pin}").ok()
    assert json.loads(owned.fidokit(f"key list {pin} --json --only-token").ok())["keys"] == []


def test_program_after_program(token: Plugged) -> None:
    """Ours, stock, ours: each opens and closes the device, which lives on."""
    for _ in range(2):
        assert "FIDO_2_3" in token.fidokit("token info").ok()
        token.machine.run(f"fido2-token -I {token.node}").ok()
    assert f"usb:{token.serial}" in token.machine.run("fidokit token list").ok()


@pytest.fixture
def rule(machine: Machine) -> str:
    """Our rule, installed by our command; what udev made of nodes before is forgotten."""
    machine.run("fidokit udev install --force && udevadm control --reload").ok()
    return RULE


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
    assert machine.run("ls /dev/fidokit/by-id 2>/dev/null | wc -l").ok() == "0\n"


def hang_up(machine: Machine, user: str) -> None:
    """A new login has the user's new groups."""
    import subprocess

    subprocess.run([*machine._ssh(user), "-O", "exit"], capture_output=True, check=False)


def test_taken_away_while_it_waits_for_a_touch(machine: Machine) -> None:
    """A clear error, nothing half written; and another one plugged in works."""
    with plugged_in(machine, presence="delay:60000") as token:
        machine.run(
            f"cd {token.path}; (python3 -m fidokit --token usb:{token.node} key generate -f id "
            "--no-passphrase >said 2>&1; echo $? >status) </dev/null >/dev/null 2>&1 & "
            f"for i in $(seq 300); do grep -q Touch {token.path}/said 2>/dev/null && break; "
            "sleep 0.1; done"
        ).ok()
        unplug(machine, token.name)
        machine.run(
            f"for i in $(seq 200); do [ -s {token.path}/status ] && break; sleep 0.1; done"
        ).ok()
        said = machine.run(f"cat {token.path}/said {token.path}/status").ok()
        assert said.splitlines()[-1] == "3", said
        assert "Traceback" not in said
        assert machine.run(f"ls {token.path}").ok().split() == ["said", "status"]
    with plugged_in(machine) as token:
        assert "FIDO_2_3" in token.fidokit("token info").ok()


def test_stock_ssh_keygen_survives_the_same(machine: Machine) -> None:
    with plugged_in(machine, presence="delay:60000") as token:
        machine.run(
            f"cd {token.path}; (ssh-keygen -t ed25519-sk -N '' -f id >said 2>&1; echo $? >status) "
            "</dev/null >/dev/null 2>&1 & sleep 2"
        ).ok()
        unplug(machine, token.name)
        machine.run(
            f"for i in $(seq 200); do [ -s {token.path}/status ] && break; sleep 0.1; done"
        ).ok()
        assert machine.run(f"cat {token.path}/status").ok() != "0\n"
        assert machine.run(f"ls {token.path}").ok().split() == ["said", "status"]


@pytest.mark.parametrize("end", ["TERM", "INT", "KILL"])
def test_the_device_goes_with_its_process(machine: Machine, end: str) -> None:
    with plugged_in(machine) as token:
        machine.run(f"kill -{end} $(cat /tmp/{token.name}.pid)").ok()
        machine.run(
            f"for i in $(seq 100); do [ -e {token.node} ] || break; sleep 0.05; done; "
            f"[ ! -e {token.node} ]"
        ).ok()


def test_what_the_plug_says_is_seen(machine: Machine) -> None:
    said = ("--vendor-id", "1050", "--product-id", "0407", "--product", "TestKey")
    with plugged_in(machine, *said, "--serial", "S77") as token:
        listed = machine.run("fido2-token -L").ok()
        assert f"{token.node}: vendor=0x1050, product=0x0407" in listed
        uevent = f"cat /sys/class/hidraw/{token.node[5:]}/device/uevent"
        assert "HID_NAME=TestKey" in machine.run(uevent).ok()
        assert "usb:S77" in machine.run("fidokit token list").ok()
