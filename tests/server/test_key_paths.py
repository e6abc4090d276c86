"""A user's key files: StrictModes as sshd judges them, opening with the user's rights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fidokit.server import key_paths
from fidokit.server.accounts import Account
from fidokit.server.key_paths import KeySource

# --- StrictModes -------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path) -> Account:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/authorized_keys").write_bytes(b"")
    return Account("mine", os.geteuid(), os.getegid(), tmp_path)


def problems(mine: Account) -> list[str]:
    return key_paths.strict_modes_problems(mine.home / ".ssh/authorized_keys", mine)


def test_all_is_well(mine: Account) -> None:
    assert problems(mine) == []


@pytest.mark.parametrize("place", [".ssh/authorized_keys", ".ssh", "."])
@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_others_may_write(mine: Account, place: str, mode: int) -> None:
    (mine.home / place).chmod(mode)
    (why,) = problems(mine)
    assert "chmod go-w" in why
    (mine.home / place).chmod(0o700)


def test_folders_above_the_home_do_not_matter(mine: Account, tmp_path: Path) -> None:
    home = tmp_path / "deep/home"
    home.mkdir(parents=True)
    (tmp_path / "deep").chmod(0o777)
    inside = Account("mine", mine.uid, mine.gid, home)
    assert key_paths.strict_modes_problems(home / "keys", inside) == []
    assert key_paths.strict_modes_problems(tmp_path / "deep/keys", inside) != []


def test_a_link_is_judged_where_it_leads(mine: Account, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.write_bytes(b"")
    loose.chmod(0o666)
    path = mine.home / ".ssh/authorized_keys"
    path.unlink()
    path.symlink_to(loose)
    assert len(problems(mine)) == 1


@pytest.mark.root
def test_strangers_files(mine: Account) -> None:
    os.chown(mine.home / ".ssh", 12345, 12345)
    (why,) = problems(mine)
    assert "neither to mine nor to root" in why


# --- opening -----------------------------------------------------------------------------


@pytest.fixture
def me(tmp_path: Path) -> Account:
    import pwd

    return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), tmp_path)


def look(user: Account, path: Path, *, strict: bool = True) -> KeySource | None:
    with key_paths.opened_keys(user, path, strict=strict) as source:
        if source and source.file:
            assert source.file.read() == b"here"
        return source


def test_a_file(me: Account, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"here")
    found = look(me, path)
    assert found is not None
    assert (found.refusals, found.hidden) == ((), "")
    assert found.file is not None
    assert found.file.closed


@pytest.mark.parametrize("name", ["none", "none/keys", "file/keys", "a\0b"])
def test_no_file(me: Account, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert look(me, tmp_path / name) is None


def test_modes_count_where_sshd_is_strict(me: Account, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"here")
    path.chmod(0o664)
    strict, lax = look(me, path), look(me, path, strict=False)
    assert strict is not None
    assert lax is not None
    assert len(strict.refusals) == 1
    assert (strict.warnings, lax.refusals) == ((), ())
    assert lax.warnings == strict.refusals
    assert strict.file is not None  # what is in it is told all the same


def test_what_is_no_regular_file(me: Account, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("fifo", ".", "loop"):
        found = look(me, tmp_path / name)
        assert found is not None, name
        assert len(found.refusals) == 1
        assert found.file is None


def test_a_link_is_followed_and_has_one_identity(me: Account, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"here")
    (tmp_path / "link").symlink_to("keys")
    found, real = look(me, tmp_path / "link"), look(me, tmp_path / "keys")
    assert found is not None
    assert real is not None
    assert found.identity == real.identity


@pytest.mark.root
def test_root_looks_with_the_users_rights(public_folder: Path) -> None:
    """sshd opens the file as the user, so root's own power to read it proves nothing."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    user = Account("nobody", nobody.pw_uid, nobody.pw_gid, public_folder)
    path = public_folder / "keys"
    path.write_bytes(b"here")
    path.chmod(0o600)
    found = look(user, path)
    assert found is not None
    assert "cannot be opened with nobody's rights" in found.refusals[0]
    assert found.file is None
    assert os.geteuid() == 0


def test_what_this_process_may_not_see_is_hidden(
    me: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    found = look(Account("other", 54321, 54321, tmp_path), tmp_path / "keys")
    assert found is not None
    assert "cannot be read by you" in found.hidden
    assert found.refusals == ()
