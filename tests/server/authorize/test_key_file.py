"""authorized_keys on this machine: made with the right modes, locked, whole after a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text, wanted
from tests.support.children import popen

from fidokit.errors import NoPermission, UsageError
from fidokit.openssh.keys.public import PublicLine
from fidokit.server import key_paths
from fidokit.server.accounts import Account
from fidokit.server.authorize import key_file
from fidokit.server.authorize.lines import Change, authorize

NOBODY = 65534
as_root = pytest.mark.root


def adding(*lines: PublicLine) -> Callable[[bytes], Change]:
    return lambda before: authorize(before, [wanted(line) for line in lines])


@pytest.fixture
def me(tmp_path: Path) -> Account:
    home = tmp_path / "home"
    home.mkdir()
    return Account("me", os.geteuid(), os.getegid(), home)


@pytest.fixture
def path(me: Account) -> Path:
    return key_paths.path_of(me)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".ssh/authorized_keys", "/home/u/.ssh/authorized_keys"),
        ("%h/keys", "/home/u/keys"),
        ("/etc/ssh/keys/%u.%U.%%h", "/etc/ssh/keys/u.7.%h"),
        ("100%", "/home/u/100%"),
    ],
)
def test_patterns_of_sshd_config(pattern: str, expected: str) -> None:
    assert key_paths.path_of(Account("u", 7, 7, Path("/home/u")), pattern) == Path(expected)


def test_folder_and_file_are_the_users_alone(me: Account, path: Path) -> None:
    before = os.umask(0)
    try:
        key_file.edit(me, path, adding(PLAIN))
    finally:
        os.umask(before)
    assert path.read_bytes() == text(PLAIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["authorized_keys"]


def test_a_dry_run_makes_nothing(me: Account, path: Path) -> None:
    made = key_file.edit(me, path, adding(PLAIN), dry_run=True)
    assert made.after == text(PLAIN)
    assert not path.parent.exists()


@pytest.mark.parametrize(("mode", "kept"), [(0o644, 0o644), (0o666, 0o644), (0o600, 0o600)])
def test_modes_stay_but_others_lose_the_right_to_write(
    me: Account, path: Path, mode: int, kept: int
) -> None:
    path.parent.mkdir()
    path.write_bytes(text(OTHER))
    path.chmod(mode)
    key_file.edit(me, path, adding(PLAIN))
    assert stat.S_IMODE(path.stat().st_mode) == kept


def test_a_link_stays_a_link(me: Account, path: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(text(OTHER))
    path.parent.mkdir()
    path.symlink_to(real)
    key_file.edit(me, path, adding(PLAIN))
    assert path.is_symlink()
    assert real.read_bytes() == text(OTHER, PLAIN)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(me: Account, path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    make(path)
    with pytest.raises(UsageError, match="not a regular file"):
        key_file.edit(me, path, adding(PLAIN))


@as_root
def test_a_folder_or_file_of_another_user_is_refused(me: Account, path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, NOBODY, NOBODY)
    with pytest.raises(NoPermission, match="does not belong to me"):
        key_file.edit(me, path, adding(PLAIN))
    os.chown(path.parent, 0, 0)
    path.write_bytes(text(OTHER))
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(NoPermission, match="another user decides"):
        key_file.edit(me, path, adding(PLAIN))
    assert path.read_bytes() == text(OTHER)


@as_root
def test_root_writes_as_the_user(public_folder: Path) -> None:
    """Where a link of the user's leads to what only root may write, nothing is written."""
    home = public_folder / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    user = Account("nobody", NOBODY, NOBODY, home)
    path = key_paths.path_of(user)
    key_file.edit(user, path, adding(PLAIN))
    assert (path.stat().st_uid, path.parent.stat().st_uid) == (NOBODY, NOBODY)
    assert os.geteuid() == 0
    roots = public_folder / "roots"
    roots.mkdir()
    (roots / "file").write_bytes(b"")
    path.unlink()
    path.symlink_to(roots / "file")
    with pytest.raises(NoPermission):
        key_file.edit(user, path, adding(PLAIN))
    assert (roots / "file").read_bytes() == b""
    assert os.geteuid() == 0


def _add_many(home: Path, worker: int) -> None:
    from dataclasses import replace

    from fidokit.openssh.keys.public import Ed25519Public, PublicLine

    me = Account("me", os.geteuid(), os.getegid(), home)
    for number in range(20):
        point = bytes([worker, number]) + PLAIN.key.blob()[-30:]
        line = replace(PLAIN, comment=f"{worker}/{number}")
        key = PublicLine(Ed25519Public(point), line.comment)
        key_file.edit(me, key_paths.path_of(me), adding(key))


def test_two_at_once_lose_no_line(me: Account, path: Path) -> None:
    spawned = multiprocessing.get_context("fork")
    workers = [spawned.Process(target=_add_many, args=(me.home, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(path.read_bytes().splitlines()) == 60


KILLED = """
import os, sys
from pathlib import Path
from tests.server.samples import PLAIN, TOKEN
from fidokit.server import key_paths
from fidokit.server.authorize import key_file
from fidokit.server.accounts import Account
from fidokit.server.authorize.lines import authorize, revoke
from fidokit.openssh.keys import fingerprint
me = Account("me", os.geteuid(), os.getegid(), Path(sys.argv[1]))
path = key_paths.path_of(me)
print("ready", flush=True)
while True:
    key_file.edit(me, path, lambda text: authorize(text, [wanted(TOKEN)]))
    key_file.edit(me, path, lambda text: revoke(text, [fingerprint.sha256(TOKEN.key.blob())]))
"""


@pytest.mark.parametrize("round_", range(5))
def test_killed_at_any_moment_the_file_is_whole(me: Account, path: Path, round_: int) -> None:
    key_file.edit(me, path, adding(PLAIN, OTHER))
    process = popen([sys.executable, "-c", KILLED, str(me.home)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(1000 * (round_ + 1)):  # a while, and another one each time
        path.read_bytes()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert path.read_bytes() in {text(PLAIN, OTHER), text(PLAIN, OTHER, TOKEN)}
    key_file.edit(me, path, adding(TOKEN))
    assert path.read_bytes() == text(PLAIN, OTHER, TOKEN)
