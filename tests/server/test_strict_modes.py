"""What sshd's StrictModes would not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fidokit.server import strict_modes
from fidokit.server.accounts import Account


@pytest.fixture
def me(tmp_path: Path) -> Account:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/authorized_keys").write_bytes(b"")
    return Account("me", os.geteuid(), os.getegid(), tmp_path)


def problems(me: Account) -> list[str]:
    return strict_modes.problems(me.home / ".ssh/authorized_keys", me)


def test_all_is_well(me: Account) -> None:
    assert problems(me) == []


@pytest.mark.parametrize("place", [".ssh/authorized_keys", ".ssh", "."])
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_others_may_write(me: Account, place: str, mode: int) -> None:
    (me.home / place).chmod(mode)
    (why,) = problems(me)
    assert "chmod go-w" in why
    (me.home / place).chmod(0o700)


def test_folders_above_the_home_do_not_matter(me: Account, tmp_path: Path) -> None:
    home = tmp_path / "deep/home"
    home.mkdir(parents=True)
    (tmp_path / "deep").chmod(0o777)
    inside = Account("me", me.uid, me.gid, home)
    assert strict_modes.problems(home / "keys", inside) == []
    assert strict_modes.problems(tmp_path / "deep/keys", inside) != []


def test_a_link_is_judged_where_it_leads(me: Account, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.write_bytes(b"")
    loose.chmod(0o666)
    path = me.home / ".ssh/authorized_keys"
    path.unlink()
    path.symlink_to(loose)
    assert len(problems(me)) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_strangers_files(me: Account) -> None:
    os.chown(me.home / ".ssh", 12345, 12345)
    (why,) = problems(me)
    assert "neither to me nor to root" in why
