"""Installing the agent's units: whole, and nothing of the user's is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.agent.units import install_systemd_units, systemd_units
from fidokit.errors import FileInTheWay

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
