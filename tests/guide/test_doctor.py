"""The actual cause, named; and never a failure of the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Desk
from tests.system.machine import FIDO_DESCRIPTOR, Machine

from fidokit.errors import NoPermission, PinAuthBlocked, PinBlocked, PinRequired
from fidokit.guide import doctor
from fidokit.guide.doctor import Finding, Status
from fidokit.server.harden.levels import pam_lines
from fidokit.server.sshd import drop_in
from fidokit.tokens import owner as pin
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def diagnose(machine: Machine, desk: Desk) -> dict[str, Finding]:
    (machine.root).mkdir(exist_ok=True)
    findings = doctor.diagnose(host=machine.host(), backends=[desk])
    for finding in findings:
        assert finding.sentence
        assert not finding.sentence.endswith(".")
        assert finding.hint or finding.status is Status.OK
    return {finding.check: finding for finding in findings}


def test_an_empty_machine(machine: Machine) -> None:
    found = diagnose(machine, Desk())
    assert found["token"].status is Status.FAIL
    assert "no token" in found["token"].sentence
    assert found["openssh"].status is Status.FAIL
    assert found["agent"].status is Status.WARN
    assert found["pcsc"].status is Status.WARN
    assert found["hid"].status is Status.WARN


def test_half_of_a_second_factor(machine: Machine) -> None:
    machine.root.mkdir()
    service = machine.root / "etc/pam.d/sshd"
    service.parent.mkdir(parents=True)
    service.write_bytes(drop_in.block("harden second-factor", pam_lines()))
    found = diagnose(machine, Desk())
    assert found["second-factor"].status is Status.FAIL
    assert found["second-factor"].id == "FK561"
    service.unlink()
    assert "second-factor" not in diagnose(machine, Desk())


def test_no_permission(machine: Machine, desk: Desk) -> None:
    machine.root.mkdir()
    machine.forbidden.add(machine.hidraw("hidraw0", FIDO_DESCRIPTOR))
    desk.refusals["ONE"] = NoPermission("this user may not open it", hint="udev")
    found = diagnose(machine, desk)
    assert found["hid-permission"].status is Status.FAIL
    assert found["token"].status is Status.FAIL
    assert "may not open" in found["token"].sentence


def test_a_healthy_token(machine: Machine, desk: Desk) -> None:
    found = diagnose(machine, desk)
    assert found["token"].status is Status.OK
    assert "FIDO_2_3" in found["token"].sentence
    assert found["pin"].status is Status.OK
    assert "token-abilities" not in found


def test_no_pin(machine: Machine, bare_desk: Desk) -> None:
    found = diagnose(machine, bare_desk)
    assert found["pin"].status is Status.WARN
    assert "no PIN" in found["pin"].sentence
    assert "pin set" in found["pin"].hint


def test_a_pin_that_must_be_changed(machine: Machine, desk: Desk) -> None:
    with desk.open() as session:
        pin.force_pin_change(session)
    found = diagnose(machine, desk)
    assert "wants a new PIN" in found["pin"].sentence
    assert "pin change" in found["pin"].hint


def wrong(desk: Desk, times: int, *, unplug: bool) -> None:
    for _ in range(times):
        desk.person.pin = "wrong1"
        with desk.open() as session:
            session.connection.spend_last_try = True
            with pytest.raises((PinRequired, PinAuthBlocked, PinBlocked)):
                pin.verify_pin(session)
        if unplug:
            desk.tokens["ONE"].power_cycle()


def test_a_blocked_pin(machine: Machine, desk: Desk) -> None:
    wrong(desk, 8, unplug=True)
    found = diagnose(machine, desk)
    assert found["pin"].status is Status.FAIL
    assert "blocked" in found["pin"].sentence
    assert found["pin"].hint == "`fidokit --token usb:ONE token reset`"


def test_three_wrong_pins_in_a_row(machine: Machine, desk: Desk) -> None:
    wrong(desk, 2, unplug=False)
    assert "6 tries are left" in diagnose(machine, desk)["pin"].sentence
    wrong(desk, 1, unplug=False)
    found = diagnose(machine, desk)
    assert found["pin"].status is Status.WARN
    assert "unplug" in found["pin"].hint


def test_a_token_of_long_ago(machine: Machine) -> None:
    desk = Desk()
    desk.plug("OLD", VirtualToken(profile="u2f"))
    found = diagnose(machine, desk)
    assert found["token"].status is Status.OK
    assert "pin" not in found
    assert "ed25519-sk" in found["token-abilities"].sentence
    desk.close()


def test_the_real_machine_is_looked_at_without_harm(desk: Desk) -> None:
    assert doctor.diagnose(backends=[desk])
