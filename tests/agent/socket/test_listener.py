"""The socket: private from its first instant, taken from the dead alone, or from systemd."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fidokit.agent.socket.listener import answers, handed_over, listen
from fidokit.errors import NoPermission, UsageError, WouldOverwrite


@pytest.fixture
def home(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_socket_of_our_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", None)
    made = listen(None)
    assert made.path.parent.parent == home
    assert (mode(made.path.parent), mode(made.path)) == (0o700, 0o600)
    assert answers(made.path)
    made.socket.close()
    made.remove()
    assert list(home.iterdir()) == []


def test_a_socket_at_a_path(home: Path) -> None:
    made = listen(home / "deep" / "er" / "s")
    assert (mode(made.path.parent), mode(made.path)) == (0o700, 0o600)
    made.socket.close()
    made.remove()
    assert not made.path.exists()
    assert made.path.parent.exists()


def test_the_umask_is_as_before(home: Path) -> None:
    before = os.umask(0o027)
    try:
        made = listen(home / "s")
        assert os.umask(0o027) == 0o027
        assert mode(made.path) == 0o600
        made.socket.close()
    finally:
        os.umask(before)


def test_what_a_dead_agent_left_is_taken_over(home: Path) -> None:
    listen(home / "s").socket.close()
    assert not answers(home / "s")
    made = listen(home / "s")
    assert answers(home / "s")
    made.socket.close()


def test_a_living_agent_is_left_alone(home: Path) -> None:
    made = listen(home / "s")
    with pytest.raises(WouldOverwrite, match="answers"):
        listen(home / "s")
    assert answers(home / "s")
    made.socket.close()


def test_a_file_is_left_alone(home: Path) -> None:
    (home / "s").write_text("mine")
    with pytest.raises(WouldOverwrite, match="something else"):
        listen(home / "s")
    assert (home / "s").read_text() == "mine"


def test_a_symbolic_link_is_left_alone(home: Path) -> None:
    (home / "s").symlink_to(home / "elsewhere")
    with pytest.raises(WouldOverwrite):
        listen(home / "s")


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o1777])
def test_a_folder_that_others_may_enter_is_refused(home: Path, bits: int) -> None:
    (home / "open").mkdir()
    (home / "open").chmod(bits)
    with pytest.raises(NoPermission, match="others"):
        listen(home / "open" / "s")


def test_a_folder_that_cannot_be_made(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(NoPermission):
        listen(home / "file" / "s")


def test_a_path_that_is_too_long(home: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        listen(home / ("x" * 200))


# --- systemd -------------------------------------------------------------------------------


def test_nothing_was_handed_over() -> None:
    assert handed_over({}) is None
    assert handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


def test_several_sockets_are_refused() -> None:
    with pytest.raises(UsageError, match="one socket"):
        handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})


PROGRAM = """
import os, sys
from fidokit.agent.socket.listener import handed_over
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
try:
    found = handed_over(environ)
    print(found.path, found.owned, os.get_inheritable(3))
except Exception as error:
    print(error)
"""


def handed(descriptor: int) -> str:
    """What a process makes of a descriptor that it finds as number 3."""
    program = f"import os; os.dup2({descriptor}, 3); {PROGRAM.strip()}"
    done = subprocess.run(
        [sys.executable, "-c", program.replace("; import", "\nimport")],
        pass_fds=(descriptor,),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_a_listening_socket_is_taken(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(home / "s"))
        server.listen()
        assert handed(server.fileno()) == f"{home / 's'} False False"


def test_what_is_no_listening_socket_is_refused(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unbound, (home / "file").open("w") as file:
        for descriptor in (unbound.fileno(), file.fileno()):
            assert "no listening" in handed(descriptor)
