"""The variables by which programs that a test starts find its tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fidokit.testing import WatchedToken, token_environment

pytestmark = pytest.mark.compiled
LIST = """if True:
    from fido2.hid import CtapHidDevice
    from fido2.ctap2 import Ctap2
    for device in sorted(CtapHidDevice.list_devices(), key=lambda d: d.descriptor.path):
        with device:
            versions = Ctap2(device).info.versions
            print(device.descriptor.path, device.serial_number, "FIDO_2_3" in versions)
"""


def test_all_are_usb_keys_and_the_first_has_a_socket(tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LD_PRELOAD": ""}
    with WatchedToken() as one, WatchedToken(profile="ctap2.0") as other:
        with token_environment([one, other], environ) as variables:
            assert set(variables) == {
                "LD_PRELOAD",
                "FIDOKIT_NODES",
                "FIDOKIT_TOKEN",
                "SSH_SK_PROVIDER",
            }
            assert Path(variables["SSH_SK_PROVIDER"]).is_file()
            socket = Path(variables["FIDOKIT_TOKEN"].removeprefix("socket:"))
            assert socket.is_socket()
            said = subprocess.check_output(
                [sys.executable, "-c", LIST], env=environ | variables, text=True
            )
        assert not socket.exists()
    assert said.splitlines() == [
        f"/dev/hidraw90 {one.identity.serial} True",
        f"/dev/hidraw91 {other.identity.serial} False",
    ]
