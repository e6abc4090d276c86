"""Our own command over a real pcscd: a token served on its reader, by its name alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.support.agent_host import Host, make_host
from tests.support.pcscd import PLACE, READER, SELECTOR, Pcscd, wait_for_card

pytestmark = pytest.mark.interop

PIN = "314159"


@dataclass
class Served:
    """A home folder, and the token `card` of its own on the reader."""

    host: Host
    arguments: list[str]

    def fidokit(self, *arguments: str, **how: object) -> str:
        """Our command on whatever lies there."""
        return self.host.fidokit("--token", SELECTOR, *arguments, **how)

    def lay(self, after: int = -1) -> int:
        """`virtual serve card --vpcd`; see `wait_for_card`."""
        plug.insert(self.host.home / "pid", self.arguments, self.host.env)
        return wait_for_card(after=after)

    def lift(self) -> None:
        """Ends it."""
        plug.unplug(self.host.home / "pid")
        wait_for_card(there=False)


@pytest.fixture
def served(pcscd: Pcscd, tmp_path: Path) -> Iterator[Served]:
    host = make_host(tmp_path / "home")
    host.env[PLACE] = os.environ[PLACE]
    host.fidokit("virtual", "create", "card")
    (host.home / "pin").write_text(PIN + "\n")
    made = Served(host, ["card", "--vpcd", f"127.0.0.1:{pcscd.port}"])
    made.lay()
    yield made
    made.lift()


def test_it_is_listed(served: Served) -> None:
    listed = json.loads(served.host.fidokit("token", "list", "--json"))
    selectors = [token["selector"] for token in listed["tokens"]]
    assert SELECTOR in selectors
    shown = served.host.fidokit("token", "list")
    assert READER in shown


def test_the_life_of_a_key(served: Served, stock: Callable[[str], str]) -> None:
    """PIN set; made, listed, used, recovered, deleted; ssh-keygen judges what is signed."""
    home = served.host.home
    pin = ("--pin-file", "pin")
    served.fidokit("pin", "set", "--new-pin-file", "pin")
    served.fidokit(
        *("key", "generate", "-t", "ed25519-sk", "-O", "resident", "-O", "verify-required"),
        *("-O", "application=ssh:life", "-f", "id", "--no-passphrase", *pin),
    )
    (home / "letter").write_text("hello\n")
    served.fidokit("key", "sign", "-f", "id", "letter", *pin)
    check = ("-Y", "check-novalidate", "-n", "file", "-s", "letter.sig")
    served.host.run(stock("ssh-keygen"), *check, stdin=b"hello\n")
    listed = json.loads(served.fidokit("key", "list", *pin, "--json", "."))["keys"]
    assert [key["application"] for key in listed] == ["ssh:life"]
    (home / "id").unlink()
    served.fidokit("key", "download", "--no-passphrase", *pin)
    first, again = (
        (home / name).read_text().split()[:2] for name in ("id.pub", "id_ed25519_sk_rk_life.pub")
    )
    assert first == again
    served.fidokit("key", "delete", "life", "--yes", *pin)
    assert json.loads(served.fidokit("key", "list", *pin, "--json", "--only-token"))["keys"] == []


def test_program_after_program(served: Served) -> None:
    """A new serve takes the old one's place at once, and is met by the next program."""
    seen = wait_for_card()
    for _ in range(2):
        assert "FIDO_2_3" in served.fidokit("token", "info")
        plug.unplug(served.host.home / "pid")
        seen = served.lay(after=seen)
    assert "FIDO_2_3" in served.fidokit("token", "info")


def test_a_reset_wants_another_way(served: Served) -> None:
    done = served.host.run(
        sys.executable, "-m", "fidokit", "--token", SELECTOR, "token", "reset", code=None
    )
    assert done.returncode != 0
    assert b"not reset on a card reader, but over usb alone" in done.stderr


def test_an_empty_reader_is_no_token(served: Served) -> None:
    served.lift()
    done = served.host.run(
        sys.executable, "-m", "fidokit", "--token", SELECTOR, "token", "info", code=None
    )
    assert done.returncode == 3
    assert READER.encode() in done.stderr
    served.lay()
