"""Debian's usbip lists what we export. (Attaching takes a kernel: tests/kernel.)"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.usbip import UsbIpServer

pytestmark = pytest.mark.interop


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken() as token:
        yield token


def listed(stock: Callable[[str], str], port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [stock("usbip"), "--tcp-port", str(port), "list", "--remote", "127.0.0.1"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )


def test_it_is_listed(stock: Callable[[str], str], token: VirtualToken) -> None:
    server = UsbIpServer(
        token, port=0, vendor_id=0x1050, product_id=0x0407, product="a token", serial="FK01"
    )
    done = listed(stock, server.port)
    server.close()
    assert done.returncode == 0, done
    assert "1-1: " in done.stdout
    assert "(1050:0407)" in done.stdout
    assert "Human Interface Device / No Subclass / None (03/00/00)" in done.stdout


def test_an_unplugged_token_is_not(stock: Callable[[str], str], token: VirtualToken) -> None:
    server = UsbIpServer(token, port=0, product="a token", serial="FK01")
    token.unplug()
    done = listed(stock, server.port)
    server.close()
    assert done.returncode == 0, done
    assert "1-1" not in done.stdout
    assert "no exportable devices found" in done.stderr
