"""Files appear whole or not at all, and never over one another."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, NoPermission, WouldOverwrite
from fidokit.files import atomic

DATA = b"new content\n" * 500
KILLS = int(os.environ.get("FIDOKIT_KILLS", "20"))


def leftovers(folder: Path) -> list[str]:
    return [name.name for name in folder.iterdir() if name.name.startswith(".fidokit-")]


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
@pytest.mark.parametrize("mode", [atomic.PRIVATE_MODE, atomic.PUBLIC_MODE])
def test_write_new_has_exactly_the_mode(tmp_path: Path, umask: int, mode: int) -> None:
    path = tmp_path / "key"
    before = os.umask(umask)
    try:
        atomic.write_new(path, DATA, mode)
    finally:
        os.umask(before)
    assert path.read_bytes() == DATA
    assert mode_of(path) == mode
    assert leftovers(tmp_path) == []


def test_write_new_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    with pytest.raises(WouldOverwrite, match="already exists"):
        atomic.write_new(path, DATA)
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_write_new_does_not_follow_a_dangling_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "key").symlink_to(elsewhere)
    with pytest.raises(WouldOverwrite):
        atomic.write_new(tmp_path / "key", DATA)
    assert not elsewhere.exists()


def test_a_name_of_255_bytes_fits(tmp_path: Path) -> None:
    path = tmp_path / ("k" * 255)
    atomic.write_new(path, DATA)
    assert path.read_bytes() == DATA


def test_replace_keeps_to_the_private_mode(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o666)
    atomic.replace(path, DATA)
    assert path.read_bytes() == DATA
    assert mode_of(path) == 0o600


def test_replace_creates_what_is_missing(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "key", DATA)
    assert (tmp_path / "key").read_bytes() == DATA


def test_replace_refuses_a_link_and_names_its_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    (tmp_path / "key").symlink_to(target)
    with pytest.raises(WouldOverwrite, match="symbolic link") as caught:
        atomic.replace(tmp_path / "key", DATA)
    assert str(target) in caught.value.hint
    assert target.read_bytes() == b"old"


def test_replace_refuses_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(WouldOverwrite, match="symbolic link"):
        atomic.replace(tmp_path / "loop", DATA)


def test_replace_refuses_folders_and_fifos(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("folder", "fifo"):
        with pytest.raises(WouldOverwrite, match="not a regular file"):
            atomic.replace(tmp_path / name, DATA)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        atomic.write_new(tmp_path / "none" / "key", DATA)


@pytest.mark.parametrize("call", ["open", "fsync", "fchmod", "link"])
@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (errno.ENOSPC, FidokitError, "no room on the disk"),
        (errno.EDQUOT, FidokitError, "no room on the disk"),
        (errno.EROFS, NoPermission, "read-only"),
        (errno.EIO, FidokitError, "Input/output error"),
    ],
)
def test_a_refusing_disk_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    call: str,
    code: int,
    error: type[FidokitError],
    words: str,
) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(error, match=words) as caught:
            atomic.write_new(tmp_path / "key", DATA)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FidokitError, match="no room"):
            atomic.replace(path, DATA)
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_without_hard_links_the_name_is_still_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    atomic.write_new(tmp_path / "key", DATA)
    assert (tmp_path / "key").read_bytes() == DATA
    assert mode_of(tmp_path / "key") == 0o600
    with pytest.raises(WouldOverwrite):
        atomic.write_new(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == DATA
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("links", [True, False])
def test_of_racing_writers_one_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _raise_eperm)
    outcomes: list[bytes | None] = []
    start = threading.Barrier(8)

    def writer(content: bytes) -> None:
        start.wait()
        try:
            atomic.write_new(tmp_path / "key", content)
        except WouldOverwrite:
            outcomes.append(None)
        else:
            outcomes.append(content)

    threads = [threading.Thread(target=writer, args=(bytes([n]) * 9999,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [content for content in outcomes if content is not None]
    assert len(outcomes) == 8
    assert len(winners) == 1
    assert (tmp_path / "key").read_bytes() == winners[0]
    assert leftovers(tmp_path) == []


def _raise_eperm(*args: object, **kwargs: object) -> None:
    raise OSError(errno.EPERM, "no hard links here")


KILLED_CHILD = """
import os, signal, sys
from pathlib import Path
from fidokit.files import atomic, keyfile
left = int(sys.argv[1])
def fatal(real):
    def call(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*args, **kwargs)
    return call
