"""Our agent and a token on a real pcscd's reader: found when laid there, gone when taken off."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.support.agent_host import PIN, WAIT_S, Host, make_host, serving, sk_key
from tests.support.pcscd import PLACE, SELECTOR, Pcscd, wait_for_card

from fidokit.client.links.backends import laid

pytestmark = pytest.mark.interop


@dataclass
class Card:
    """A token with two resident keys, and the reader that it is laid on."""

    host: Host
    arguments: list[str]

    def lay(self) -> None:
        plug.insert(self.host.home / "pid", self.arguments, self.host.env)
        wait_for_card()

    def lift(self) -> None:
        plug.unplug(self.host.home / "pid")
        wait_for_card(there=False)

    def wait_for_keys(self, *names: str) -> None:
        """Until the agent serves these keys and no others."""
        deadline = time.monotonic() + WAIT_S
        while (shown := self.keys()) != sorted(names):
            assert time.monotonic() < deadline, (shown, self.host.said())

    def keys(self) -> list[str]:
        lines = self.host.add("-l", code=None).splitlines()
        return sorted(line.split()[2] for line in lines if "SHA256:" in line)

    def questions(self) -> int:
        return len(self.host.asked())


@pytest.fixture
def card(pcscd: Pcscd, tmp_path: Path) -> Iterator[Card]:
    host = make_host(tmp_path / "home")
    host.env[PLACE] = os.environ[PLACE]
    host.fidokit("virtual", "create", "card")
    made = Card(host, ["card", "--vpcd", f"127.0.0.1:{pcscd.port}"])
    made.lay()
    (host.home / "pin").write_text(PIN + "\n")
    host.fidokit("--token", SELECTOR, "pin", "set", "--new-pin-file", "pin")
    resident = ("-t", "ed25519-sk", "-O", "resident", "-O")
    sk_key(host, "res", *resident, "application=ssh:one", token=SELECTOR)
    uv = ("application=ssh:two", "-O", "verify-required")
    sk_key(host, "resuv", *resident, *uv, token=SELECTOR)
    yield made
    made.lift()


def test_resident_keys_come_and_go_with_the_token(card: Card) -> None:
    """No --token: the token on the reader is found like one on USB; stock ssh-add sees its keys."""
    card.lift()
    elsewhere = str(card.host.home / "elsewhere")  # where it is not a virtual token of the agent's
    options = ("--resident", "--pin-cache", "10m", "--no-notify")
    with serving(card.host, *options, XDG_STATE_HOME=elsewhere) as host:
        card.lay()
        card.wait_for_keys("res", "resuv")
        host.add("-T", "res.pub")
        host.add("-T", "resuv.pub")
        host.add("-T", "resuv.pub")
        kept = card.questions()
        assert kept == 1  # to list; it was kept for the signatures
        card.lift()
        card.wait_for_keys()
        host.add("-T", "resuv.pub", code=1)
        card.lay()
        card.wait_for_keys("res", "resuv")
        assert card.questions() == kept + 1
        host.add("-T", "resuv.pub")


def test_what_lies_on_the_reader(card: Card) -> None:
    (before,) = (count for count in laid().values() if count)
    card.lift()
    assert not any(laid().values())
    card.lay()
    (after,) = (count for count in laid().values() if count)
    assert after > before
