"""Tests that are written for unittest, run by unittest."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Callable

import fido2.hid
import pytest
from fido2.ctap2.base import Ctap2
from fido2.hid import CtapHidDevice

from fidokit.testing import Stalled, VirtualTokenTestCase, WatchedToken, open_device


def select(token: WatchedToken) -> None:
    with open_device(token) as device:
        Ctap2(device).selection()


def run(body: Callable[[VirtualTokenTestCase], None], **attributes: object) -> unittest.TestResult:
    """What unittest makes of a test case with this one test."""
    kind = type("Case", (VirtualTokenTestCase,), {"test_it": body, **attributes})
    result = unittest.TestResult()
    kind("test_it").run(result)
    return result


def test_a_token_for_each_test() -> None:
    seen: list[WatchedToken] = []

    def body(case: VirtualTokenTestCase) -> None:
        (device,) = CtapHidDevice.list_devices()
        assert device.serial_number == case.virtual_token.identity.serial
        assert case.virtual_token.profile.name == "ctap2.1"
        assert case.virtual_tokens["other"] is not case.virtual_token
        select(case.virtual_tokens["other"])
        seen.append(case.virtual_token)

    before = fido2.hid.list_descriptors
    for _ in range(2):
        result = run(body, virtual_token_options={"profile": "ctap2.1"})
        assert result.wasSuccessful(), result.errors
    assert seen[0] is not seen[1]
    assert not seen[0].plugged_in
    assert fido2.hid.list_descriptors is before


WAITING = {"virtual_token_options": {"presence": "script"}, "virtual_token_patience": 0.05}


def test_a_stall_fails_the_test() -> None:
    result = run(lambda case: select(case.virtual_token), **WAITING)
    ((_, told),) = result.errors
    assert "waited 0.05 s" in told


def test_a_stall_that_is_swallowed_fails_it_too() -> None:
    def body(case: VirtualTokenTestCase) -> None:
        with pytest.raises(Stalled):
            select(case.virtual_token)

    ((_, told),) = run(body, **WAITING).failures
    assert "a token waited in vain" in told


def test_a_stall_that_was_meant() -> None:
    def body(case: VirtualTokenTestCase) -> None:
        with pytest.raises(Stalled):
            select(case.virtual_token)
        case.virtual_token.stalls.clear()

    assert run(body, **WAITING).wasSuccessful()


@pytest.mark.compiled
def test_programs_find_it() -> None:
    script = "from fido2.hid import list_descriptors; print(list(list_descriptors()))"

    def body(case: VirtualTokenTestCase) -> None:
        case.show_to_programs()
        said = subprocess.check_output([sys.executable, "-c", script], text=True)
        assert case.virtual_token.identity.serial in said

    before = dict(os.environ)
    result = run(body)
    assert result.wasSuccessful(), result.errors
    assert dict(os.environ) == before
