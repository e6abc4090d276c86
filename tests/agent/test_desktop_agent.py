"""Which agent the desktop has, and being in front of it."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fidokit.agent.desktop_agent import PLACES, desktop_agent

Listen = Callable[[str | Path], str]
OWN = Path("fidokit/agent.sock")


@pytest.fixture
def runtime() -> Iterator[Path]:
    """XDG_RUNTIME_DIR, with a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="fk-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def listen(runtime: Path) -> Iterator[Listen]:
    """Have somebody listen at a place."""
    opened = []

    def at(place: str | Path) -> str:
        path = runtime / place
        path.parent.mkdir(exist_ok=True)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1)
        opened.append(server)
        return str(path)

    yield at
    for server in opened:
        server.close()


def found(runtime: Path, **environ: str) -> str | None:
    return desktop_agent({"XDG_RUNTIME_DIR": str(runtime), **environ}, runtime / OWN)


def test_places_in_their_order(runtime: Path, listen: Listen) -> None:
    assert found(runtime) is None
    for place in reversed(PLACES):
        path = listen(place)
        assert found(runtime) == path


def test_the_environment_goes_first(runtime: Path, listen: Listen) -> None:
    listen(PLACES[0])
    named = listen("mine")
    assert found(runtime, SSH_AUTH_SOCK=named) == named


def test_never_our_own_under_any_name(runtime: Path, listen: Listen) -> None:
    own = listen(OWN)
    (runtime / "link").symlink_to(own)
    assert found(runtime, SSH_AUTH_SOCK=own) is None
    assert found(runtime, SSH_AUTH_SOCK=str(runtime / "link")) is None
    path = listen("openssh_agent")
    assert found(runtime, SSH_AUTH_SOCK=own) == path


def test_not_gpg_agents_unless_it_is_named(runtime: Path, listen: Listen) -> None:
    path = listen("gnupg/S.gpg-agent.ssh")
    assert found(runtime) is None
    assert found(runtime, SSH_AUTH_SOCK=path) == path


def test_what_is_left_of_an_agent_is_none(runtime: Path) -> None:
    path = runtime / "openssh_agent"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert found(runtime, SSH_AUTH_SOCK="/nowhere") is None
    assert desktop_agent({"SSH_AUTH_SOCK": "x" * 300}, Path("/own")) is None


def test_one_that_is_busy_is_there(runtime: Path, listen: Listen) -> None:
    path = listen("openssh_agent")
    waiting = []
    for _ in range(3):  # more than it has room for
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        try:
            client.connect(path)
        except BlockingIOError:
            break
        finally:
            waiting.append(client)
    assert found(runtime) == path
    for client in waiting:
        client.close()
