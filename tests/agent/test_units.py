"""Installing the agent's units: whole, and nothing of the user's is overwritten."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agent_keys import executable
from tests.support.children import popen

from fidokit.agent.units import (
    NAMES,
    install_systemd_units,
    remove_systemd_units,
    start_systemd_units,
    systemd_units,
    unit_folder,
)
from fidokit.agent_client import AgentClient
from fidokit.errors import FidokitError, FileInTheWay

TOP = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("home")


def test_they_are_written_and_written_again(home: Path) -> None:
    program = Path("/opt/fidokit")
    for _ in range(2):
        paths = install_systemd_units(program)
    assert [path.name for path in paths] == ["fidokit-agent.socket", "fidokit-agent.service"]
    for path in paths:
        assert path.read_text() == systemd_units(program)[path.name]
        assert path.parent == home / ".config" / "systemd" / "user"


def test_one_that_the_user_changed_is_left_alone(home: Path) -> None:
    socket, service = install_systemd_units()
    service.write_text("mine")
    socket.unlink()
    with pytest.raises(FileInTheWay):
        install_systemd_units()
    assert service.read_text() == "mine"
    assert not socket.exists()
    install_systemd_units(force=True)
    assert service.read_text() == systemd_units()["fidokit-agent.service"]


def test_both_are_in_the_package() -> None:
    texts = systemd_units()
    assert tuple(texts) == NAMES
    assert "ListenStream=%t/fidokit/agent.sock" in texts["fidokit-agent.socket"]
    assert "SocketMode=0600" in texts["fidokit-agent.socket"]
    assert "DirectoryMode=0700" in texts["fidokit-agent.socket"]


def test_the_program_is_named_and_quoted() -> None:
    text = systemd_units(Path('/opt/50% "off"/bin/fidokit'))["fidokit-agent.service"]
    assert 'ExecStart="/opt/50%% \\"off\\"/bin/fidokit" agent serve' in text


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/h"}, "/h/.config/systemd/user"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, "/c/systemd/user"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/systemd/user"),
    ],
)
def test_where_they_go(environ: dict[str, str], folder: str) -> None:
    assert unit_folder(environ) == Path(folder)


# --- systemctl -------------------------------------------------------------------------------


@pytest.fixture
def systemctl(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """One that notes down what it is asked; gives the notes."""
    notes = home / "asked"
    (home / "bin").mkdir()
    program = executable(home / "bin" / "systemctl", NOTING.format(path=str(notes)))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return lambda: notes.read_text().splitlines()


NOTING = """
import sys
with open({path!r}, "a") as notes:
    print(*sys.argv[1:], file=notes)
"""


def test_they_are_started_and_taken_away(systemctl: Callable[[], list[str]]) -> None:
    paths = install_systemd_units(Path("/opt/50% fidokit"))
    assert start_systemd_units() == ""
    assert remove_systemd_units() == paths
    assert not any(path.exists() for path in paths)
    assert systemctl() == [
        "--user daemon-reload",
        "--user enable --now fidokit-agent.socket",
        "--user disable --now fidokit-agent.socket fidokit-agent.service",
        "--user daemon-reload",
        "--user unset-environment SSH_AUTH_SOCK",
    ]
    assert remove_systemd_units() == []


def test_the_desktops_agent_gets_its_variable_back(
    systemctl: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    install_systemd_units()
    with tempfile.TemporaryDirectory(prefix="fk-", dir="/tmp") as folder:
        path = f"{folder}/openssh_agent"
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        with socket.socket(socket.AF_UNIX) as agent:
            agent.bind(path)
            agent.listen()
            remove_systemd_units()
    assert systemctl()[-1] == f"--user set-environment SSH_AUTH_SOCK={path}"


def test_units_that_were_changed_stay(systemctl: Callable[[], list[str]]) -> None:
    socket_unit, service = install_systemd_units()
    service.write_text(service.read_text().replace("LimitCORE=0", "LimitCORE=1"))
    with pytest.raises(FileInTheWay):
        remove_systemd_units()
    assert socket_unit.exists()
    assert remove_systemd_units(force=True) == [socket_unit, service]


def test_why_systemd_cannot_be_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert "systemctl" in start_systemd_units()
    executable(home / "systemctl", "import sys; sys.exit('no bus')")
    assert start_systemd_units() == "no bus"


def test_ours_sets_the_variable_last() -> None:
    """Debian 13's ssh-agent.socket sets it, too."""
    text = systemd_units()["fidokit-agent.socket"]
    ordered = {
        unit for found in re.findall("^After=(.*)", text, re.MULTILINE) for unit in found.split()
    }
    assert {"ssh-agent.socket", "gcr-ssh-agent.socket", "gpg-agent-ssh.socket"} <= ordered


def stock(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return found


@pytest.mark.interop
def test_systemd_takes_them(tmp_path: Path) -> None:
    program = tmp_path / "fidokit"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, text in systemd_units(program).items():
        (tmp_path / name).write_text(text)
    pages = tmp_path / "man" / "man1"
    pages.mkdir(parents=True)
    shutil.copy(TOP / "docs/fidokit-agent.1", pages)
    done = subprocess.run(
        [stock("systemd-analyze"), "--user", "verify", *(str(tmp_path / name) for name in NAMES)],
        env={
            "HOME": str(tmp_path),
            "MANPATH": str(pages.parent),
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    ours = [line for line in done.stderr.splitlines() if "fidokit" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


@pytest.mark.interop
def test_systemds_own_activation_starts_the_agent(tmp_path: Path) -> None:
    """systemd-socket-activate listens, and starts the agent when a client comes."""
    path = tmp_path / "s"
    command = [stock("systemd-socket-activate"), "-l", str(path), "-E", "HOME", "-E", "PYTHONPATH"]
    source = Path(__file__).parents[2] / "src"
    with popen(
        [*command, sys.executable, "-m", "fidokit", "agent", "serve", "--no-notify"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr
        assert b"Listening" in process.stderr.readline()
        try:
            with AgentClient(str(path)) as agent:
                assert agent.keys() == []
        except FidokitError:
            process.kill()
            pytest.fail(process.stderr.read().decode())
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 0
