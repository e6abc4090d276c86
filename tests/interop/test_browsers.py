"""Chromium and Firefox register and log in at a page by a virtual token, keys pressed for real.

They find it by themselves, as a USB key, under the library that `fidokit virtual run` preloads;
their own virtual authenticators are not used.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fido2.webauthn import UserVerificationRequirement
from tests.interop.browser import Door, Keyboard, chromium, firefox, screen
from tests.support.children import popen

from fidokit.lab.program import plugged_in
from fidokit.testing import open_device
from fidokit.virtual.token import VirtualToken

pytestmark = [
    pytest.mark.interop,
    pytest.mark.long,
    pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="browsers are on the host alone"),
]

PIN = "hunter42"
GET_INFO = b"\x04"
Start = Callable[[Path, str], list[str]]


class Watched(VirtualToken):
    """Tells when a client asks what it can do, before it asks its user for the PIN."""

    def __init__(self) -> None:
        super().__init__()
        self.found = threading.Event()

    def exchange_cbor(self, request: bytes, *rest: object) -> bytes:
        answer = super().exchange_cbor(request, *rest)  # type: ignore[arg-type]
        if request == GET_INFO:
            self.found.set()
        return answer


@pytest.fixture
def token() -> Iterator[Watched]:
    with Watched() as made:
        yield made


@pytest.fixture(params=[(chromium, "Chromium"), (firefox, "Firefox")], ids=["chromium", "firefox"])
def browser(request: pytest.FixtureRequest) -> tuple[Start, str]:
    made: tuple[Start, str] = request.param
    return made


@pytest.mark.parametrize("verification", ["discouraged", "required"])
def test_registers_and_logs_in(
    browser: tuple[Start, str], token: Watched, tmp_path: Path, verification: str
) -> None:
    if verification == "required":
        from fido2.ctap2 import ClientPin, Ctap2

        with open_device(token) as device:
            ClientPin(Ctap2(device)).set_pin(PIN)
    start, title = browser
    door = Door(UserVerificationRequirement(verification))
    environ = {**os.environ, "HOME": str(tmp_path)}
    with screen() as display, plugged_in([token], environ) as shown:
        command = start(tmp_path / "profile", door.url)
        log = (tmp_path / "log").open("wb")
        env = shown | {"DISPLAY": display}
        with popen(command, env=env, stdout=log, stderr=log, start_new_session=True) as child:
            try:
                ceremony(door, Keyboard(display, os.environ), title, token, verification)
            finally:
                child.terminate()
                log.close()
                door.close()


def ceremony(door: Door, keyboard: Keyboard, title: str, token: Watched, verification: str) -> None:
    door.until("loaded", lambda: None)
    keyboard.focus(title)
    for what in ("register", "login"):
        token.found.clear()
        door.until(f"{what}/begin", lambda: keyboard.press("Return"))
        if verification == "required":
            assert token.found.wait(60)
            door.until(f"{what}/complete", lambda: keyboard.type_over(PIN))
        else:
            door.until(f"{what}/complete", lambda: None)
