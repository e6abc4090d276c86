"""A real pcscd with vpcd's reader, in a /run of its own: no other service and no hardware is met.

libpcsclite looks for the service where PCSCLITE_CSOCK_NAME says, and remembers it for the life of
the process. So a run of the tests chooses the place once, before anybody asks (see `reserve`).
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.children import place, popen

from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.vpcd import VpcdCard

if TYPE_CHECKING:
    from fido2.pcsc import CtapPcscDevice

PLACE = "PCSCLITE_CSOCK_NAME"
READER = "Virtual PCD 00 00"
SELECTOR = f"pcsc:{READER}"
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
STARTED_S = 20
CARD_MS = 20_000

_START = """
mount -t tmpfs none /run &&
mkdir /run/pcscd &&
mount --bind "$1" /run/pcscd &&
config=$1/readers
shift
exec setpriv --pdeathsig TERM "$@" --foreground --config "$config"
"""


class Missing(Exception):
    """Why there can be no pcscd here."""


def reserve() -> Path:
    """Choose where this run's pcscd will be. Its path must be short: it is a socket's."""
    folder = Path(tempfile.mkdtemp(prefix="pcscd-", dir=place()))
    os.environ[PLACE] = str(folder / "pcscd.comm")
    return folder


def free() -> None:
    """Take the place away again."""
    shutil.rmtree(Path(os.environ.pop(PLACE)).parent)


@contextmanager
def reserved() -> Iterator[None]:
    """A place for as long as the block, in a process that has none."""
    if PLACE in os.environ:
        yield
        return
    reserve()
    try:
        yield
    finally:
        free()


@dataclass(frozen=True)
class Pcscd:
    """One that runs.

    Args:
        port: where its reader waits for a card.
        log: what it said.
    """

    port: int
    log: Path

    @contextmanager
    def card(self, token: VirtualToken) -> Iterator[VpcdCard]:
        """Lay a token on the reader; it is seen when this is entered, and gone when it is left."""
        made = VpcdCard(token, port=self.port)
        try:
            wait_for_card()
            yield made
        finally:
            made.close()
            wait_for_card(there=False)


@contextmanager
def started() -> Iterator[Pcscd]:
    """As `running`. Where there can be none, CI fails; elsewhere tests are skipped and say why."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running())
        except Missing as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield found


@contextmanager
def running() -> Iterator[Pcscd]:
    """Start it at the place that was reserved; it ends with the block.

    Raises:
        Missing: pcscd or vpcd is not installed, or nobody may have a /run of their own here.
    """
    program = shutil.which("pcscd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not DRIVER.exists():
        raise Missing("install the Debian packages pcscd and vsmartcard-vpcd")
    folder = Path(os.environ[PLACE]).parent
    port = two_free_ports()
    _configure(folder / "readers", port)
    log = folder / "log"
    with log.open("wb") as said:
        process = popen(
            [*_own_run(), "sh", "-c", _START, "sh", str(folder), program, *_unasked(program)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield Pcscd(port, log)
    finally:
        process.terminate()
        process.wait(STARTED_S)


def wait_for_card(*, there: bool = True, after: int = -1) -> int:
    """Wait until pcscd has seen that a card lies on the reader, or none.

    Args:
        after: how often cards had come and gone, by an earlier call; it must be oftener now.

    Returns:
        How often they did.
    """
    from smartcard import scard

    wanted = scard.SCARD_STATE_PRESENT if there else scard.SCARD_STATE_EMPTY
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    assert code == scard.SCARD_S_SUCCESS, scard.SCardGetErrorMessage(code)
    try:
        state = scard.SCARD_STATE_UNAWARE
        while not state & wanted or state >> 16 <= after:
            code, ((_, state, _),) = scard.SCardGetStatusChange(context, CARD_MS, [(READER, state)])
            assert code == scard.SCARD_S_SUCCESS, scard.SCardGetErrorMessage(code)
        return int(state >> 16)
    finally:
        scard.SCardReleaseContext(context)


def two_free_ports() -> int:
    """The first of two neighbors, for vpcd's two slots; below those that the system hands out."""
    while True:
        port = random.randrange(12_000, 32_000)
        with suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("", port))
            two.bind(("", port + 1))
            return port


def _own_run() -> list[str]:
    """What gives a program mounts of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--mount", "--propagation", "private"]
    done = subprocess.run(
        [*command, "mount", "-t", "tmpfs", "none", "/run"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(
            f"pcscd needs a /run of its own, which this system refuses: {done.stderr.strip()}"
        )
    return command


def _unasked(program: str) -> list[str]:
    """What lets everybody in where pcscd would ask polkit, which does not run here."""
    usage = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    option = "--disable-polkit"
    return [option] if option in usage.stdout + usage.stderr else []


def _configure(folder: Path, port: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "vpcd").write_text(
        f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:0x{port:04X}\n'
        f"LIBPATH {DRIVER}\nCHANNELID 0x{port:04X}\n"
    )


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Both its own socket and its reader's: the second slot is tried, which nobody uses."""
    deadline = time.monotonic() + STARTED_S
    while time.monotonic() < deadline and process.poll() is None:
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX) as own,
            socket.socket() as reader,
        ):
            own.connect(os.environ[PLACE])
            reader.connect(("127.0.0.1", port + 1))
            return
        time.sleep(0.02)
    raise AssertionError(f"pcscd did not start: {log.read_text(errors='replace')}")


def list_pcsc_devices() -> Iterable[CtapPcscDevice]:
    """What python-fido2 finds on readers; pyscard, which it wants, comes with `make test-all`."""
    from fido2.pcsc import CtapPcscDevice

    return CtapPcscDevice.list_devices()
