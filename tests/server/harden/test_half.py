"""A second factor of which one side is gone is found; a whole one, and none, are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.harden.half import half_second_factor
from fidokit.server.harden.levels import pam_lines
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.settings import parse_settings

BOTH = "usepam yes\nauthenticationmethods publickey,keyboard-interactive\n"
TITLE = "harden second-factor"


class Etc:
    """sshd's configuration with its drop-ins, and PAM's services."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "sshd_config"
        self.drop_ins = folder / "sshd_config.d"
        self.services = folder / "pam.d"
        self.config.write_text("Include sshd_config.d/*.conf\n")
        self.drop_ins.mkdir()
        self.services.mkdir()
        (self.services / "sshd").write_text("auth required pam_unix.so\n")

    def harden(self, *, sshd: bool = True, pam: bool = True) -> None:
        if sshd:
            (self.drop_ins / drop_in.NAME).write_bytes(drop_in.block(TITLE, ["UsePAM yes"]))
        if pam:
            (self.services / "sshd").write_bytes(drop_in.block(TITLE, pam_lines()))

    def found(self, settings: str | None = None) -> list[str]:
        known = None if settings is None else parse_settings(settings)
        return [x.sentence for x in half_second_factor(self.config, self.services, known)]


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    return Etc(tmp_path)


def test_none_and_a_whole_one(etc: Etc) -> None:
    assert etc.found() == []
    assert etc.found(BOTH) == [], "somebody else's is none of ours"
    etc.harden()
    assert etc.found() == []
    assert etc.found(BOTH) == []


def test_sshds_side_is_gone(etc: Etc) -> None:
    etc.harden(sshd=False)
    for settings in (None, "usepam yes\nauthenticationmethods any\n", BOTH.replace("yes", "no")):
        [sentence] = etc.found(settings)
        assert "sshd does not ask for it: a key or a password alone gets in" in sentence
    assert etc.found(BOTH) == [], "lines of somebody else ask for both"


def test_sshd_is_overruled(etc: Etc) -> None:
    """The file is there, and something else counts."""
    etc.harden()
    assert len(etc.found("usepam yes\nauthenticationmethods publickey\n")) == 1


def test_pams_side_is_gone(etc: Etc) -> None:
    etc.harden(pam=False)
    [sentence] = etc.found(BOTH)
    assert "has no line of pam_google_authenticator.so" in sentence
    (etc.services / "sshd").unlink()
    assert len(etc.found()) == 1


def test_sshd_has_another_service_by_now(etc: Etc) -> None:
    etc.harden()
    [sentence] = etc.found(f"pamservicename other\n{BOTH}")
    assert f"{etc.services}/other has no line" in sentence


def test_an_administrators_own_lines_will_do(etc: Etc) -> None:
    etc.harden(pam=False)
    (etc.services / "sshd").write_text("auth required pam_google_authenticator.so\n")
    assert etc.found(BOTH) == []
