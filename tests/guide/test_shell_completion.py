"""Completion scripts in a user's home: installed, a second time, and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.guide.shell_completion import SHELLS, install, remove, script_for


@pytest.mark.parametrize("shell", SHELLS)
def test_a_new_home_gets_all_that_is_needed(shell: str, tmp_path: Path) -> None:
    done = install(shell, {"HOME": str(tmp_path)})
    assert done.changed
    assert done.script.read_text() == script_for(shell)
    assert done.script.stat().st_mode & 0o777 == 0o644
    assert (done.startup is None) == (shell == "fish")
    if done.startup:
        assert str(done.script) in done.startup.read_text()
    assert not install(shell, {"HOME": str(tmp_path)}).changed
    assert remove(shell, {"HOME": str(tmp_path)}).changed
    assert not done.script.exists()
    assert not remove(shell, {"HOME": str(tmp_path)}).changed


@pytest.mark.parametrize(
    "before", [b"", b"alias a=b", b"alias a=b\n", b"\xff\n# fidokit completion not\n"]
)
def test_other_lines_stay(before: bytes, tmp_path: Path) -> None:
    startup = tmp_path / ".bashrc"
    startup.write_bytes(before)
    startup.chmod(0o600)
    install("bash", {"HOME": str(tmp_path)})
    install("bash", {"HOME": str(tmp_path)})
    assert startup.read_bytes().count(b"# fidokit completion\n") == 1
    assert startup.stat().st_mode & 0o777 == 0o600
    remove("bash", {"HOME": str(tmp_path)})
    assert startup.read_bytes().rstrip(b"\n") == before.rstrip(b"\n")


def test_a_link_to_a_folder_of_settings_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "zshrc"
    real.write_text("alias a=b\n")
    (tmp_path / ".zshrc").symlink_to(real)
    install("zsh", {"HOME": str(tmp_path)})
    assert (tmp_path / ".zshrc").is_symlink()
    assert real.read_text().startswith("alias a=b\n[ -r ")


def test_folders_that_the_user_chose_are_used(tmp_path: Path) -> None:
    named = {"HOME": "/nowhere", "XDG_DATA_HOME": f"{tmp_path}/it's data", "ZDOTDIR": f"{tmp_path}"}
    done = install("zsh", named)
    assert done.startup == tmp_path / ".zshrc"
    assert done.script.is_relative_to(tmp_path / "it's data")


def test_a_disk_that_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file")
    with pytest.raises(FidokitError):
        install("bash", {"HOME": str(tmp_path)})
