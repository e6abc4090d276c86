"""~/.google_authenticator on this machine: modes, owners, never overwritten, whole after a kill."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.otp.test_format import CODES, STOCK, new

from fidokit.errors import (
    FidokitError,
    FileInTheWay,
    MalformedFile,
    NoPermission,
    NotEnrolled,
    UsageError,
    WouldOverwrite,
)
from fidokit.server.accounts import Account
from fidokit.server.otp import google_authenticator as on_disk
from fidokit.server.otp.format import OtpFile, Rules
from fidokit.server.otp.pam import HOME, SecretPlace

NOBODY = 65534
as_root = pytest.mark.root


@pytest.fixture
def me(tmp_path: Path) -> Account:
    home = tmp_path / "home"
    home.mkdir()
    return Account("me", os.geteuid(), os.getegid(), home)


def give(user: Account, text: bytes = STOCK, mode: int = 0o400) -> Path:
    path = HOME.path(user)
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_a_new_file_is_the_users_alone(me: Account) -> None:
    before = os.umask(0)
    try:
        path = on_disk.create(me, new())
    finally:
        os.umask(before)
    assert path == me.home / ".google_authenticator"
    assert path.read_bytes() == new().encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert [entry.name for entry in me.home.iterdir()] == [".google_authenticator"]
    assert on_disk.load(me) == new()
    assert on_disk.problem(me) == ""


def test_a_file_that_is_there_stays_without_force(me: Account) -> None:
    path = give(me)
    with pytest.raises(FileInTheWay):
        on_disk.check_free(me)
    with pytest.raises(FileInTheWay):
        on_disk.create(me, new())
    assert path.read_bytes() == STOCK
    on_disk.create(me, new(), force=True)
    assert path.read_bytes() == new().encode()


def test_force_follows_no_link(me: Account, tmp_path: Path) -> None:
    HOME.path(me).symlink_to(tmp_path / "else")
    with pytest.raises(FileInTheWay):
        on_disk.check_free(me)
    with pytest.raises(WouldOverwrite):
        on_disk.create(me, new(), force=True)
    assert not (tmp_path / "else").exists()


def test_an_edit_keeps_mode_and_link(me: Account, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(STOCK)
    real.chmod(0o600)
    HOME.path(me).symlink_to(real)
    left = on_disk.edit(me, lambda found: found.without_code("43611137"))
    assert left.emergency_codes == ("99268961",)
    assert HOME.path(me).is_symlink()
    assert real.read_bytes() == left.encode()
    assert stat.S_IMODE(real.stat().st_mode) == 0o400


def test_an_edit_that_changes_nothing_writes_nothing(me: Account) -> None:
    path = give(me)
    before = path.stat()
    on_disk.edit(me, lambda found: found)
    assert path.stat() == before


def test_what_a_login_wrote_meanwhile_is_kept(me: Account) -> None:
    """The module takes no lock: a code that it has just burnt must not come back to life."""
    path = give(me)
    seen = []

    def change(found: OtpFile) -> OtpFile:
        seen.append(found)
        if len(seen) == 1:
            burnt = path.with_name("burnt")
            burnt.write_bytes(found.without_code("43611137").encode())
            burnt.rename(path)
        return found.with_counter(9)

    left = on_disk.edit(me, change)
    assert (left.counter, left.emergency_codes) == (9, ("99268961",))
    assert on_disk.load(me) == left
    assert [entry.name for entry in me.home.iterdir()] == [".google_authenticator"]


def test_a_file_that_never_rests_is_told(me: Account) -> None:
    path = give(me)

    def change(found: OtpFile) -> OtpFile:
        text = path.read_bytes()
        path.unlink()  # mode 0400 stops an ordinary user, and the file's owner may replace it
        give(me, text + b"\n", 0o600)
        return found.with_counter(9)

    with pytest.raises(FidokitError, match="keeps changing"):
        on_disk.edit(me, change)


# --- who is enrolled -----------------------------------------------------------------------


def test_nobody_is_enrolled_without_a_file(me: Account) -> None:
    assert "does not exist" in on_disk.problem(me)
    assert on_disk.problem(me)
    with pytest.raises(NotEnrolled):
        on_disk.load(me)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (b"ABCDEFGH\n12345678\n", 0o400, "neither TOTP nor HOTP"),
        (b"nothing of meaning!\n", 0o400, "line 1"),
        (b"", 0o400, "0 bytes"),
        (b"A" * 70_000, 0o400, "65537 bytes"),
        (STOCK, 0o440, "-r--r-----"),
        (STOCK, 0o604, "-rw----r--"),
        (STOCK, 0o700, "-rwx------"),
    ],
)
def test_files_that_the_module_refuses(me: Account, text: bytes, mode: int, said: str) -> None:
    give(me, text, mode)
    assert said in on_disk.problem(me)


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_files_that_the_module_takes(me: Account, mode: int) -> None:
    give(me, mode=mode)
    assert on_disk.problem(me) == ""


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file(me: Account, make: Callable[[Path], None]) -> None:
    make(HOME.path(me))
    assert "not a regular file" in on_disk.problem(me)
    with pytest.raises(UsageError):
        on_disk.load(me)
    with pytest.raises(UsageError):
        on_disk.edit(me, lambda found: found)


def test_a_link_in_a_circle(me: Account) -> None:
    HOME.path(me).symlink_to(HOME.path(me))
    assert on_disk.problem(me)


def test_the_error_says_which_file(me: Account) -> None:
    path = give(me, b"!\n")
    with pytest.raises(MalformedFile, match=str(path)):
        on_disk.load(me)


@as_root
def test_root_works_with_the_users_rights(public_folder: Path) -> None:
    home = public_folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    user = Account("nobody", NOBODY, NOBODY, home)
    path = on_disk.create(user, new())
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
    on_disk.edit(user, lambda found: found.without_code(CODES[0]))
    assert path.stat().st_uid == NOBODY
    assert on_disk.problem(user) == ""
    os.chown(path, 0, 0)
    assert "may not read" in on_disk.problem(user), "the module drops root's rights too"
    path.unlink()
    roots = public_folder / "roots"
    roots.write_bytes(STOCK)
    roots.chmod(0o600)
    path.symlink_to(roots)
    with pytest.raises(NoPermission):
        on_disk.edit(user, lambda found: found.without_code(CODES[0]))
    assert roots.read_bytes() == STOCK
    assert os.geteuid() == 0


@as_root
def test_a_readable_file_of_another_owner_is_refused(me: Account) -> None:
    path = give(me, mode=0o600)
    os.chown(path, NOBODY, NOBODY)
    assert "does not belong to me" in on_disk.problem(me)


# --- whether a login can be noted down -----------------------------------------------------


@pytest.fixture
def ann(public_folder: Path) -> Account:
    """A user with a home and a secret."""
    user = Account("nobody", NOBODY, NOBODY, public_folder / "home")
    user.home.mkdir()
    os.chown(user.home, NOBODY, NOBODY)
    on_disk.create(user, new())
    return user


@as_root
@pytest.mark.parametrize(
    ("owner", "mode", "said"),
    [
        (NOBODY, 0o700, ""),
        (0, 0o755, "Permission denied"),
        (0, 0o775, "Permission denied"),
        (NOBODY, 0o500, "Permission denied"),
        (0, 0o777, ""),
        (0, 0o1777, ""),
    ],
)
def test_homes_that_cannot_be_written(ann: Account, owner: int, mode: int, said: str) -> None:
    os.chown(ann.home, owner, 0)
    ann.home.chmod(mode)
    before = sorted(ann.home.iterdir())
    problem = on_disk.problem(ann)
    assert said in problem
    assert bool(said) is bool(problem)
    assert sorted(ann.home.iterdir()) == before


@as_root
def test_a_login_that_writes_nothing_needs_no_home_of_ones_own(ann: Account) -> None:
    on_disk.create(ann, new(rules=Rules(3, None, reuse=True)), force=True)
    os.chown(ann.home, 0, 0)
    ann.home.chmod(0o755)
    assert on_disk.problem(ann) == ""
    assert "cannot be written to" in on_disk.unwritable(ann)
    assert on_disk.unwritable(ann, SecretPlace(must_write=False)) == ""


@as_root
def test_secrets_that_root_keeps(ann: Account, public_folder: Path) -> None:
    place = SecretPlace.of_root(f"{public_folder}/otp/${{USER}}")
    path = on_disk.create(ann, new(), place=place)
    assert path == public_folder / "otp/nobody"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_uid == 0
    assert on_disk.problem(ann, place) == ""
    assert on_disk.edit(ann, lambda found: found.without_code(CODES[0]), place) == on_disk.load(
        ann, place
    )
    os.chown(path, NOBODY, NOBODY)
    assert "does not belong to root" in on_disk.problem(ann, place)


def test_somebody_who_holds_the_file_is_named(me: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    path = give(me)
    monkeypatch.setattr("fidokit.server.locks.PATIENCE_S", 0.0)
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FidokitError, match=rf"is locked by process {os.getpid()}"):
            on_disk.edit(me, lambda found: found.with_counter(3))
    finally:
        os.close(held)
    on_disk.edit(me, lambda found: found.with_counter(3))


def test_who_holds_the_home_holds_nobody_up(me: Account) -> None:
    held = os.open(me.home, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        on_disk.create(me, new())
        on_disk.edit(me, lambda found: found.with_counter(3))
    finally:
        os.close(held)


# --- at once, and killed -------------------------------------------------------------------


def _burn(home: Path, worker: int) -> None:
    me = Account("me", os.geteuid(), os.getegid(), home)
    for number in range(10):
        on_disk.edit(
            me,
            lambda found, n=number: found.without_code(str(10_000_000 + 10 * worker + n)),  # type: ignore[misc]
        )


def test_three_at_once_lose_no_change(me: Account) -> None:
    codes = [str(10_000_000 + n) for n in range(40)]
    on_disk.create(me, new().with_codes(codes))
    spawned = multiprocessing.get_context("fork")
    workers = [spawned.Process(target=_burn, args=(me.home, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert on_disk.load(me).emergency_codes == tuple(codes[30:])


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.server.otp.test_format import new
from fidokit.server.otp import google_authenticator as on_disk
from fidokit.server.accounts import Account
left = int(sys.argv[1])
def fatal(real):
    def call(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*args, **kwargs)
    return call
me = Account("me", os.geteuid(), os.getegid(), Path(sys.argv[2]))
for name in ("open", "fsync", "fchmod", "link", "rename", "unlink"):
    setattr(os, name, fatal(getattr(os, name)))
{action}
"""


def killed(action: str, after: int, home: Path) -> bool:
    """Run `action` in a child that dies at its `after`-th call to the system; whether it died."""
    child = subprocess.run(
        [sys.executable, "-c", KILLED.format(action=action), str(after), str(home)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert child.returncode in (0, -signal.SIGKILL)
    return child.returncode != 0


@pytest.mark.parametrize(
    ("action", "before"),
    [
        ("on_disk.create(me, new())", None),
        ("on_disk.create(me, new(), force=True)", STOCK),
        ("on_disk.edit(me, lambda found: new())", STOCK),
    ],
)
@pytest.mark.long
def test_killed_at_any_point_the_file_is_the_old_or_the_new(
    me: Account, action: str, before: bytes | None
) -> None:
    path = HOME.path(me)
    after, died = 0, True
    while died:
        path.unlink(missing_ok=True)
        if before:
            give(me, before)
        died = killed(action, after, me.home)
        found = path.read_bytes() if path.exists() else None
        assert found in (before, new().encode())
        if found:
            assert stat.S_IMODE(path.stat().st_mode) == 0o400
        after += 1
    assert found == new().encode()
    assert after >= 6
