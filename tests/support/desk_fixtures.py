"""A desk with one token that has a PIN, and a home folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.desk import PIN, Desk

from fidokit.client.ports import PinCode
from fidokit.tokens import owner as pin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("FIDOKIT_TOKEN", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def bare_desk(home: Path) -> Iterator[Desk]:
    """A token as it comes from the shop."""
    desk = Desk()
    desk.plug("ONE")
    yield desk
    desk.close()


@pytest.fixture
def desk(bare_desk: Desk) -> Desk:
    with bare_desk.open() as session:
        pin.set_pin(session, PinCode.parse(PIN))
    return bare_desk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.mkdir(mode=0o700)
    return path
