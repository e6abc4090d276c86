"""A PC/SC service that takes connections and answers nobody: the agent goes on without card
readers, sees what is plugged in meanwhile, and forgets PINs on time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.pcscd import PLACE

pytestmark = pytest.mark.interop

WAIT_S = 60.0


@contextmanager
def hanging(path: Path) -> Iterator[threading.Semaphore]:
    """A service in pcscd's place; the semaphore counts who connected."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    connected, taken = threading.Semaphore(0), []

    def take() -> None:
        while True:
            try:
                taken.append(listener.accept()[0])
            except OSError:
                return
            connected.release()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield connected
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(WAIT_S)
        for channel in taken:
            channel.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path / "h")
    virtual_token(made)
    sk_key(made, "verified", "-t", "ed25519-sk", "-O", "resident", "-O", "verify-required")
    return made


def until(happened: Callable[[], bool], host: Host) -> None:
    """Look again and again, for a minute at most."""
    pause = threading.Event()
    for _ in range(int(WAIT_S * 10)):
        if happened():
            return
        pause.wait(0.1)
    raise AssertionError(host.said())


def said(host: Host, *words: str) -> Callable[[], bool]:
    return lambda: all(word in host.said() for word in words)


def signed_after_asking(host: Host, count: int) -> bool:
    """Sign once more; whether the PIN has been asked for so many times by now."""
    (host.home / "m.sig").unlink(missing_ok=True)
    host.run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", "verified", "m")
    return len(host.asked()) >= count


def test_the_agent_goes_on(host: Host, tmp_path: Path) -> None:
    with (
        hanging(tmp_path / "c") as connected,
        serving(host, "--resident", "--pin-cache", "2s", **{PLACE: str(tmp_path / "c")}),
    ):
        assert connected.acquire(timeout=WAIT_S), "the service was asked"
        until(said(host, "does not answer", "serving 1 key on virtual:t"), host)
        assert "ED25519-SK" in host.add("-l")
        asked = len(host.asked())
        (host.home / "m").write_text("x")
        until(lambda: signed_after_asking(host, asked + 2), host)  # kept once, and forgotten
        virtual_token(host, "later")
        host.fidokit(
            *("--token", "virtual:later", "key", "generate", "-t", "ed25519-sk", "--no-passphrase"),
            *("-O", "resident", "-f", str(host.home / "later")),
            *("--pin-file", str(host.home / "pin")),
        )
        until(said(host, "virtual:later"), host)
