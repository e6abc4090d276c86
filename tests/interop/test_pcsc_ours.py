"""Our own command over a real pcscd: a token served on its reader, by its name alone."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.hwtests import plug
from tests.support.agent_host import Host, make_host
from tests.support.pcscd import PLACE, READER, SELECTOR, Pcscd, two_free_ports, wait_for_card

pytestmark = pytest.mark.interop

PIN = "314159"
TOP = Path(__file__).parents[2]


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
    assert b"cannot be reset on a card reader, only over usb" in done.stderr


def test_an_empty_reader_is_no_token(served: Served) -> None:
    served.lift()
    done = served.host.run(
        sys.executable, "-m", "fidokit", "--token", SELECTOR, "token", "info", code=None
    )
    assert done.returncode == 3
    assert READER.encode() in done.stderr
    served.lay()


# --- the page --------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """The page's blocks in a language."""
    page = (TOP / "docs/transports/pcsc.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_the_page_serves_a_token(served: Served) -> None:
    """The steps under "In CI" from the virtual token on, as they stand but for port and paths."""
    served.lift()
    (steps,) = blocks("yaml")
    text = textwrap.dedent(steps.replace("- run: |\n", "").replace("- run: ", "    "))
    kept = text[text.index("~/fidokit/bin/fidokit virtual create") :]
    ours = kept.replace("~/fidokit/bin/fidokit", f"{shlex.quote(sys.executable)} -m fidokit")
    script = ours.replace("--vpcd", served.arguments[1] + " " + served.arguments[2])
    done = served.host.run("sh", "-e", "-c", f"{script}\nkill $!\nwait $! || true\n")
    assert b"FIDO_2_3" in done.stdout
    wait_for_card(there=False)
    served.lay()


def test_the_page_starts_a_service_without_root(served: Served) -> None:
    """Its steps, as they stand but for port and paths; the user is whoever runs the tests."""
    (steps,) = [block for block in blocks("sh") if "unshare" in block]
    port = two_free_ports()
    command = served.host.home / "fidokit"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fidokit "$@"\n')
    command.chmod(0o755)
    if os.geteuid() == 0:
        steps = steps.replace(" --user --map-root-user", "")  # as the page says below them
    folder = tempfile.mkdtemp(prefix="my-pcscd-", dir="/tmp")
    script = (
        steps.replace("/tmp/my-pcscd", folder)
        .replace("readers/\n", f"readers/\nsed -i s/0x8C7B/0x{port:04X}/ {folder}/readers/vpcd\n")
        .replace("--vpcd", f"--vpcd 127.0.0.1:{port}")
    )
    try:
        done = served.host.run(
            *("bash", "-e", "-c", f'PATH="$HOME:$PATH"\n{script}\nkill $(jobs -p)\nwait || true'),
        )
    finally:
        shutil.rmtree(folder)
    assert SELECTOR.encode() in done.stdout


def test_warnings_as_errors_end_nothing() -> None:
    """pyscard's binding warns while it is imported; Python 3.13 crashes if that raises."""
    command = [sys.executable, "-W", "error", "-m", "fidokit", "token", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    assert "Fatal" not in done.stderr