for name in ("open", "fsync", "fchmod", "link", "rename", "unlink"):
    setattr(os, name, fatal(getattr(os, name)))
path = Path(sys.argv[2])
{action}
"""


def killed(action: str, after: int, path: Path) -> bool:
    """Run `action` in a child that dies at its `after`-th call to the system; whether it died."""
    child = subprocess.run(
        [sys.executable, "-c", KILLED_CHILD.format(action=action), str(after), str(path)],
        env={"PYTHONPATH": str(Path(atomic.__file__).parents[2])},
        check=False,
    )
    assert child.returncode in (0, -9)
    return child.returncode == -9


def test_kill_at_any_point_leaves_all_or_nothing(tmp_path: Path) -> None:
    after, died = 0, True
    while died:
        folder = tmp_path / str(after)
        folder.mkdir()
        died = killed("atomic.write_new(path, b'N' * 9999)", after, folder / "key")
        if (folder / "key").exists():
            assert (folder / "key").read_bytes() == b"N" * 9999
            assert mode_of(folder / "key") == 0o600
        after += 1
    assert (folder / "key").exists()
    assert 5 <= after <= KILLS


def test_kill_at_any_point_of_replacing_leaves_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "key"
    after, died = 0, True
    while died:
        path.write_bytes(b"O" * 8888)
        died = killed("atomic.replace(path, b'N' * 9999)", after, path)
        assert path.read_bytes() in (b"O" * 8888, b"N" * 9999)
        after += 1
    assert path.read_bytes() == b"N" * 9999
    assert 5 <= after <= KILLS


def test_kill_at_any_point_never_leaves_halves_of_two_keys(tmp_path: Path) -> None:
    path, public = tmp_path / "key", tmp_path / "key.pub"
    after, died = 0, True
    while died:
        path.write_bytes(b"old")
        public.write_bytes(b"old\n")
        died = killed("keyfile.write_pair(path, b'new', 'new', force=True)", after, path)
        if public.exists():
            assert public.read_bytes().strip() == path.read_bytes()
        assert path.read_bytes() in (b"old", b"new")
        after += 1
    assert (path.read_bytes(), public.read_bytes()) == (b"new", b"new\n")
    assert 8 <= after <= KILLS


# --- what a crash left ---------------------------------------------------------------------

LEFT = ".fidokit-0123456789abcdef.tmp"


def left_behind(folder: Path, name: str = LEFT, age: float = atomic.STALE + 60) -> Path:
    path = folder / name
    path.write_bytes(b"half a key")
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_the_next_write_sweeps_what_a_crash_left(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    atomic.write_new(tmp_path / "key", DATA)
    assert not left.exists()
    assert (tmp_path / "key").read_bytes() == DATA


@pytest.mark.parametrize("age", [0, atomic.STALE - 60, -7200])
def test_a_write_that_may_be_under_way_is_left_alone(tmp_path: Path, age: float) -> None:
    left = left_behind(tmp_path, age=age)
    atomic.write_new(tmp_path / "key", DATA)
    assert left.exists()


@pytest.mark.parametrize(
    "name",
    [
        "fidokit-0123456789abcdef.tmp",
        ".fidokit-0123456789abcde.tmp",
        ".fidokit-0123456789ABCDEF.tmp",
        ".fidokit-0123456789abcdef.tmp~",
        ".fidokit-0123456789abcdef.tmp\n",
    ],
)
def test_other_names_are_nobody_s_business(tmp_path: Path, name: str) -> None:
    left = left_behind(tmp_path, name)
    atomic.write_new(tmp_path / "key", DATA)
    assert left.exists()


def test_other_people_s_files_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_behind(tmp_path)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    atomic.write_new(tmp_path / "key", DATA)
    assert left.exists()


def test_links_and_folders_are_left_alone(tmp_path: Path) -> None:
    target = left_behind(tmp_path, "target")
    (tmp_path / LEFT).symlink_to(target)
    folder = tmp_path / LEFT.replace("0", "9")
    folder.mkdir()
    os.utime(folder, (0, 0))
    atomic.write_new(tmp_path / "key", DATA)
    assert target.exists()
    assert (tmp_path / LEFT).is_symlink()
    assert folder.is_dir()


def test_a_folder_that_cannot_be_listed_is_still_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path) -> object:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(os, "scandir", refused)
    atomic.write_new(tmp_path / "key", DATA)
    assert (tmp_path / "key").exists()
