"""The lock that makes one process the owner of a token."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fidokit.errors import NoPermission, StateUnusable, TokenBusy, Unsupported
from fidokit.virtual.store.ownership import Ownership, lock_path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "work.sqlite"


def test_one_owner_at_a_time(state: Path) -> None:
    owner = Ownership.acquire(state)
    with pytest.raises(TokenBusy, match="'work' is plugged in already"):
        Ownership.acquire(state)
    owner.release()
    Ownership.acquire(state).release()


def test_the_state_file_itself_is_not_touched(state: Path) -> None:
    with Ownership.acquire(state):
        assert not state.exists()


@pytest.mark.parametrize(
    ("content", "who"),
    [(b"1\n", "process 1"), (b"", "another process"), (b"\xff\x1b[31m", "another process")],
)
def test_who_owns_it_is_said_without_trusting_the_file(
    state: Path, content: bytes, who: str
) -> None:
    with Ownership.acquire(state):
        lock_path(state).write_bytes(content)
        with pytest.raises(TokenBusy, match=f"in {who}$"):
            Ownership.acquire(state)


def test_a_forked_copy_does_not_keep_it(state: Path) -> None:
    owner = Ownership.acquire(state)
    copy = os.dup(owner._descriptor)  # what a fork leaves in the child
    owner.release()
    Ownership.acquire(state).release()
    os.close(copy)


def test_releasing_twice_does_not_close_a_stranger(state: Path) -> None:
    owner = Ownership.acquire(state)
    owner.release()
    reused = os.open(os.devnull, os.O_RDONLY)
    owner.release()
    os.fstat(reused)
    os.close(reused)


def test_forgetting_removes_the_lock(state: Path) -> None:
    Ownership.acquire(state).forget()
    assert list(state.parent.iterdir()) == []


def test_a_lock_whose_file_was_removed_meanwhile_is_not_ownership(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, opened = os.open, []

    def open_then_delete(path: Path, *arguments: int) -> int:
        descriptor = real_open(path, *arguments)
        opened.append(descriptor)
        if len(opened) == 1:
            lock_path(state).unlink()  # the owner before us deletes the token just now
        return descriptor

    monkeypatch.setattr(os, "open", open_then_delete)
    owner = Ownership.acquire(state)
    assert len(opened) == 2
    assert os.path.samestat(os.fstat(owner._descriptor), lock_path(state).stat())
    owner.release()


def test_a_symbolic_link_is_not_followed(state: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    lock_path(state).symlink_to(precious)
    with pytest.raises(StateUnusable, match="cannot be made"):
        Ownership.acquire(state)
    assert precious.read_text() == "mine"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="cannot be made") as caught:
        Ownership.acquire(tmp_path / "none" / "work.sqlite")
    assert caught.value.hint


def test_no_permission_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NoPermission, match="cannot be opened") as caught:
        Ownership.acquire(state)
    assert caught.value.hint


def test_windows_is_told_what_it_lacks(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(Unsupported, match="POSIX file locks") as caught:
        Ownership.acquire(state)
    assert caught.value.hint
